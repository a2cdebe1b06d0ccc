"""Probes and metrics of the bridge, served over HTTP in its own event loop."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from common.errors import ConfigurationError
from triggers.nats_bridge import metrics

_JSON: Final = "application/json"


def health_app(status: Callable[[], dict[str, Any]]) -> ASGIApp:
    """Return the application: ``/healthz``, ``/readyz`` and ``/metrics``.

    Args:
        status: returns the conditions, with ``ready`` among them.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _answer(scope["path"], status)(scope, receive, send)

    return app


def _answer(path: str, status: Callable[[], dict[str, Any]]) -> Response:
    if path == "/healthz":
        return _json({"status": "ok"})
    if path == "/readyz":
        conditions = status()
        return _json(conditions, 200 if conditions["ready"] else 503)
    if path in {"/metrics", "/metrics/"}:
        return Response(generate_latest(metrics.REGISTRY), headers={"content-type": CONTENT_TYPE_LATEST})
    return _json({"error": "not found"}, 404)


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body, separators=(",", ":")), status, media_type=_JSON)


class HealthServer(uvicorn.Server):
    """A uvicorn server that leaves the signals to its process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    def stop(self) -> None:
        """Have ``serve`` return."""
        self.should_exit = True


def health_server(app: ASGIApp) -> HealthServer:
    """Return a server of ``app`` for ``serve(sockets=[...])``."""
    return HealthServer(
        uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )


def listen(port: int) -> socket.socket:
    """Return a socket that listens on ``port`` of all addresses.

    Raises:
        ConfigurationError: the port is taken.
    """
    try:
        return socket.create_server(("0.0.0.0", port), backlog=64)  # noqa: S104 - the pod's only port
    except OSError as error:
        raise ConfigurationError(f"PORT: expected a free port, was {port} ({error.strerror})") from error
