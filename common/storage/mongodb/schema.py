"""Names and indexes of the collections (spec/storage.md §2.1, §2.5). Indexes are made once per collection.

Documents that grow old carry ``stored_at``, the time of their last write, and are removed by a TTL index on it. It is
not their own time, because recorded data that are replayed shall stay as long as live ones.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import OperationFailure

from common.models.rows import Family, dataset_id
from common.storage.mongodb.connection import Collection, Connection, faults
from common.storage.mongodb.documents import SHAPES
from common.times import SECOND_MS

DEAD_LETTERS: Final = "dead_letters"
ANALYTICS: Final = "analytics"
TTL_INDEX: Final = "ttl"

# Age in milliseconds at which documents are removed, by family, DEAD_LETTERS or ANALYTICS; nothing means never.
Ages = Mapping[str, int]

_OPTIONS_CONFLICT: Final = 85

_DEAD_LETTER_INDEXES: Final = (
    IndexModel([("timestamp", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("kind", ASCENDING), ("timestamp", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("reason", ASCENDING), ("timestamp", DESCENDING), ("_id", DESCENDING)]),
)
_ANALYTICS_INDEXES: Final = (
    IndexModel([("symbol", ASCENDING), ("timeframe", ASCENDING), ("timestamp", DESCENDING)]),
    IndexModel([("timeframe", ASCENDING), ("as_of", DESCENDING)]),
    IndexModel([("timestamp", DESCENDING)]),
)


def collection_name(family: Family, symbol: str, timeframe: str | None = None) -> str:
    """Return the collection of a series, which is its dataset: ``candles_BTCUSDT_1h``."""
    return dataset_id(family, symbol, timeframe)


def family_collections(names: Iterable[str], family: Family, symbol: str | None = None) -> list[str]:
    """Return those of the names that hold rows of a family (and of a symbol)."""
    start = f"{family}_" if symbol is None else f"{family}_{symbol}_"
    return [name for name in names if f"{name}_".startswith(start)]


class Indexes:
    """Makes the indexes of each collection before this process first writes to it.

    Args:
        connection: the database.
        ages: at which age documents are removed.
    """

    def __init__(self, connection: Connection, ages: Ages) -> None:
        self._connection = connection
        self._ages = ages
        self._made: set[str] = set()

    async def of_family(self, family: Family, name: str) -> Collection:
        """Return a collection of market data with its indexes."""
        tie = SHAPES[family].tie
        in_order = [("timestamp", ASCENDING)] if tie is None else [("timestamp", ASCENDING), (tie, ASCENDING)]
        return await self._with(
            name, family, IndexModel(in_order), IndexModel([("symbol", ASCENDING), ("timestamp", ASCENDING)])
        )

    async def of_dead_letters(self) -> Collection:
        """Return the collection of the dead letters with its indexes."""
        return await self._with(DEAD_LETTERS, DEAD_LETTERS, *_DEAD_LETTER_INDEXES)

    async def of_analytics(self, name: str) -> Collection:
        """Return a collection of computed documents with its indexes."""
        return await self._with(name, ANALYTICS, *_ANALYTICS_INDEXES)

    def forget(self) -> None:
        """Make them anew: the server was away and may have come back as another one."""
        self._made.clear()

    async def _with(self, name: str, kind: str, *indexes: IndexModel) -> Collection:
        collection = self._connection.collection(name)
        if name not in self._made:
            with faults():
                await collection.create_indexes(list(indexes))
                if kind in self._ages:
                    await self._expire(collection, self._ages[kind] // SECOND_MS)
            self._made.add(name)
        return collection

    async def _expire(self, collection: Collection, seconds: int) -> None:
        try:
            await collection.create_index("stored_at", name=TTL_INDEX, expireAfterSeconds=seconds)
        except OperationFailure as error:
            if error.code != _OPTIONS_CONFLICT:
                raise
            index = {"name": TTL_INDEX, "expireAfterSeconds": seconds}  # the setting was changed
            await self._connection.database.command("collMod", collection.name, index=index)
