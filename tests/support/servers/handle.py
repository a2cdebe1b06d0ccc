"""What a test holds of a database server, whether the tests started it or were given its address."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tests.support.servers.process import ServerProcess

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """A database server that serves.

    Attributes:
        url: where clients connect.
        host: its host, for a proxy in front of it.
        port: its TCP port.
        description: which server this is and where it comes from, for the report.
        process: the process, None for a server given by URL, which the tests must not stop or freeze.
    """

    url: str
    host: str
    port: int
    description: str
    process: ServerProcess | None

    @property
    def pid(self) -> int | None:
        """Process id while it runs; None when it does not or was given by URL."""
        return self.process.pid if self.process is not None else None

    def start(self) -> None:
        """Start it again after ``stop`` or ``kill``, on the same port with the same data, and wait until it serves."""
        self._own().start()

    def stop(self) -> None:
        """End it in order."""
        self._own().stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._own().kill()

    def freeze(self) -> None:
        """Make it accept and never answer, its open connections included."""
        self._own().freeze()

    def thaw(self) -> None:
        """Let it go on after ``freeze``."""
        self._own().thaw()

    def _own(self) -> ServerProcess:
        assert self.process is not None, f"{self.url} was given by URL: a test that stops it needs a server of its own"
        return self.process


AnyServer = TypeVar("AnyServer", bound=Server)


@contextmanager
def started(server: AnyServer, folder: Path) -> Iterator[AnyServer]:
    """Run a server for the length of a ``with`` block and remove its folder afterwards."""
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
