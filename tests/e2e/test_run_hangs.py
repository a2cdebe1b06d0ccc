"""Parts that hang: named while they do, started again when their probes have failed, and nothing of theirs is lost."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from common.models.families import Family
from tests.support.freezing import freeze
from tests.support.patience import PATIENCE_S
from tests.support.system import System, running_system
from tests.support.traffic import publish, trade, wait_stored

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
FROZEN = ("ingest", "broker")


def impatient_project(folder: Path) -> Path:
    """Return a copy of the product whose functions are given up sooner: a change of one manifest."""
    for name in ("functions", "triggers", "infra/base"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shared = folder / "infra" / "base" / "function" / "kustomization.yaml"
    patient = shared.read_text()
    shared.write_text(patient.replace("periodSeconds: 20", "periodSeconds: 2"))
    assert shared.read_text() != patient
    return folder


def status(system: System) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "infra.cli.main", "status"],
        env=os.environ | {"PETROSA_DATA_DIR": str(system.state_dir), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def is_unready(system: System, name: str) -> bool:
    return system.part(name).state == "not ready"


def is_back(system: System, name: str) -> bool:
    part = system.part(name)
    return part.restarts == 1 and part.state == "ready"


def test_parts_that_hang_are_named_and_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    project = impatient_project(tmp_path / "project")
    with running_system(tmp_path / "state", project=project) as system:
        publish(system, (trade(number) for number in range(200)))
        wait_stored(system, Family.TRADES, 200)
        before = system.pids
        for name in FROZEN:
            freeze(before[name])
        publish(system, (trade(number) for number in range(200, 500)))
        for name in FROZEN:
            system.wait(partial(is_unready, system, name), f"{name} was not noticed")
        shown = status(system)
        assert shown.returncode == 1
        for name in FROZEN:
            assert f"{name}: " in shown.stdout, shown.stdout
        for name in FROZEN:
            system.wait(partial(is_back, system, name), f"{name} did not come back", within_s=3 * PATIENCE_S)
        assert all(system.pids[name] != before[name] for name in FROZEN)
        wait_stored(system, Family.TRADES, 500)
        system.wait(lambda: status(system).returncode == 0, "status does not see the recovery")
        assert system.stop() == 0
        for name in FROZEN:
            assert f"{name} did not answer (liveness of {name}, " in system.output()
