"""CPU time and memory of the processes of a running system, as the kernel counts them (Linux)."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PROCESS_CLOCK: Final = 2  # of another process than this one, in the kernel's numbering of clocks


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that the processes have used so far, all their threads together."""
    return sum(_cpu_seconds(pid) for pid in pids)


def _cpu_seconds(pid: int) -> float:
    """Read the CPU clock of a process, which counts nanoseconds; /proc counts hundredths of a second."""
    return time.clock_gettime((~pid << 3) | _PROCESS_CLOCK)


def peak_memory_mib(pid: int) -> float:
    """Return the largest resident memory that the process ever had."""
    return _memory_mib(pid, "VmHWM:")


def resident_memory_mib(pid: int) -> float:
    """Return the resident memory of the process."""
    return _memory_mib(pid, "VmRSS:")


def _memory_mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0
