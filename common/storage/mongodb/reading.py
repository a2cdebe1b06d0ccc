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
        return window.arranged(await cursor.to_list())


async def page(collection: Collection, family: Family, window: Window, *, counted: bool) -> Page[Any]:
    """Read rows of a series and, if wanted, its place in the series."""
    order = ["timestamp", *FAMILIES[family].order[1:]]
    row = SHAPES[family].row
    found = Page([row(document) for document in await documents(collection, {}, order, window)])
    if not counted:
        return found
    whole = await extent(collection, None)
    if whole.first_ms is None or whole.last_ms is None:
        return found
    total = await _total(collection, whole, window)
    if window.end_ms is None or window.end_ms > whole.last_ms:
        return Page(found.rows, total, whole.last_ms, whole.last_ms, None)
    before_ms = await end_of(collection, DESCENDING, end_ms=window.end_ms)
    after_ms = await end_of(collection, ASCENDING, start_ms=window.end_ms)
    return Page(found.rows, total, whole.last_ms, before_ms, after_ms)


def reconciled(page: Page[Any], window: Window) -> Page[Any]:
    """Return a page whose other fields do not deny what its rows show."""
    if not page.rows:
        return page
    shown, newest_ms = window.offset + len(page.rows), max(row.time_ms for row in page.rows)
    total = max(page.total, shown) if len(page.rows) == window.limit else shown
    latest = [max(newest_ms, time_ms or newest_ms) for time_ms in (page.newest_ms, page.before_ms)]
    return page._replace(total=total, newest_ms=latest[0], before_ms=latest[1])


async def _total(collection: Collection, whole: SeriesExtent, window: Window) -> int:
    """Count the documents in the range of a window; all of them are counted by the server."""
    start_ms = None if window.start_ms is None or window.start_ms <= (whole.first_ms or 0) else window.start_ms
    end_ms = None if window.end_ms is None or window.end_ms > (whole.last_ms or 0) else window.end_ms
    if start_ms is None and end_ms is None:
        return whole.rows
    with faults():
        return await collection.count_documents(time_range(start_ms, end_ms))


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
