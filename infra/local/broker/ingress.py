"""The broker's HTTP side: events in, and what the platform asks of a process."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.errors import PayloadTooLarge, PetrosaError
from common.host.app import metrics_answer
from common.host.errors import ErrorAnswer, event_answer
from infra.local.broker import metrics
from infra.local.broker.broker import Broker
from infra.local.broker.delivery import event_headers

_ACCEPTED: Final = 202


class Ingress:
    """An ASGI application: POST ``/<namespace>/<broker>`` takes one event."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._path = f"/{broker.plan.namespace}/{broker.plan.broker}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == "/healthz":
            return ErrorAnswer({"status": "ok"})
        if path == "/readyz":
            return self._readiness()
        if path == "/metrics":
            return metrics_answer()
        if path != self._path:
            return ErrorAnswer({"detail": f"no broker at {path}, expected {self._path}"}, status_code=404)
        if request.method != "POST":
            return ErrorAnswer({"detail": "Method Not Allowed"}, status_code=405, headers={"allow": "POST"})
        response = await self._take(request)
        metrics.received(request.headers.get("ce-type"), response.status_code)
        return response

    async def _take(self, request: Request) -> Response:
        try:
            body = await self._body(request)
            await self._broker.accept(event_headers(dict(request.headers)), body)
        except PetrosaError as error:
            return event_answer(error)
        return Response(status_code=_ACCEPTED)

    async def _body(self, request: Request) -> bytes:
        limit = self._broker.store.max_body_bytes
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) <= limit:
            body = await request.body()
            if len(body) <= limit:
                return body
        raise PayloadTooLarge(f"expected an event of at most {limit} bytes")

    def _readiness(self) -> Response:
        ready = self._broker.store.is_connected
        body = {"ready": ready, "nats": "connected" if ready else "away"}
        return ErrorAnswer(body, status_code=200 if ready else 503)
