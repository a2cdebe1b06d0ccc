"""What a function opens and what its handler takes are checked together: mypy refuses a handler of something else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
from starlette.applications import Starlette

from common.events import Event
from common.host import Opening, event_function, opener, route_group

@opener
async def open_number(opening: Opening) -> int:
    return 7

@event_function(resources=open_number)
async def right(event: Event, number: int) -> None: ...

@event_function(resources=open_number)  # refused
async def wrong(event: Event, text: str) -> None: ...

def build_right(number: int) -> Starlette:
    return Starlette()

def build_wrong(text: str) -> Starlette:
    return Starlette()

route_group("right_routes", resources=open_number, build=build_right)
route_group("wrong_routes", resources=open_number, build=build_wrong)  # refused
"""


def test_wrong_resources_fail_the_type_check(tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text(PROGRAM)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--show-absolute-path", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    refused = [number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# refused")]
    found = [line.removeprefix(f"{file}:") for line in run.stdout.splitlines() if ": error:" in line]
    assert [int(line.partition(":")[0]) for line in found] == refused, run.stdout + run.stderr
