"""The record of a running system on a disk that is full (``/dev/full``: every write to it fails so)."""

import os
from pathlib import Path

import pytest

from infra.local.databases.stores import Stores
from infra.local.origin.layout import WorkersPlan
from infra.local.runner.blueprint import Blueprint
from infra.local.runner.configuration import run_options
from infra.local.runner.run_record import read_record
from infra.local.runner.state_folder import StateFolder
from infra.local.runner.system import LocalSystem


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_once_and_the_record_is_written_when_there_is_room(tmp_path: Path) -> None:
    notes: list[str] = []
    folder = StateFolder(tmp_path)
    blueprint = Blueprint((), WorkersPlan((), {}), "http://sink", {}, (), Stores())
    system = LocalSystem(blueprint, run_options("none", isolate=False), folder, notes.append)
    draft = tmp_path / f".run.json.{os.getpid()}"
    for ready in (True, False, True):
        draft.symlink_to("/dev/full")
        system.set_ready(ready)
    assert read_record(folder.run_file) is None
    assert notes == [f"{folder.run_file} cannot be written (No space left on device): going on, make room"]
    system.refresh_record()
    record = read_record(folder.run_file)
    assert record is not None
    assert record.ready
    assert notes[1:] == [f"{folder.run_file} is written again"]
