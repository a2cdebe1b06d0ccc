"""Finding the running system by the record that its runner keeps."""

import os
from pathlib import Path

import msgspec
import pytest

from common.errors import ConfigurationError
from infra.local.runner.run_record import RunRecord, find_running, read_record


def write_record(folder: Path, *, pid: int) -> RunRecord:
    record = RunRecord(
        pid=pid,
        started_at_ms=0,
        ready=True,
        url="http://u",
        nats_url="nats://n",
        broker_url="http://b",
        state_dir=str(folder),
        feed="none",
        market="um",
        isolate=False,
        clock=None,
        schedules={"audit": "/a", "analytics": "/b"},
        parts={},
    )
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(msgspec.json.encode(record))
    return record


def test_the_only_running_system_is_found_without_naming_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="make run"):
        find_running(None)
    running = write_record(Path(".petrosa/simulate"), pid=os.getpid())
    write_record(Path(".petrosa/none"), pid=2**22 + 1)
    assert find_running(None) == running
    write_record(Path(".petrosa/other"), pid=os.getpid())
    with pytest.raises(ConfigurationError, match="several"):
        find_running(None)
    assert find_running(Path(".petrosa/simulate")) == running


def test_the_record_of_a_dead_runner_does_not_count(tmp_path: Path) -> None:
    write_record(tmp_path / "state", pid=2**22 + 1)
    assert read_record(tmp_path / "state" / "run.json") is None
    with pytest.raises(ConfigurationError, match="PETROSA_DATA_DIR"):
        find_running(tmp_path / "state")


def test_an_unknown_schedule_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    record = write_record(tmp_path / "state", pid=os.getpid())
    assert record.source_of("audit") == "/a"
    with pytest.raises(ConfigurationError, match="analytics, audit"):
        record.source_of("harvest")
