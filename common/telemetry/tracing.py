"""Traces: W3C trace context in and out of every event and request, and spans to OTLP when an endpoint is set.

Without an endpoint nothing of OpenTelemetry is loaded; the trace id still travels from event to event and stands in
the logs.
"""

import os
import re
import secrets
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from common.events.envelope import Event
from common.events.types import TRACEPARENT

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_UNTRACED: Final = nullcontext()
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def current_trace_id() -> str | None:
    """Return the id of the trace that the running code belongs to."""
    traceparent = _current.get()
    return None if traceparent is None else traceparent[3:35]


def with_trace(event: Event) -> Event:
    """Return ``event`` as a part of the current trace."""
    traceparent = _current.get()
    if traceparent is None or event.extension(TRACEPARENT):
        return event
    return replace(event, extensions={**event.extensions, TRACEPARENT: traceparent})


def new_traceparent(parent: str | None = None) -> str:
    """Return a trace context: a new span of the parent's trace, or of a new trace."""
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    trace_id = match[1] if match else secrets.token_hex(16)
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"


@contextmanager
def traced(name: str, event: Event) -> Iterator[None]:
    """Run a handler as a span of the event's trace."""
    attributes = {"cloudevents.event_type": event.type, "cloudevents.event_id": event.id}
    with _span(name, event.extension(TRACEPARENT), attributes):
        yield


def traced_request(name: str, scope: MutableMapping[str, Any]) -> AbstractContextManager[None]:
    """Run a request as a span of the caller's trace."""
    parent = None
    for key, value in scope["headers"]:
        if key == b"traceparent":
            parent = value.decode("latin-1")
    if parent is None and _tracer() is None:
        return _UNTRACED  # nobody follows this request: spare it the span
    return _span(name, parent, {"http.request.method": scope["method"], "url.path": scope["path"]})


@contextmanager
def _span(name: str, parent: str | None, attributes: dict[str, str]) -> Iterator[None]:
    tracer = _tracer()
    if tracer is None:
        token = _current.set(new_traceparent(parent))
        try:
            yield
        finally:
            _current.reset(token)
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    context = propagator.extract({TRACEPARENT: parent} if parent else {})
    with tracer.start_as_current_span(name, context=context, attributes=attributes):
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        token = _current.set(carrier.get(TRACEPARENT))
        try:
            yield
        finally:
            _current.reset(token)


_made: "list[Tracer | None]" = []


def _tracer() -> "Tracer | None":
    if not _made:
        _made.append(_make_tracer())
    return _made[0]


def _make_tracer() -> "Tracer | None":
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_ENABLED", "true").lower() == "false":
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from common import product

    provider = TracerProvider(resource=Resource.create({"service.name": product.SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer(product.SERVICE, product.VERSION)
