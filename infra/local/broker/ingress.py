"""The broker's HTTP side: events in at ``/<namespace>/<broker>``, and what the platform asks of a process."""

import re
from collections.abc import Iterable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.errors import PetrosaError
from common.host.app import metrics_answer
from common.host.errors import ErrorAnswer, event_answer
from infra.local.broker import metrics
from infra.local.broker.broker import Broker
from infra.local.broker.message import read_message, too_large

_ALLOWED: Final = {"allow": "POST, OPTIONS"}
# Of a body that is too large so much is read and thrown away, so that the sender can read the answer.
_DISCARDED_BYTES: Final = 64 * 1024 * 1024
# How long a sender is willing to wait for the delivery (RFC 7240 §4.3), in seconds.
_WAIT: Final = re.compile(rb"(?:^|[,; ])wait=(\d{1,2})(?:$|[,; ])")


class Ingress:
    """An ASGI application."""

    def __init__(self, broker: Broker, namespace: str, name: str) -> None:
        self._broker = broker
        self._path = f"/{namespace}/{name}"
        metrics.CONNECTED.set_function(lambda: float(broker.is_ready))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = self._process_answer(scope) or await self._event_answer(scope, receive)
        await response(scope, receive, send)

    def _process_answer(self, scope: Scope) -> Response | None:
        path = scope["path"]
        if path == "/healthz":
            return ErrorAnswer({"status": "ok"})
        if path == "/readyz":
            ready = self._broker.is_ready
            body = {"ready": ready, "nats": "connected" if ready else "away"}
            return ErrorAnswer(body, status_code=200 if ready else 503)
        return metrics_answer() if path in {"/metrics", "/metrics/"} else None

    async def _event_answer(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] == "OPTIONS":
            return Response(headers={**_ALLOWED, "webhook-allowed-origin": "*", "webhook-allowed-rate": "*"})
        if scope["method"] != "POST":
            return ErrorAnswer({"detail": "Method Not Allowed"}, status_code=405, headers=_ALLOWED)
        path = scope["path"].rstrip("/")
        if path.count("/") not in (0, 2):
            return ErrorAnswer({"detail": "expected /<namespace>/<broker>"}, status_code=400)
        if path != self._path:
            return ErrorAnswer({"detail": f"no such broker, expected {self._path}"}, status_code=404)
        response, event_type = await self._take(scope, receive)
        metrics.received(event_type, response.status_code)
        return response

    async def _take(self, scope: Scope, receive: Receive) -> tuple[Response, str]:
        """Return the answer to an event, and its type for the metrics."""
        event_type = "none"
        try:
            message = read_message(scope["headers"], await self._body(receive))
            event_type = message.attributes["type"]
            await self._broker.accept(message, wait_s=_wait_s(scope["headers"]))
        except PetrosaError as error:
            return event_answer(error), event_type
        return Response(status_code=202), event_type

    async def _body(self, receive: Receive) -> bytes:
        limit = self._broker.max_bytes
        chunks: list[bytes] = []
        size = 0
        while True:
            part = await receive()
            size += len(part.get("body", b""))
            if size <= limit:
                chunks.append(part.get("body", b""))
            if not part.get("more_body", False) or size > limit + _DISCARDED_BYTES:
                break
        if size > limit:
            raise too_large(limit)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _wait_s(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Return how long the sender waits for the delivery: 0 without ``Prefer: wait=…``."""
    for name, value in headers:
        if name == b"prefer" and (found := _WAIT.search(value)) is not None:
            return float(found[1])
    return 0.0
