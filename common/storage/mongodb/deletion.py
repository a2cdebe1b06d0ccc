"""Deletes what is older than an instant, the oldest first, a bounded number at a time."""

from collections.abc import Mapping, Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from pymongo import ASCENDING

from common.storage.mongodb.connection import Collection, Connection, all_of, faults
from common.storage.mongodb.reading import time_range
from common.storage.mongodb.times import instant_ms


class Old(NamedTuple):
    """A document that is too old: when, of which series, where, and which."""

    time_ms: int
    series: str
    collection: str
    identity: Any


async def oldest(
    collections: Sequence[Collection],
    cutoff_ms: int,
    limit: int,
    *,
    field: str = "timestamp",
    part: str | None = None,
) -> dict[str, list[Old]]:
    """Return the oldest documents over all collections, by series.

    Args:
        collections: where to look.
        cutoff_ms: documents before this are old.
        limit: how many at most.
        field: the instant that counts.
        part: the field by which a collection holds several series.
    """
    found = await all_of(_oldest(each, cutoff_ms, limit, field, part) for each in collections)
    chosen: dict[str, list[Old]] = {}
    for old in islice(merge(*found, key=itemgetter(0, 2)), limit):
        chosen.setdefault(old.series, []).append(old)
    return chosen


async def delete(connection: Connection, chosen: Mapping[str, Sequence[Old]]) -> dict[str, int]:
    """Delete documents and return how many went, by series."""
    calls = (
        _delete(connection.collection(part[0].collection), [old.identity for old in part]) for part in chosen.values()
    )
    return dict(zip(chosen, await all_of(calls), strict=True))


async def _oldest(collection: Collection, cutoff_ms: int, limit: int, field: str, part: str | None) -> list[Old]:
    shown = [field] if part is None else [field, part]
    with faults():
        cursor = collection.find(
            time_range(None, cutoff_ms, field), projection=shown, sort=[(field, ASCENDING)], limit=limit
        )
        found = await cursor.to_list()
    name = collection.name
    series = [name if part is None or not document[part] else f"{name}_{document[part]}" for document in found]
    return [
        Old(instant_ms(document[field]), one, name, document["_id"])
        for one, document in zip(series, found, strict=True)
    ]


async def _delete(collection: Collection, identities: list[Any]) -> int:
    with faults():
        result = await collection.delete_many({"_id": {"$in": identities}})
    return result.deleted_count
