"""Reads computed documents and shapes them as the routes show them."""

from collections.abc import Sequence
from typing import Any

from common.analytics.declaration import Field, Metric, collection_name
from common.analytics.document import BASIS
from common.clock import Clock
from common.errors import NotFound
from common.host.answers import pagination
from common.storage.ports import AnalyticsDocument, AnalyticsStore, Window
from common.times import to_iso
from functions.api_analysis.explanation import explained
from functions.api_analysis.models import ListingQuery, Selection, SeriesQuery, SingleQuery


class AnalysisReader:
    """Answers questions about analytics.

    Documents are selected by the instant that they are about, because that does not change when one is computed again.
    Without an ``end`` that of this very millisecond belongs to the answer.

    Every method raises ``StoreUnavailable`` when the store cannot be asked.
    """

    def __init__(self, store: AnalyticsStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def listing(self, metric: Metric, query: ListingQuery) -> dict[str, object]:
        """Return documents of one pair and timeframe."""
        name = metric.name
        series = (query.pair, name, query.period)
        window = Window(query.start, self.end_ms(query.end), query.limit, query.offset, query.sort_order)
        documents, history = await self._history(series, window, metric.fields_of(query.method))
        newest = await self._store.documents(*series, Window(limit=1))
        shown = max(documents, key=lambda document: document.as_of_ms, default=None)
        return {
            **_head(metric, query, query.period),
            **history,
            "metadata": {
                "data_completeness": None if shown is None else _completeness(shown),
                "last_updated": to_iso(newest[0].computed_at_ms) if newest else None,
                "collection": collection_name(query.pair, name),
                "records_returned": len(documents),
            },
            **_explanation(shown, query),
        }

    async def single(self, metric: Metric, query: SingleQuery) -> dict[str, object]:
        """Return the newest document of a pair, and those before it when the query asks for history.

        Raises:
            NotFound: there is none in the span that was asked for.
        """
        name = metric.name
        period = query.period if isinstance(query, SeriesQuery) else None
        series = (query.pair, name, period)
        window = Window(query.start, self.end_ms(query.end), query.history_limit, query.offset, query.sort_order)
        document = await self.newest(*series, start_ms=query.start, end_ms=query.end)
        if document is None:
            raise NotFound(f"No {name} data available for {' '.join(filter(None, (query.pair, period)))}")
        fields = metric.fields_of(query.method)
        _, history = await self._history(series, window, fields) if query.asks_for_history else ([document], {})
        return {
            **_head(metric, query, period),
            "data": _value(document, fields),
            **history,
            "metadata": {
                "timestamp": to_iso(document.computed_at_ms),
                "source": self._store.name,
                "collection": collection_name(query.pair, name),
                "data_completeness": _completeness(document),
            },
            **_explanation(document, query),
        }

    async def _history(
        self, series: tuple[str, str, str | None], window: Window, fields: Sequence[Field]
    ) -> tuple[list[AnalyticsDocument], dict[str, object]]:
        """Return the documents of a window, and the part of an answer that shows them."""
        documents = await self._store.documents(*series, window)
        total = await self._store.count_documents(*series, start_ms=window.start_ms, end_ms=window.end_ms)
        return documents, {
            "values": [_value(document, fields) for document in documents],
            "pagination": pagination(total, limit=window.limit, offset=window.offset),
        }

    async def newest(
        self, symbol: str, metric: str, period: str | None, *, start_ms: int | None = None, end_ms: int | None = None
    ) -> AnalyticsDocument | None:
        """Return the newest document of a span, if there is one."""
        window = Window(start_ms, self.end_ms(end_ms), limit=1, order="desc")
        found = await self._store.documents(symbol, metric, period, window)
        return found[0] if found else None

    async def documents(self, symbol: str, metric: str, period: str | None, window: Window) -> list[AnalyticsDocument]:
        """Return the documents of a window as they are stored."""
        return await self._store.documents(symbol, metric, period, window)

    def now_ms(self) -> int:
        """Return the present."""
        return self._clock.now_ms()

    def end_ms(self, asked_ms: int | None) -> int:
        """Return the end of a span: the one asked for, or just after the present."""
        return self.now_ms() + 1 if asked_ms is None else asked_ms


def basis_of(document: AnalyticsDocument) -> dict[str, object]:
    """Return what every document says besides its own fields."""
    times = {"timestamp": to_iso(document.computed_at_ms), "as_of": to_iso(document.as_of_ms)}
    return {field.name: document.body.get(field.key) for field in BASIS} | times


def _head(metric: Metric, query: Selection, period: str | None) -> dict[str, object]:
    """Return what an answer is about."""
    head = {"pair": query.pair} if period is None else {"pair": query.pair, "period": period}
    return {
        **head,
        "metric": metric.name,
        "method": query.method or metric.method,
        "window": query.window,
    }


def _value(document: AnalyticsDocument, fields: Sequence[Field]) -> dict[str, object]:
    return {**basis_of(document), **{field.name: document.body.get(field.key) for field in fields}}


def _completeness(document: AnalyticsDocument) -> object:
    """Return what a document says about its input."""
    metadata: Any = document.body.get("metadata", {})
    return metadata.get("completeness")


def _explanation(document: AnalyticsDocument | None, query: Selection) -> dict[str, object]:
    if not query.explain:
        return {}
    return {"explain": None if document is None else explained(document)}
