"""Deletes what is older than an instant, the oldest first, a bounded number at a time."""

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any

from pymongo import ASCENDING

from common.storage.mongodb.connection import Collection, all_of, faults
from common.storage.mongodb.reading import time_range
from common.storage.mongodb.times import instant_ms

_Old = tuple[int, int, Any]


async def delete_before(
    collections: Sequence[Collection], cutoff_ms: int, limit: int, *, field: str = "timestamp"
) -> int:
    """Delete the oldest documents over all collections; at most ``limit`` of those before ``cutoff_ms``."""
    found = await all_of(_oldest(index, each, cutoff_ms, limit, field) for index, each in enumerate(collections))
    chosen = list(islice(merge(*found, key=itemgetter(0, 1)), limit))
    identities: dict[int, list[Any]] = {}
    for _, index, identity in chosen:
        identities.setdefault(index, []).append(identity)
    deleted = await all_of(_delete(collections[index], chosen) for index, chosen in identities.items())
    return sum(deleted)


async def _oldest(index: int, collection: Collection, cutoff_ms: int, limit: int, field: str) -> list[_Old]:
    with faults():
        cursor = collection.find(
            time_range(None, cutoff_ms, field), projection={field: True}, sort=[(field, ASCENDING)], limit=limit
        )
        return [(instant_ms(document[field]), index, document["_id"]) for document in await cursor.to_list()]


async def _delete(collection: Collection, identities: list[Any]) -> int:
    with faults():
        result = await collection.delete_many({"_id": {"$in": identities}})
    return result.deleted_count
