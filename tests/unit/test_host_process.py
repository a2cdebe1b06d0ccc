"""The process of a function: what it says and with which status it ends when it is told to serve what is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAIN = "answer = 42\n\ndef plain(request):\n    return 'x'\n"


@pytest.mark.parametrize(
    ("target", "source", "variable"),
    [
        ("", None, "FUNCTION_TARGET"),
        ("nowhere", None, "FUNCTION_SOURCE"),
        ("planner", "functions/nowhere/main.py", "FUNCTION_SOURCE"),
        ("planner", "functions/planner", "FUNCTION_SOURCE"),
        ("other", "main.py", "FUNCTION_TARGET"),
        ("answer", "main.py", "FUNCTION_TARGET"),
        ("plain", "main.py", "FUNCTION_TARGET"),
    ],
)
def test_a_wrong_target_or_source_is_one_line_and_status_2(
    target: str, source: str | None, variable: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(PLAIN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FUNCTION_", "COV_"))}
    environment |= {"FUNCTION_TARGET": target, "PYTHONPATH": str(ROOT)}
    if source is not None:
        environment["FUNCTION_SOURCE"] = source
    run = subprocess.run(
        [sys.executable, "-m", "common.host"],
        cwd=tmp_path if source == "main.py" else ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert run.returncode == 2, run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"{variable}: expected ")
    assert target in line
    assert run.stdout == ""
