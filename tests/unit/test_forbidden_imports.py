"""What a function must not load when it starts: each library costs a part of every cold start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.analytics.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "fastapi",
    "httpcore",
    "httpx",
    "nats",
    "numpy",
    "opentelemetry.sdk",
    "pandas",
    "pymongo",
    "pymysql",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "statsmodels",
    "talib",
    "typer",
    "yaml",
}
# What each function computes with; everything else loads where it is used, or not at all.
NEEDED = {
    **{name: {"numpy"} for name in METRICS},
    "deviation": {"numpy", "scipy"},
    "seasonality": {"numpy", "scipy"},
}
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))
PROGRAM = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_loads_only_what_it_needs(function: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, f"functions.{function}.main"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("COV_", "OTEL_"))},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.split()) & HEAVY == NEEDED.get(function, set())
