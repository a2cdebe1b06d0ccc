"""The one way in which a process serves an ASGI application: uvicorn on sockets of ours, until an event is set."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from common.errors import ConfigurationError

# Longer than the pause between two requests of any pool of ours, which must not meet a connection that just closed.
_KEEP_ALIVE_S: Final = 75


async def serve(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    stop: asyncio.Event,
    *,
    grace_s: int,
    lifespan: bool = False,
    started: Callable[[], object] = lambda: None,
) -> bool:
    """Serve until ``stop`` is set, then let requests end.

    Args:
        app: the application.
        sockets: where it listens.
        stop: ends it.
        grace_s: time for requests that are under way at the end.
        lifespan: whether the application has start and stop hooks of its own.
        started: called when it takes requests.

    Returns:
        Whether it ever took requests: its start hook may have failed.
    """
    config = uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="on" if lifespan else "off",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
    )
    server = _Server(config, started)
    asked = asyncio.create_task(server.stop_with(stop))
    try:
        await server.serve(sockets=list(sockets))
    finally:
        asked.cancel()
    return server.started


class _Server(uvicorn.Server):
    """A server that leaves the signals to its process."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_start = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        self._on_start()

    async def stop_with(self, stop: asyncio.Event) -> None:
        """End when ``stop`` is set."""
        await stop.wait()
        self.should_exit = True


def listening(port: int, host: str = "0.0.0.0") -> socket.socket:  # noqa: S104 - the pod's only port
    """Return a socket that listens on a port; of all addresses, as a pod has to, or of one.

    Raises:
        ConfigurationError: the port is taken.
    """
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise ConfigurationError(f"PORT: expected a free port, was {port} ({error.strerror})") from error
