"""Names and indexes of the collections (design.md, "Stores"). Indexes are made once per collection.

Documents that grow old carry ``stored_at``, the time of their last write, and are removed by a TTL index on it. It is
not their own time, because recorded data that are replayed shall stay as long as live ones.
"""

import asyncio
import contextvars
import logging
from collections.abc import Iterable, Mapping
from typing import Final

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import OperationFailure

from common.models.changes import CHANGES, CHANGES_AGE_MS, CONTRADICTIONS, CONTRADICTIONS_AGE_MS
from common.models.dead_letters import DEAD_LETTERS
from common.models.families import FAMILIES, Family
from common.storage.mongodb.connection import Collection, Connection, faults
from common.times import SECOND_MS

ANALYTICS: Final = "analytics"
TTL_INDEX: Final = "ttl"

# Age in milliseconds at which documents are removed, by family, DEAD_LETTERS or ANALYTICS; without an age they stay.
Ages = Mapping[str, int]

_EXISTS_OTHERWISE: Final = frozenset({85, 86})  # IndexOptionsConflict, IndexKeySpecsConflict
_NOT_THERE: Final = frozenset({26, 27})  # NamespaceNotFound, IndexNotFound

# An empty collection has its indexes at once. Those of a large one that is taken over may take hours: it is written to
# meanwhile.
_PATIENCE_S: Final = 1.0
_MOST_SECONDS: Final = 2**31 - 1

log = logging.getLogger(__name__)


def _expiring(age_ms: int) -> IndexModel:
    """Return the index of a collection whose documents go at an age that no setting changes."""
    return IndexModel([("stored_at", ASCENDING)], name="age", expireAfterSeconds=age_ms // SECOND_MS)


_DEAD_LETTER_INDEXES: Final = (
    IndexModel([("timestamp", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("kind", ASCENDING), ("timestamp", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("reason", ASCENDING), ("timestamp", DESCENDING), ("_id", DESCENDING)]),
)
_CONTRADICTION_INDEXES: Final = (
    IndexModel([("time_ms", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("dataset_id", ASCENDING), ("time_ms", DESCENDING), ("_id", DESCENDING)]),
    _expiring(CONTRADICTIONS_AGE_MS),
)
_ANALYTICS_INDEXES: Final = (
    IndexModel([("symbol", ASCENDING), ("timeframe", ASCENDING), ("timestamp", DESCENDING)]),
    IndexModel([("timeframe", ASCENDING), ("as_of", DESCENDING)]),
    IndexModel([("timestamp", DESCENDING)]),
    IndexModel([("as_of", ASCENDING)]),
)


def family_collections(names: Iterable[str], family: Family) -> list[str]:
    """Return those of the names that hold rows of a family."""
    return [name for name in names if name.startswith(f"{family}_")]


class Indexes:
    """Makes the indexes of each collection before this process first writes to it.

    Args:
        connection: the database.
        ages: at which age documents are removed.
    """

    def __init__(self, connection: Connection, ages: Ages) -> None:
        self._connection = connection
        self._ages = ages
        self._making: dict[str, asyncio.Task[None]] = {}

    async def of_family(self, family: Family, name: str) -> Collection:
        """Return a collection of market data with its indexes."""
        in_order = [(field, ASCENDING) for field in ("timestamp", *FAMILIES[family].order[1:])]
        return await self._with(
            name, family, IndexModel(in_order), IndexModel([("symbol", ASCENDING), ("timestamp", ASCENDING)])
        )

    async def of_dead_letters(self) -> Collection:
        """Return the collection of the dead letters with its indexes."""
        return await self._with(DEAD_LETTERS, DEAD_LETTERS, *_DEAD_LETTER_INDEXES)

    async def of_analytics(self, name: str) -> Collection:
        """Return a collection of computed documents with its indexes."""
        return await self._with(name, ANALYTICS, *_ANALYTICS_INDEXES)

    async def of_changes(self) -> Collection:
        """Return the collection of the changes, which go by their age."""
        return await self._with(CHANGES, CHANGES, _expiring(CHANGES_AGE_MS))

    async def of_contradictions(self) -> Collection:
        """Return the collection of contradicting facts with its indexes."""
        return await self._with(CONTRADICTIONS, CONTRADICTIONS, *_CONTRADICTION_INDEXES)

    def expires(self, kind: str) -> bool:
        """Tell whether the server removes documents of a kind by their age."""
        return kind in self._ages

    def forget(self) -> None:
        """Make them anew: the server was away and may have come back as another one."""
        self._making = {name: task for name, task in self._making.items() if not task.done()}

    async def stop(self) -> None:
        """Stop waiting for indexes that are being made; the server goes on with them."""
        making = [task for task in self._making.values() if not task.done()]
        for task in making:
            task.cancel()
        if making:
            await asyncio.wait(making, timeout=_PATIENCE_S)

    async def _with(self, name: str, kind: str, *indexes: IndexModel) -> Collection:
        collection = self._connection.collection(name)
        if name not in self._making:
            # In a context of its own: the bound on the write that is waiting would end a build in the middle.
            making = self._make(collection, indexes, self._ages.get(kind))
            self._making[name] = asyncio.create_task(making, context=contextvars.Context())
        task = self._making[name]
        if not task.done():
            await asyncio.wait({task}, timeout=_PATIENCE_S)
        if task.done():
            task.result()
        return collection

    async def _make(self, collection: Collection, indexes: Iterable[IndexModel], age_ms: int | None) -> None:
        with faults(), pymongo.timeout(None):
            for index in indexes:
                await _create(collection, index)
            if age_ms is None:
                await _drop_expiry(collection)
            else:
                await self._expire(collection, min(age_ms // SECOND_MS, _MOST_SECONDS))

    async def _expire(self, collection: Collection, seconds: int) -> None:
        try:
            await collection.create_index("stored_at", name=TTL_INDEX, expireAfterSeconds=seconds)
        except OperationFailure as error:
            if error.code not in _EXISTS_OTHERWISE:
                raise
            index = {"keyPattern": {"stored_at": 1}, "expireAfterSeconds": seconds}  # the setting was changed
            await self._connection.database.command("collMod", collection.name, index=index)


async def _create(collection: Collection, index: IndexModel) -> None:
    """Make an index, unless there is one of the same fields under another name or with other options."""
    try:
        await collection.create_indexes([index])
    except OperationFailure as error:
        if error.code not in _EXISTS_OTHERWISE:
            raise
        log.info("an index exists already in another form", extra={"collection": collection.name, "error": str(error)})


async def _drop_expiry(collection: Collection) -> None:
    """Remove the TTL index that an earlier setting made."""
    try:
        await collection.drop_index(TTL_INDEX)
    except OperationFailure as error:
        if error.code not in _NOT_THERE:
            raise
