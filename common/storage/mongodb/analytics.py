"""The analytics store on MongoDB: computed documents, one collection per symbol and metric.

A document's fields stand at its top level, as readers of the original system expect them, with the keys of the
document (symbol, metric, timeframe, ``as_of``, and ``timestamp``, when it was computed) beside them.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from pymongo import DESCENDING, ReplaceOne

from common.analytics.declaration import collection_name
from common.errors import StoreUnavailable
from common.storage.mongodb import deletion, reading
from common.storage.mongodb.base import MongoStore
from common.storage.mongodb.bodies import body_of, stored_body
from common.storage.mongodb.changes import Changed, Span
from common.storage.mongodb.connection import Collection, all_of, bounded, faults
from common.storage.mongodb.documents import Document
from common.storage.mongodb.schema import ANALYTICS
from common.storage.mongodb.times import instant_ms, stored_instant
from common.storage.ports import AnalyticsDocument, Window

_PREFIX: Final = f"{ANALYTICS}_"
# What the body says itself where its fields and the document's keys differ: the fields that it lacks, and its own
# values of the others.
_LACKING: Final = "lacking_fields"
_OWN: Final = "own_fields"
_INTERNAL: Final = frozenset({"_id", "stored_at", _LACKING, _OWN})


class MongoAnalyticsStore(MongoStore):
    """``AnalyticsStore`` on MongoDB."""

    @bounded
    async def save(self, documents: Sequence[AnalyticsDocument]) -> int:
        """Store documents, replacing those of the same key; returns how many were written."""
        now_ms = self._clock.now_ms()
        parts: defaultdict[str, dict[str, AnalyticsDocument]] = defaultdict(dict)
        for document in documents:
            parts[document.dataset_id][_identity(document)] = document
        spans = {name: Span.of([one.as_of_ms for one in part.values()]) for name, part in parts.items()}
        try:
            async with self._changes.recorded(spans, totals=[ANALYTICS]) as done:
                written = await all_of(self._replace(list(part.values()), now_ms) for part in parts.values())
                done.update(zip(parts, written, strict=True))
        except StoreUnavailable:
            self._indexes.forget()
            raise
        return len(documents)

    async def _replace(self, documents: Sequence[AnalyticsDocument], now_ms: int) -> Changed:
        collection = await self._indexes.of_analytics(collection_name(documents[0].symbol, documents[0].metric))
        replacements = [
            ReplaceOne({"_id": _identity(document)}, _stored(document, now_ms), upsert=True) for document in documents
        ]
        with faults():
            result = await collection.bulk_write(replacements, ordered=False)
        return Changed(inserted=result.upserted_count, updated=result.matched_count)

    @bounded
    async def documents(
        self, symbol: str, metric: str, timeframe: str | None, window: Window
    ) -> list[AnalyticsDocument]:
        """Read documents by ``as_of_ms``."""
        collection = self.connection.collection(collection_name(symbol, metric))
        found = await reading.documents(collection, {"timeframe": timeframe}, ["as_of"], window, "as_of")
        return [_document(symbol, metric, timeframe, stored) for stored in found]

    @bounded
    async def count_documents(
        self,
        symbol: str,
        metric: str,
        timeframe: str | None,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> int:
        """Count the documents of a range of ``as_of_ms``."""
        collection = self.connection.collection(collection_name(symbol, metric))
        condition = {"timeframe": timeframe, **reading.time_range(start_ms, end_ms, "as_of")}
        with faults():
            return await collection.count_documents(condition)

    @bounded
    async def newest_computed_at(self, metric: str | None = None) -> int | None:
        """Return when the newest document (of a metric) was computed, or None."""
        collections = await self._collections(metric)
        times = await all_of(reading.end_of(collection, DESCENDING) for collection in collections)
        return max((time_ms for time_ms in times if time_ms is not None), default=None)

    @bounded
    async def revision(self) -> object | None:
        """Return a token that changes with every change to documents; ``None`` while they are written."""
        return await self._revision(ANALYTICS, ANALYTICS)

    @bounded
    async def delete_analytics_before(self, cutoff_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` documents as of a time before ``cutoff_ms``, the oldest first."""
        old = await deletion.oldest(await self._collections(None), cutoff_ms, limit, field="as_of", part="timeframe")
        return await self._delete(old, totals=[ANALYTICS])

    async def _collections(self, metric: str | None) -> list[Collection]:
        names = await self.connection.collection_names()
        return [
            self.connection.collection(name)
            for name in names
            if name.startswith(_PREFIX) and (metric is None or name.removeprefix(ANALYTICS).endswith(f"_{metric}"))
        ]


def _identity(document: AnalyticsDocument) -> str:
    return f"{document.symbol}_{document.timeframe or 'all'}_{document.as_of_ms}"


def _stored(document: AnalyticsDocument, stored_at_ms: int) -> Document:
    keys: Document = {
        "symbol": document.symbol,
        "metric": document.metric,
        "timeframe": document.timeframe,
        "timestamp": stored_instant(document.computed_at_ms),
        "as_of": stored_instant(document.as_of_ms),
    }
    body: Document = stored_body(document.body)
    return {
        "_id": _identity(document),
        **body,
        **keys,
        "stored_at": stored_instant(stored_at_ms),
        _LACKING: [name for name in keys if name not in body],
        _OWN: {name: body[name] for name, value in keys.items() if name in body and body[name] != value},
    }


def _document(symbol: str, metric: str, timeframe: str | None, stored: Document) -> AnalyticsDocument:
    hidden = _INTERNAL.union(stored[_LACKING])
    body: dict[str, Any] = {name: body_of(value) for name, value in stored.items() if name not in hidden}
    body |= body_of(stored[_OWN])
    as_of_ms, computed_at_ms = instant_ms(stored["as_of"]), instant_ms(stored["timestamp"])
    return AnalyticsDocument(symbol, metric, timeframe, as_of_ms, computed_at_ms, body)
