"""The adapter of route groups: an ASGI application behind one functions-framework target.

The framework calls whatever a target returns as an ASGI application, but with a scope of its own router in it, and it
starts a second answer when the application fails after its first. The delegate hands the request on as it came to the
host, and keeps a late failure to the log.
"""

import functools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

import functions_framework.aio
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import PetrosaError
from common.host.context import Lifetime, Opener
from common.host.errors import request_answer
from common.host.event import HttpTarget
from common.host.framework import opened
from common.host.registry import Target, register
from common.telemetry.tracing import traced_request

log = logging.getLogger(__name__)

R = TypeVar("R")

REQUESTS = Counter(
    "data_manager_requests_total", "Requests answered by a route group", ["method", "endpoint", "status_code"]
)
REQUEST_SECONDS = Histogram(
    "data_manager_request_duration_seconds",
    "Time a route group took for a request",
    ["method", "endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


def route_group(name: str, *, resources: Opener[R], build: Callable[[R], ASGIApp]) -> HttpTarget:
    """Make an ASGI application a functions-framework target.

    Args:
        name: the target's name, which is also that of the function's folder.
        resources: opens what the application works on.
        build: makes the application (an ``Api``) of the open resources; called once.
    """
    lifetime = Lifetime(name, resources)
    group = _Group(name, lifetime, build)

    async def target(request: Request) -> Any:  # noqa: ARG001 - the delegate reads the scope itself
        return group

    target.__name__ = target.__qualname__ = name
    register(Target(name, "route-group", lifetime))
    return cast("HttpTarget", functions_framework.aio.http(target))


class _Group(Generic[R]):
    """The delegate. It builds the application when its resources are first open."""

    def __init__(self, name: str, lifetime: Lifetime[R], build: Callable[[R], ASGIApp]) -> None:
        self._name = name
        self._lifetime = lifetime
        self._build = build
        self._built_for: object = None
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        scope, receive, send = opened(scope, receive, send)
        method, answer = scope["method"], _Sending(send)
        if method == "HEAD":
            scope, answer = {**scope, "method": "GET"}, _Head(send)
        try:
            with traced_request(self._name, scope):
                app = self._app if self._app is not None and self._built_for is not None else await self._application()
                await app(scope, receive, answer)
        except PetrosaError as error:
            await answer.fail(request_answer(error), scope, receive)
        except Exception:  # the process edge: a bug is logged whole and answered 500 without its text
            log.exception("the request failed", extra={"function": self._name, "path": scope["path"]})
            await answer.fail(request_answer(None), scope, receive)
        self._observe(method, scope, answer.status, time.perf_counter() - started)

    async def _application(self) -> ASGIApp:
        resources = await self._lifetime.resources()
        if self._app is None or self._built_for is not resources:
            self._app, self._built_for = self._build(resources), resources
        return self._app

    def _observe(self, method: str, scope: Scope, status: int, seconds: float) -> None:
        endpoint = _endpoint(scope, status)
        count, duration = _metrics_of(method, endpoint, status)
        count.inc()
        duration.observe(seconds)
        if status >= 400 or log.isEnabledFor(logging.DEBUG):
            log.log(
                logging.ERROR if status >= 500 else logging.INFO if status >= 400 else logging.DEBUG,
                "request",
                extra={"method": method, "path": scope["path"], "status": status, "seconds": round(seconds, 6)},
            )


@functools.lru_cache(maxsize=1024)
def _metrics_of(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
    """Look the two metrics of a route up once: finding them by their labels costs more than counting."""
    return REQUESTS.labels(method, endpoint, status), REQUEST_SECONDS.labels(method, endpoint)


class _Sending:
    """The sending side of one request: remembers whether an answer has begun, and with which status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    def __call__(self, message: Message) -> Awaitable[None]:
        if self.status == 0:
            self.status = message.get("status", 0)  # of the message that begins the answer
        return self._send(message)

    async def fail(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Send an error, unless an answer has begun: then the connection can only be closed."""
        if self.status == 0:
            await response(scope, receive, self)


class _Head(_Sending):
    """The same for a HEAD request, whose answer ends with its headers."""

    def __init__(self, send: Send) -> None:
        super().__init__(send)
        self._has_ended = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await super().__call__(message)
        elif not self._has_ended:
            self._has_ended = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _endpoint(scope: Scope, status: int) -> str:
    """Return the route's template, never a path that a client made up: labels must stay few."""
    route = scope.get("route")
    template = getattr(route, "path", None)
    if isinstance(template, str):
        return template
    return scope["path"] if status < 400 and "path_params" in scope and not scope["path_params"] else "unmatched"
