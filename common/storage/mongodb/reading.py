"""Ranges of a series, its extent, and the dead letters. Limit, order and offset are pushed into the query."""

from typing import Any, Final

from pymongo import ASCENDING, DESCENDING

from common.models.dead_letters import DeadLetter, Reason
from common.models.rows import Family, MarketRow
from common.storage.mongodb.connection import Collection, all_of, faults
from common.storage.mongodb.documents import SHAPES, Document, dead_letter_of
from common.storage.mongodb.times import instant_ms, stored_instant
from common.storage.ports import SeriesExtent, Window

_NOTHING: Final = SeriesExtent(0, None, None)
_LARGEST_BATCH: Final = 10_000


def time_range(start_ms: int | None, end_ms: int | None, field: str = "timestamp") -> Document:
    """Return the filter of a half-open range; an open side sets no bound. What has no such instant is not meant."""
    bounds = {"$gte": start_ms, "$lt": end_ms}
    given = {name: stored_instant(bound) for name, bound in bounds.items() if bound is not None}
    return {field: {"$type": "date", **given}}


async def page(
    collection: Collection, condition: Document, order: list[str], window: Window, field: str = "timestamp"
) -> list[Document]:
    """Read the documents of a window.

    Args:
        collection: where from.
        condition: which documents besides the range.
        order: the fields that order them, ascending.
        window: which of them.
        field: the instant that the window bounds.
    """
    if window.limit == 0:
        return []
    direction = DESCENDING if window.from_newest else ASCENDING
    with faults():
        cursor = collection.find(
            {**condition, **time_range(window.start_ms, window.end_ms, field)},
            sort=[(name, direction) for name in order],
            skip=window.offset,
            limit=window.limit,
            batch_size=min(window.limit, _LARGEST_BATCH),
        )
        documents = await cursor.to_list()
    if window.from_newest != (window.order == "desc"):
        documents.reverse()
    return documents


async def rows(collection: Collection, family: Family, window: Window) -> list[Any]:
    """Read the rows of a series."""
    shape = SHAPES[family]
    order = ["timestamp"] if shape.tie is None else ["timestamp", shape.tie]
    found: list[MarketRow] = [shape.row(document) for document in await page(collection, {}, order, window)]
    return found


async def extent(collections: list[Collection], end_ms: int | None) -> SeriesExtent:
    """Count the documents of some collections and find the first and last time."""
    parts = [part for part in await all_of(_extent(collection, end_ms) for collection in collections) if part.rows]
    if not parts:
        return _NOTHING
    firsts = [part.first_ms for part in parts if part.first_ms is not None]
    lasts = [part.last_ms for part in parts if part.last_ms is not None]
    return SeriesExtent(sum(part.rows for part in parts), min(firsts, default=None), max(lasts, default=None))


async def _extent(collection: Collection, end_ms: int | None) -> SeriesExtent:
    first = await end_of(collection, ASCENDING, end_ms)
    last = await end_of(collection, DESCENDING, end_ms)
    if first is None:
        return _NOTHING
    with faults():
        if end_ms is None:
            count = await collection.estimated_document_count()  # kept by the server, however many there are
        else:
            count = await collection.count_documents(time_range(None, end_ms))
    return SeriesExtent(count, first, last)


async def end_of(collection: Collection, direction: int, end_ms: int | None = None) -> int | None:
    """Return the first (ascending) or last time of a collection, or nothing when it is empty."""
    with faults():
        found = await collection.find_one(
            time_range(None, end_ms), projection={"timestamp": True}, sort=[("timestamp", direction)]
        )
    return None if found is None else instant_ms(found["timestamp"])


async def dead_letters(
    collection: Collection, kind: str | None, reason: Reason | None, limit: int, offset: int
) -> tuple[list[DeadLetter], int]:
    """Read one page of dead letters, newest first, and count all that match."""
    filters = {"kind": kind, "reason": None if reason is None else reason.value}
    condition = {field: value for field, value in filters.items() if value is not None}
    newest_first = Window(limit=limit, offset=offset, order="desc")
    documents = await page(collection, condition, ["timestamp", "_id"], newest_first)
    with faults():
        total = await (collection.count_documents(condition) if condition else collection.estimated_document_count())
    return [dead_letter_of(document) for document in documents], total
