"""Freezing processes: SIGSTOP asks, and the kernel stops each thread when it next leaves it; tests need it done."""

import os
import signal
import time
from pathlib import Path
from typing import Final

_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.005
_STANDING: Final = frozenset("TtZX")  # stopped, stopped by a tracer, ended


def freeze(pid: int) -> None:
    """Stop a process where it stands and return when none of its threads runs any more (Linux).

    Its connections stay open, and nothing answers. Elsewhere than on Linux it returns at once.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline_s = time.monotonic() + _WITHIN_S
    while running := {thread: state for thread, state in _states(pid).items() if state not in _STANDING}:
        assert time.monotonic() < deadline_s, f"process {pid} did not stop: {running}"
        time.sleep(_POLL_S)


def thaw(pid: int) -> None:
    """Let a frozen process go on."""
    os.kill(pid, signal.SIGCONT)


def _states(pid: int) -> dict[str, str]:
    """Return the state of every thread of a process, as the letter of /proc; nothing where there is no /proc."""
    states = {}
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            states[thread.name] = (thread / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # the thread has ended meanwhile
            continue
    return states
