"""A server as a process of the tests: started until ready, stopped in order, killed, frozen; it never outlives them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import infra.local.runner.tether
from tests.support import freezing
from tests.support.patience import PATIENCE_S

_POLL_SECONDS: Final = 0.02


class ServerProcess:
    """One server's process; ``start`` after ``stop`` or ``kill`` runs the same command on the same folder.

    On Linux the kernel ends it when the process of the tests dies, even by ``kill -9``.

    Attributes:
        log: the file that its output is appended to.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path, ready: str) -> None:
        """Describe the process without starting it.

        Args:
            command: the program and its arguments.
            folder: where the log is kept.
            ready: what the server prints when it accepts connections.
        """
        self.log = folder / "server.log"
        self._command = [str(part) for part in command]
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process and wait until it accepts connections."""
        assert self.pid is None, "the server runs already"
        ready_before = self.log_text().count(self._ready)
        tether = [sys.executable, "-I", "-S", infra.local.runner.tether.__file__, str(os.getpid())]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*tether, *self._command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            self._wait_ready(ready_before)
        except BaseException:
            self.kill()
            raise

    def _wait_ready(self, ready_before: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.log_text().count(self._ready) == ready_before:
            assert self.pid is not None, f"the server ended at start:\n{self.log_text()}"
            assert time.monotonic() < deadline, f"the server was not ready in time:\n{self.log_text()}"
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the process in order (SIGTERM), frozen or not; nothing happens when it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)  # a frozen process takes no other signal
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would; nothing happens when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop the process where it stands: its connections stay open and nothing answers from here on."""
        freezing.freeze(self._running_pid())

    def thaw(self) -> None:
        """Let a frozen process go on."""
        freezing.thaw(self._running_pid())

    def log_text(self) -> str:
        """Return all that the server has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _running_pid(self) -> int:
        assert self.pid is not None, "the server does not run"
        return self.pid
