"""Replace this process by a command that the kernel ends when the runner dies, even by ``kill -9``.

Started as ``python -I -S tether.py RUNNER_PID COMMAND…``. It is a program of its own, not a hook in the runner's fork,
because code between fork and exec may deadlock in a process with threads. Only Linux has the mechanism; elsewhere the
command just runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent and become the command."""
    runner = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != runner:  # it died before the tie held
        sys.exit(1)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming the command is the purpose


if __name__ == "__main__":
    main()
