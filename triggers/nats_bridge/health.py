"""Probes and metrics of the bridge, served over HTTP in its own event loop."""

import json
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

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
