"""CPU time and memory of the processes of a running system, as the kernel counts them (Linux)."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_USER_FIELD: Final = 11  # after the command's closing bracket: utime, stime
_SYSTEM_FIELD: Final = 12


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that the processes have used so far, all their threads together."""
    return sum(_cpu_seconds(pid) for pid in pids)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD])) / _TICKS_PER_SECOND


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
