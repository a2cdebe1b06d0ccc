"""Ranges of a series, its extent, and the dead letters. Limit, order and offset are pushed into the query."""

from collections.abc import Sequence
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING

from common.models.dead_letters import DeadLetter, Reason
from common.models.families import FAMILIES, Family
from common.storage.mongodb.connection import Collection, faults
from common.storage.mongodb.documents import SHAPES, Document, dead_letter_of
from common.storage.mongodb.times import instant_ms, stored_instant
from common.storage.ports import Page, SeriesExtent, Window

_NOTHING: Final = SeriesExtent(0, None, None)
_LARGEST_BATCH: Final = 10_000


def time_range(start_ms: int | None, end_ms: int | None, field: str = "timestamp") -> Document:
    """Return the filter of a half-open range; an open side sets no bound. What has no such instant is not meant."""
    bounds = {"$gte": start_ms, "$lt": end_ms}
    given = {name: stored_instant(bound) for name, bound in bounds.items() if bound is not None}
    return {field: {"$type": "date", **given}}


async def documents(
    collection: Collection,
    condition: Document,
    order: Sequence[str],
    window: Window,
    field: str = "timestamp",
    *,
    without: Sequence[str] = (),
) -> list[Document]:
    """Read the documents of a window.

    Args:
        collection: where from.
        condition: which documents besides the range.
        order: the fields that order them, ascending.
        window: which of them.
        field: the instant that the window bounds.
        without: fields that are left out.
    """
    if window.limit == 0:
        return []
    direction = DESCENDING if window.from_newest else ASCENDING
    with faults():
        cursor = collection.find(
            {**condition, **time_range(window.start_ms, window.end_ms, field)},
            projection=dict.fromkeys(without, False) or None,
            sort=[(name, direction) for name in order],
            skip=window.offset,
            limit=window.limit,
            batch_size=min(window.limit, _LARGEST_BATCH),
        )
        documents = await cursor.to_list()
    if window.from_newest != (window.order == "desc"):
        documents.reverse()
    return documents


async def page(collection: Collection, family: Family, window: Window, *, counted: bool) -> Page[Any]:
    """Read rows of a series and, if wanted, its place in the series."""
    order = ["timestamp", *FAMILIES[family].order[1:]]
    row = SHAPES[family].row
    found = Page([row(document) for document in await documents(collection, {}, order, window)])
    if not counted:
        return found
    whole = await extent(collection, None)
    before = await extent(collection, window.end_ms)
    left_out = 0 if window.start_ms is None else (await extent(collection, window.start_ms)).rows
    after_ms = None if window.end_ms is None else await end_of(collection, ASCENDING, start_ms=window.end_ms)
    return Page(found.rows, max(0, before.rows - left_out), whole.last_ms, before.last_ms, after_ms)


async def extent(collection: Collection, end_ms: int | None) -> SeriesExtent:
    """Count the documents of a collection and find the first and last time."""
    first = await end_of(collection, ASCENDING, end_ms=end_ms)
    last = await end_of(collection, DESCENDING, end_ms=end_ms)
    if first is None:
        return _NOTHING
    with faults():
        if end_ms is None:
            count = await collection.estimated_document_count()  # kept by the server, however many there are
        else:
            count = await collection.count_documents(time_range(None, end_ms))
    return SeriesExtent(count, first, last)


async def end_of(
    collection: Collection, direction: int, *, start_ms: int | None = None, end_ms: int | None = None
) -> int | None:
    """Return the first (ascending) or last time in a range of a collection, or ``None`` when there is none."""
    with faults():
        found = await collection.find_one(
            time_range(start_ms, end_ms), projection={"timestamp": True}, sort=[("timestamp", direction)]
        )
    return None if found is None else instant_ms(found["timestamp"])


async def dead_letters(
    collection: Collection, kind: str | None, reason: Reason | None, limit: int, offset: int
) -> tuple[list[DeadLetter], int]:
    """Read one page of dead letters, newest first, and count all that match."""
    filters = {"kind": kind, "reason": None if reason is None else reason.value}
    condition = {field: value for field, value in filters.items() if value is not None}
    newest_first = Window(limit=limit, offset=offset, order="desc")
    found = await documents(collection, condition, ["timestamp", "_id"], newest_first, without=["payload"])
    with faults():
        total = await (collection.count_documents(condition) if condition else collection.estimated_document_count())
    return [dead_letter_of(document) for document in found], total


async def dead_letter(collection: Collection, dead_letter_id: str) -> DeadLetter | None:
    """Read one dead letter, whole."""
    with faults():
        found = await collection.find_one({"_id": dead_letter_id})
    return None if found is None else dead_letter_of(found)
