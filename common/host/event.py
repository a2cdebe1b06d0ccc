"""The adapter of event functions: a typed envelope in; nothing (204), an event, or a status of the error tree out.

Knative's broker counts any other answer as a failure, the framework's own ``OK`` included.
"""

import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

import functions_framework.aio
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.responses import Response

from common.errors import MalformedEvent, PetrosaError, SenderError
from common.events.envelope import Event, from_http, to_http
from common.events.sink import Sink
from common.host.context import Lifetime, Opener
from common.host.errors import event_answer, not_allowed
from common.host.registry import Target, register
from common.telemetry.tracing import traced, with_trace

log = logging.getLogger(__name__)

R = TypeVar("R")
Handler = Callable[[Event, R], Awaitable[Event | Sequence[Event] | None]]
HttpTarget = Callable[[Request], Awaitable[Response]]

EVENTS = Counter("petrosa_events_total", "Events handled by a function", ["function", "result"])
EVENT_SECONDS = Histogram("petrosa_event_seconds", "Time a function took for an event", ["function"])


def event_function(*, resources: Opener[R]) -> Callable[[Handler[R]], HttpTarget]:
    """Make a handler a functions-framework target.

    A handler returns nothing, an event, or several. The answer carries one event; the others go to the sink before it,
    so that a sink that fails has the request delivered again.

    Args:
        resources: opens what the handler is given besides the event.

    Returns:
        A decorator. The target carries the handler's name.
    """

    def decorate(handler: Handler[R]) -> HttpTarget:
        name = handler.__name__
        lifetime = Lifetime(name, resources)

        @functools.wraps(handler)
        async def target(request: Request) -> Response:
            return await _answer(name, handler, lifetime, request)

        register(Target(name, "event-function", lifetime))
        return cast("HttpTarget", functions_framework.aio.http(target))

    return decorate


async def _answer(name: str, handler: Handler[R], lifetime: Lifetime[R], request: Request) -> Response:
    if request.method != "POST":
        return not_allowed("POST")
    started = time.perf_counter()
    event: Event | None = None
    try:
        event = from_http(request.headers, await request.body())
        with traced(name, event):
            told = await handler(event, await lifetime.resources())
            response = await _success(told, lifetime.context.sink)
    except PetrosaError as error:
        _log_failure(name, event, error)
        response = event_answer(error)
    except Exception:  # the process edge: a bug is logged whole, answered 500, and retried by the broker
        log.exception("the function failed", extra={"function": name, **_identity(event)})
        response = event_answer(None)
    elapsed_s = time.perf_counter() - started
    EVENTS.labels(name, response.status_code).inc()
    EVENT_SECONDS.labels(name).observe(elapsed_s)
    if log.isEnabledFor(logging.DEBUG):
        log.debug(
            "event", extra={"function": name, "status": response.status_code, "seconds": elapsed_s, **_identity(event)}
        )
    return response


async def _success(told: Event | Sequence[Event] | None, sink: Sink) -> Response:
    events = [told] if isinstance(told, Event) else told
    if not events:
        return Response(status_code=204)
    if len(events) > 1:
        await sink.emit_all(events[1:])
    headers, body = to_http(with_trace(events[0]))
    return Response(body, status_code=200, headers=headers)


def _log_failure(name: str, event: Event | None, error: PetrosaError) -> None:
    level = logging.WARNING if isinstance(error, (SenderError, MalformedEvent)) else logging.ERROR
    extra = {"function": name, "error": error.code, "detail": str(error), **_identity(event)}
    log.log(level, "the event was not processed", extra=extra)


def _identity(event: Event | None) -> dict[str, object]:
    if event is None:
        return {}
    return {"event_type": event.type, "event_id": event.id, "subject": event.subject}
