"""Reads computed documents and shapes them as the routes show them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from common.analytics.declaration import Field, Metric, collection_name
from common.analytics.document import BASIS
from common.clock import Clock
from common.host.answers import Compat, pagination
from common.settings import Settings
from common.storage.ports import AnalyticsDocument, AnalyticsStore, Window
from common.times import SECOND_MS, to_iso
from functions.api_analysis.explanation import explained
from functions.api_analysis.freshness import data_status
from functions.api_analysis.models import HistoryQuery, ListingQuery, Selection, SeriesQuery, SingleQuery


class Reading(NamedTuple):
    """An answer, and the documents that say how old it is: of a history, the newest."""

    body: dict[str, Any]
    documents: Sequence[AnalyticsDocument] = ()


class AnalysisReader:
    """Answers questions about analytics.

    Documents are selected by the instant that they are about, because that does not change when one is computed again.
    Without an ``end`` that of this very millisecond belongs to the answer.

    Every method raises ``StoreUnavailable`` when the store cannot be asked.
    """

    def __init__(self, store: AnalyticsStore, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._interval_ms = settings.analytics_interval * SECOND_MS
        self._compat = Compat(settings.petrosa_compat)

    async def listing(self, metric: Metric, query: ListingQuery) -> Reading:
        """Return documents of one pair and timeframe."""
        series = (query.pair, metric.name, query.period)
        documents, block = await self.page(*series, query, limit=query.limit)
        fields = metric.fields_of(query.method)
        newest = await self.newest(*series)
        shown = max(documents, key=lambda document: document.as_of_ms, default=None)
        body = {
            **_head(metric, query, query.period),
            **self._compat.listed([_value(document, fields) for document in documents]),
            "pagination": block,
            "metadata": {
                "data_completeness": None if shown is None else completeness_of(shown),
                "last_updated": None if newest is None else to_iso(newest.computed_at_ms),
                "collection": collection_name(query.pair, metric.name),
                "records_returned": len(documents),
            },
        }
        if query.explain:
            body["explain"] = None if shown is None else explained(shown)
        return Reading(body, () if shown is None else (shown,))

    async def single(self, metric: Metric, query: SingleQuery) -> Reading:
        """Return the newest document of a pair, and those before it when the query asks for history.

        Raises:
            NotFound: there is none in the span that was asked for.
        """
        period = query.period if isinstance(query, SeriesQuery) else None
        series = (query.pair, metric.name, period)
        document = await self.newest(*series, start_ms=query.start, end_ms=query.end)
        head = _head(metric, query, period)
        if document is None:
            return self.missing(f"{metric.name} data available for {query.pair} {period or ''}", head, *series[:2])
        fields = metric.fields_of(query.method)
        body = {**head, "data": _value(document, fields)}
        if query.asks_for_history:
            documents, block = await self.page(*series, query, limit=query.history_limit)
            body |= {"values": [_value(one, fields) for one in documents], "pagination": block}
        body["metadata"] = {
            "timestamp": to_iso(document.computed_at_ms),
            "source": self._store.name,
            "collection": collection_name(query.pair, metric.name),
            "data_completeness": completeness_of(document),
        }
        if query.explain:
            body["explain"] = explained(document)
        return Reading(body, (document,))

    def missing(self, what: str, head: dict[str, object], symbol: str, metric: str) -> Reading:
        """Return the answer about a document that there is not.

        Raises:
            NotFound: unless there are programs that expect something else.
        """
        metadata = {
            "timestamp": to_iso(self.now_ms()),
            "source": self._store.name,
            "collection": collection_name(symbol, metric),
        }
        return Reading(self._compat.missing(f"No {what}".rstrip(), subject=head, metadata=metadata))

    async def page(
        self, symbol: str, metric: str, period: str | None, query: HistoryQuery | ListingQuery, *, limit: int
    ) -> tuple[list[AnalyticsDocument], dict[str, object]]:
        """Return the documents that a query asks for, and the pagination block."""
        window = Window(query.start, self._end_ms(query.end), limit, query.offset, query.sort_order)
        documents = await self.documents(symbol, metric, period, window)
        total = await self._store.count_documents(
            symbol, metric, period, start_ms=window.start_ms, end_ms=window.end_ms
        )
        return documents, pagination(total, limit=limit, offset=query.offset)

    async def newest(
        self, symbol: str, metric: str, period: str | None, *, start_ms: int | None = None, end_ms: int | None = None
    ) -> AnalyticsDocument | None:
        """Return the newest document of a span, if there is one."""
        window = Window(start_ms, self._end_ms(end_ms), limit=1, order="desc")
        found = await self.documents(symbol, metric, period, window)
        return found[0] if found else None

    async def documents(self, symbol: str, metric: str, period: str | None, window: Window) -> list[AnalyticsDocument]:
        """Return the documents of a window as they are stored."""
        return await self._store.documents(symbol, metric, period, window)

    def status_of(self, reading: Reading) -> str:
        """Return how old an answer is, as its header says it."""
        return data_status(reading.documents, self.now_ms(), self._interval_ms)

    def now_ms(self) -> int:
        """Return the present."""
        return self._clock.now_ms()

    def _end_ms(self, asked_ms: int | None) -> int:
        """Return the end of a span: the one asked for, or just after the present."""
        return self.now_ms() + 1 if asked_ms is None else asked_ms


def basis_of(document: AnalyticsDocument) -> dict[str, object]:
    """Return what every document says besides its own fields."""
    times = {"timestamp": to_iso(document.computed_at_ms), "as_of": to_iso(document.as_of_ms)}
    return {field.name: document.body.get(field.key) for field in BASIS} | times


def completeness_of(document: AnalyticsDocument) -> float | None:
    """Return what a document says about its input."""
    metadata: Any = document.body.get("metadata", {})
    share: float | None = metadata.get("completeness")
    return share


def _head(metric: Metric, query: Selection, period: str | None) -> dict[str, object]:
    """Return what an answer is about."""
    return {
        "pair": query.pair,
        **({} if period is None else {"period": period}),
        "metric": metric.name,
        "method": query.method or metric.method,
        "window": query.window,
    }


def _value(document: AnalyticsDocument, fields: Sequence[Field]) -> dict[str, object]:
    return {**basis_of(document), **{field.name: document.body.get(field.key) for field in fields}}
