"""What a batch does to a collection: facts are inserted, competing rows are compared and exchanged.

No transaction spans documents, so a batch that is cut off in the middle is stored in part; sent again, it adds the
rest.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, ReadPreference, ReplaceOne
from pymongo.read_concern import ReadConcern

from common.errors import StoreUnavailable
from common.models.families import FAMILIES, Family
from common.models.precedence import Ordered, Precedence, Replacement
from common.models.rows import CandleRow, FundingRow
from common.storage.mongodb.changes import Changed
from common.storage.mongodb.connection import Collection, faults, refused
from common.storage.mongodb.documents import SHAPES, Document, Shape, stored_at, timed_id, version

# Rows that compete are keyed by symbol and time.
Row = TypeVar("Row", CandleRow, FundingRow)

Operation = InsertOne[RawBSONDocument] | ReplaceOne[RawBSONDocument]

_ROWS_AT_ONCE: Final = 2000  # what is made into documents before it is sent
_ROUNDS: Final = 50  # more than there can be writers of one candle
_PAUSE_S: Final = 0.002

# What a row is compared with has to stay: to a row that a majority does not hold yet a loser must not give way.
_CERTAIN: Final[dict[str, Any]] = {
    "read_concern": ReadConcern("majority"),
    "read_preference": ReadPreference.PRIMARY,
}


async def insert_facts(
    collection: Collection, family: Family, rows: Sequence[Any], stored_at_ms: int
) -> tuple[Changed, list[Any]]:
    """Insert rows whose key is new; returns what that changed, and the rows whose key was there."""
    write, tail = SHAPES[family].write, stored_at(stored_at_ms)
    new: list[Any] = []
    repeated: list[Any] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        documents = [RawBSONDocument(write(row, tail)) for row in part]
        lost = set(await refused(collection.insert_many(documents, ordered=False)))
        repeated += [part[position] for position in lost]
        new += [row for position, row in enumerate(part) if position not in lost] if lost else part
    return Changed.of(new) if repeated else Changed(inserted=len(rows)), repeated


class Contest(Generic[Row]):
    """A family whose rows compete: the greatest of a key stays, by ``common.models.precedence``.

    Every document counts its writes in ``version``. A row replaces exactly the version it was compared with; when
    another writer was faster, the replacement becomes an insert of a key that exists, which is refused, and the row
    is compared once more.
    """

    def __init__(self, shape: Shape, precedence: Precedence[Row]) -> None:
        self._shape = shape
        self._precedence: Precedence[Row] = precedence

    async def store(self, collection: Collection, rows: Iterable[Row], stored_at_ms: int) -> Changed:
        """Store the winners.

        Raises:
            StoreUnavailable: the server was away, or other writers were always faster.
        """
        pending = self._precedence.winners(rows)
        inserted: list[Row] = []
        updated: list[Row] = []
        for round_number in range(_ROUNDS):
            await asyncio.sleep(round_number * _PAUSE_S)
            attempts = await self._attempts(collection, pending, stored_at_ms)
            operations: Any = [attempt.operation for attempt in attempts]
            lost = set(await refused(collection.bulk_write(operations, ordered=False)) if operations else ())
            won = [attempt.replacement for position, attempt in enumerate(attempts) if position not in lost]
            inserted += [replacement.row for replacement in won if replacement.is_new]
            updated += [replacement.row for replacement in won if replacement.is_change and not replacement.is_new]
            pending = {attempts[position].key: attempts[position].row for position in lost}
            if not pending:
                return Changed.of(inserted, updated)
        raise StoreUnavailable(f"{collection.name} was written by too many at once")

    async def _attempts(
        self, collection: Collection, pending: dict[Ordered, Row], stored_at_ms: int
    ) -> "list[_Attempt[Row]]":
        identities = {key: timed_id(row.symbol, row.time_ms) for key, row in pending.items()}
        with faults():
            cursor = collection.with_options(**_CERTAIN).find(
                {"_id": {"$in": list(identities.values())}}, batch_size=len(identities)
            )
            stored = {document["_id"]: document for document in await cursor.to_list()}
        attempts = []
        for key, row in pending.items():
            found = stored.get(identities[key])
            replacement = self._precedence.replacement(self._row(found), row)
            if replacement is not None:
                operation = self._operation(replacement.row, found, stored_at_ms)
                attempts.append(_Attempt(key, row, replacement, operation))
        return attempts

    def _operation(self, row: Row, found: Document | None, stored_at_ms: int) -> Operation:
        if found is None:
            return InsertOne(self._document(row, stored_at_ms, 1))
        # A document of the original system has no version, and an absent field is found by asking for null.
        expected = found.get("version")
        document = self._document(row, stored_at_ms, (expected or 0) + 1)
        return ReplaceOne({"_id": found["_id"], "version": expected}, document, upsert=True)

    def _document(self, row: Row, stored_at_ms: int, number: int) -> RawBSONDocument:
        return RawBSONDocument(self._shape.write(row, stored_at(stored_at_ms) + version(number)))

    def _row(self, document: Document | None) -> Any:
        return None if document is None else self._shape.row(document)


class _Attempt(NamedTuple, Generic[Row]):
    key: Ordered
    row: Row
    replacement: Replacement[Row]
    operation: Operation


CONTESTS: Final[dict[Family, Contest[Any]]] = {
    family: Contest(SHAPES[family], spec.precedence) for family, spec in FAMILIES.items() if spec.precedence is not None
}
