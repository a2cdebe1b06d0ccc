"""The event function around a calculator: a request in; load, compute, save; the computed document out.

A calculator itself is pure. When there is too little to compute from, or it is stale, there is no document: that is no
error, and is counted and logged.
"""

import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from prometheus_client import Counter, Histogram
from pydantic_core import to_json

from common.analytics.declaration import Metric
from common.analytics.document import Result, document_of
from common.analytics.window import Missing
from common.errors import InvalidEvent
from common.events.declaration import event_id
from common.events.envelope import Event
from common.events.own import AnalyticsComputed, AnalyticsRequested
from common.host import Context, Opening, event_function, opener
from common.host.event import HttpTarget
from common.storage.ports import AnalyticsDocument, AnalyticsStore, MarketStore
from common.timeframes import Timeframe

log = logging.getLogger(__name__)

# Whoever carries events has to take 64 KiB, headers included, and need not take more (CloudEvents 1.0, size limits).
MAX_TOLD_BYTES: Final = 56 * 1024

Inputs = TypeVar("Inputs")

# Reads just what a calculator needs, or tells why there can be no document.
Load = Callable[[MarketStore, Metric, AnalyticsRequested], Coroutine[Any, Any, Inputs | Missing]]
# The calculator: pure; one result for each document.
Compute = Callable[[Inputs], Sequence[Result]]

DOCUMENTS = Counter("data_manager_analytics_documents_total", "Requests by what became of them", ["metric", "result"])
SECONDS = Histogram(
    "data_manager_analytics_seconds",
    "Time that one request took in each of its parts: load, compute, save",
    ["metric", "part"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a calculator's function works with."""

    context: Context
    market: MarketStore
    analytics: AnalyticsStore


@opener
async def open_surroundings(opening: Opening) -> Surroundings:
    """Open the store of market data and that of documents."""
    return Surroundings(opening.context, await opening.market_store(), await opening.analytics_store())


@dataclass(frozen=True, slots=True)
class Calculation(Generic[Inputs]):
    """A calculator: its declaration, how its inputs are read, and what it makes of them.

    Attributes:
        metric: the declaration.
        load: reads the inputs of a request; ``load_history`` where they are the candles of the metric's window.
        compute: turns the inputs into results.
    """

    metric: Metric
    load: Load[Inputs]
    compute: Compute[Inputs]

    def decode(self, event: Event) -> AnalyticsRequested:
        """Read a request.

        Raises:
            MalformedEvent: the data is not JSON.
            InvalidEvent: a field is wrong, or the request is for another metric.
        """
        request = AnalyticsRequested.of(event)
        if request.metric != self.metric.name:
            raise InvalidEvent("metric", self.metric.name, request.metric)
        return request

    async def run(self, request: AnalyticsRequested, surroundings: Surroundings) -> list[AnalyticsDocument]:
        """Compute and store what was asked for; no documents when the inputs do not suffice.

        Raises:
            InvalidEvent: the request lacks what this metric needs.
            StoreUnavailable: nothing was stored; the request has to come again.
        """
        with self._timed("load"):
            inputs = await self.load(surroundings.market, self.metric, request)
        if isinstance(inputs, Missing):
            self._count_missing(inputs, request)
            return []
        with self._timed("compute"):
            documents = self._documents(inputs, request, surroundings.context.clock.now_ms())
        with self._timed("save"):
            await surroundings.analytics.save(documents)
        DOCUMENTS.labels(self.metric.name, "computed").inc(len(documents))
        return documents

    def _documents(self, inputs: Inputs, request: AnalyticsRequested, now_ms: int) -> list[AnalyticsDocument]:
        return [
            document_of(result, self.metric, request.timeframe, as_of_ms=request.as_of_ms, computed_at_ms=now_ms)
            for result in self.compute(inputs)
        ]

    def _count_missing(self, reason: Missing, request: AnalyticsRequested) -> None:
        DOCUMENTS.labels(self.metric.name, reason).inc()
        log.info(
            "no document",
            extra={
                "metric": self.metric.name,
                "reason": reason,
                "symbols": request.symbols,
                "timeframe": request.timeframe,
            },
        )

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        SECONDS.labels(self.metric.name, part).observe(time.perf_counter() - started)


def calculator_function(calculation: Calculation[Inputs]) -> HttpTarget:
    """Return the functions-framework target of a calculator, named as its metric."""

    async def target(event: Event, surroundings: Surroundings) -> list[Event]:
        documents = await calculation.run(calculation.decode(event), surroundings)
        return [computed_event(document, event, surroundings.context) for document in documents]

    target.__name__ = target.__qualname__ = calculation.metric.name
    return event_function(resources=open_surroundings)(target)


def computed_event(document: AnalyticsDocument, request: Event, context: Context) -> Event:
    """Return the event that tells of a document, which the request asked for."""
    body, omitted = told_body(document.body)
    data = AnalyticsComputed(
        metric=document.metric,
        symbol=document.symbol,
        timeframe=None if document.timeframe is None else Timeframe(document.timeframe),
        as_of_ms=document.as_of_ms,
        document=body,
        omitted=omitted,
    )
    source = f"/functions/{context.name}"
    return data.to_event(source=source, cause=event_id(request.id, "computed"), time_ms=document.computed_at_ms)


def told_body(body: Mapping[str, object]) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """Return what an event tells of a document, and which fields it leaves out: the largest, while it is too large."""
    sizes = {name: len(to_json(value)) + len(name) for name, value in body.items()}
    excess, omitted = sum(sizes.values()) - MAX_TOLD_BYTES, []
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess <= 0:
            break
        omitted.append(name)
        excess -= sizes[name]
    return {name: value for name, value in body.items() if name not in omitted}, tuple(omitted)
