"""Facts that were offered under the key of another one: found by comparing what was refused, and kept as evidence."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import DESCENDING

from common.models.changes import CONTRADICTIONS, CONTRADICTIONS_KEPT, Contradiction, fact_text
from common.models.families import FAMILIES, Family
from common.storage.mongodb.connection import Collection, Connection, faults, refused
from common.storage.mongodb.documents import SHAPES, Document, stored_at
from common.storage.mongodb.schema import Indexes
from common.storage.mongodb.times import stored_instant

_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)
# The part of a document that its row decides: without the length in front, and when it was stored behind.
_DECIDED: Final = slice(4, -(len(stored_at(0)) + 1))


class Contradictions:
    """The evidence of a database.

    Args:
        connection: the database.
        indexes: makes the indexes of the collection.
    """

    def __init__(self, connection: Connection, indexes: Indexes) -> None:
        self._connection = connection
        self._indexes = indexes

    async def keep(self, collection: Collection, family: Family, repeated: Sequence[Any], now_ms: int) -> int:
        """Compare facts whose key was there with what is stored under it; returns how many differ.

        Args:
            collection: where they are stored.
            family: what they are.
            repeated: the facts that were refused.
            now_ms: when they were offered.
        """
        suspects = await _unlike(collection, family, repeated)
        stored = await _stored(collection, family, suspects)
        name, key = collection.name, FAMILIES[family].identity
        found = [
            Contradiction(name, getattr(row, key), fact_text(stored[identity]), fact_text(row), now_ms)
            for row in suspects
            if (identity := _identity(family, row)) in stored and stored[identity] != row
        ]
        if found:
            evidence = await self._indexes.of_contradictions()
            documents = [_document(one) for one in found[:CONTRADICTIONS_KEPT]]
            await refused(evidence.insert_many(documents, ordered=False))
        return len(found)

    async def read(self, name: str | None, limit: int, offset: int) -> tuple[list[Contradiction], int]:
        """Read what is kept of one series or of all, newest first, and count it."""
        collection = self._connection.collection(CONTRADICTIONS)
        condition = {} if name is None else {"dataset_id": name}
        with faults():
            total = await collection.count_documents(condition)
            newest_first = [("time_ms", DESCENDING), ("_id", DESCENDING)]
            found = await collection.find(condition, sort=newest_first, skip=offset, limit=limit).to_list()
        return [Contradiction(*(document[field] for field in Contradiction._fields)) for document in found], total


async def _unlike(collection: Collection, family: Family, rows: Sequence[Any]) -> list[Any]:
    """Return the rows whose documents are not stored byte for byte: reading all of them costs far more."""
    write = SHAPES[family].write
    with faults():
        cursor = collection.with_options(codec_options=_RAW).find(
            {"_id": {"$in": [_identity(family, row) for row in rows]}}, batch_size=max(1, len(rows))
        )
        stored = {document.raw[_DECIDED] for document in await cursor.to_list()}
    return [row for row in rows if write(row, stored_at(0))[_DECIDED] not in stored]


async def _stored(collection: Collection, family: Family, rows: Sequence[Any]) -> dict[str, Any]:
    """Return the stored facts of the same keys by their ids."""
    if not rows:
        return {}
    with faults():
        cursor = collection.find({"_id": {"$in": [_identity(family, row) for row in rows]}})
        return {document["_id"]: SHAPES[family].row(document) for document in await cursor.to_list()}


def _identity(family: Family, row: Any) -> str:
    return f"{row.symbol}_{getattr(row, FAMILIES[family].identity)}"


def _document(one: Contradiction) -> Document:
    distinct = f"{one.dataset_id}\0{one.key}\0{one.offered}"
    identity = hashlib.blake2b(distinct.encode(), digest_size=16).hexdigest()
    return {"_id": identity, **one._asdict(), "stored_at": stored_instant(one.time_ms)}
