"""Fixtures for all tests."""

import os
from pathlib import Path

import hypothesis
import pytest

# Speed is measured by the bench; an example that is slow on a busy machine has not failed.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

pytest_plugins = ["tests.support.kernels", "tests.support.servers.fixtures"]

_DEFAULT = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """The folder of recorded market data (PETROSA_TEST_DATA); tests that need it are skipped without it."""
    folder = Path(os.environ.get("PETROSA_TEST_DATA", _DEFAULT))
    if not (folder / "klines").is_dir():
        pytest.skip(f"recorded market data not found in {folder}: set PETROSA_TEST_DATA to its folder")
    return folder


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the person who runs the tests must not decide their outcome."""
    kept = {"PETROSA_TEST_DATA", "PETROSA_TEST_MONGODB_URL", "PETROSA_TEST_MYSQL_URL", "PETROSA_TEST_SERVERS"}
    for name in list(os.environ):
        if (
            name.startswith(("PETROSA_", "STORES", "NATS_", "MONGODB_", "MYSQL_", "BRIDGE_", "OTEL_"))
            and name not in kept
        ):
            monkeypatch.delenv(name)
