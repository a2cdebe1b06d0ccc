"""The real kustomize: found on PATH, alone or in kubectl, or built with Go into a cache outside the checkout."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

_PACKAGE: Final = "sigs.k8s.io/kustomize/kustomize/v5"
_VERSION: Final = "v5.8.0"
_BUILD_S: Final = 600


def rendered(folder: Path) -> list[dict[str, Any]]:
    """Return what the real one makes of the kustomization of a folder; the test is skipped where there is none."""
    done = subprocess.run([*_command(), str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@cache
def _command() -> tuple[str, ...]:
    for program, verb in (("kustomize", "build"), ("kubectl", "kustomize")):
        if path := shutil.which(program):
            return path, verb
    built = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "petrosa" / _VERSION / "kustomize"
    if not built.exists():
        _build(built.parent)
    return str(built), "build"


def _build(folder: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("neither kustomize nor kubectl nor go is on PATH")
    environment = os.environ | {"GOBIN": str(folder)}
    command = ["go", "install", f"{_PACKAGE}@{_VERSION}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_BUILD_S, check=False)
    if done.returncode:
        pytest.skip(f"kustomize cannot be built with go: {done.stderr.strip()[-300:]}")
