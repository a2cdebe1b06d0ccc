"""Reads computed documents and shapes them as the routes show them."""

from collections.abc import Mapping
from typing import Any

from common.clock import Clock
from common.host.parameters import pagination
from common.storage.ports import AnalyticsDocument, AnalyticsStore, Window
from common.times import to_iso
from functions.api_analysis.listings import Listing
from functions.api_analysis.models import ListingQuery


class AnalysisReader:
    """Answers questions about analytics.

    Every method raises ``StoreUnavailable`` when the store cannot be asked.
    """

    def __init__(self, store: AnalyticsStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def listing(self, listing: Listing, query: ListingQuery) -> dict[str, object]:
        """Return documents of one pair and timeframe.

        Documents are selected by the instant that they are about, because that does not change when one is computed
        again. Without an ``end`` that of this very millisecond belongs to the answer.
        """
        name = listing.metric.name
        end_ms = self._clock.now_ms() + 1 if query.end is None else query.end
        window = Window(query.start, end_ms, query.limit, query.offset, query.sort_order)
        series = (query.pair, name, query.period)
        documents = await self._store.documents(*series, window)
        newest = await self._store.documents(*series, Window(limit=1))
        total = await self._store.count_documents(*series, start_ms=query.start, end_ms=end_ms)
        fields = listing.fields_of(query.method)
        return {
            "pair": query.pair,
            "period": query.period,
            "metric": name,
            "method": query.method or listing.metric.method,
            "window": query.window,
            "values": [_value(document, fields) for document in documents],
            "pagination": pagination(total, limit=query.limit, offset=query.offset),
            "metadata": {
                "data_completeness": _completeness(documents),
                "last_updated": to_iso(newest[0].computed_at_ms) if newest else None,
                "collection": f"analytics_{query.pair}_{name}",
                "records_returned": len(documents),
            },
        }


def _value(document: AnalyticsDocument, fields: Mapping[str, str]) -> dict[str, object]:
    body = document.body
    return {
        "timestamp": to_iso(document.computed_at_ms),
        "as_of": to_iso(document.as_of_ms),
        "data_until": body.get("data_until"),
        "rows_used": body.get("rows_used"),
        "warmup_complete": body.get("warmup_complete"),
        **{key: body.get(stored) for key, stored in fields.items()},
    }


def _completeness(documents: list[AnalyticsDocument]) -> object:
    """Return what the newest of the documents says about its input."""
    if not documents:
        return None
    newest = max(documents, key=lambda document: document.as_of_ms)
    metadata: Any = newest.body.get("metadata", {})
    return metadata.get("completeness")
