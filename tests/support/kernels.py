"""The kernels of linear algebra: OpenBLAS takes one by the processor, and their results differ in the last bits.

``python -m tests.support.kernels`` prints one that every processor of this kind can run and that is not this machine's
own; ``OPENBLAS_CORETYPE`` makes numpy use it.
"""

import os
import platform
import sys
from typing import Final

import pytest

VARIABLE: Final = "OPENBLAS_CORETYPE"
# One kernel serves several older processors, and is reported by the oldest of their names.
_REPORTED: Final = {"Prescott": "Katmai"}
_PLAIN: Final = {"x86_64": "Prescott", "amd64": "Prescott", "aarch64": "ARMV8", "arm64": "ARMV8"}


def kernel() -> str | None:
    """Return the kernel that numpy uses in this process; None when its linear algebra is not OpenBLAS."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.linalg.norm([1.0])  # loads it
    return next((str(info["architecture"]) for info in threadpool_info() if info["internal_api"] == "openblas"), None)


def pytest_configure() -> None:
    """Refuse to run on another kernel than the one that was asked for, where every processor can run that."""
    asked = os.environ.get(VARIABLE, "")
    if asked in _PLAIN.values() and (used := kernel()) not in {asked, _REPORTED.get(asked)}:
        raise pytest.UsageError(f"{VARIABLE}: expected the tests to run on the kernel {asked}, they run on {used}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which kernel the tests ran on, when one was asked for."""
    if VARIABLE in os.environ:
        asked = os.environ[VARIABLE] or "of the processor"
        terminalreporter.write_line(f"linear algebra: kernel {asked} (OpenBLAS reports {kernel()})")


def main() -> int:
    """Print the plain kernel of this kind of processor; nothing, which is the processor's own, when it was in use."""
    plain = _PLAIN.get(platform.machine().lower())
    if plain is None or kernel() in {plain, _REPORTED.get(plain)}:
        sys.stderr.write(f"{platform.machine()} on kernel {kernel()}: the other one is the processor's own\n")
    else:
        print(plain)
    return 0


if __name__ == "__main__":
    sys.exit(main())
