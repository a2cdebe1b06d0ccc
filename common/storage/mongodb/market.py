"""The market store on MongoDB: market data and dead letters, one collection per series."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from bson.raw_bson import RawBSONDocument
from pymongo import DESCENDING

from common.errors import StoreUnavailable
from common.models.dead_letters import DEAD_LETTERS, DeadLetter, Reason
from common.models.families import FAMILIES, Family, Series, dataset_id
from common.models.rows import MarketRow
from common.storage.columns import CandleColumns
from common.storage.mongodb import deletion, reading
from common.storage.mongodb.base import MongoStore
from common.storage.mongodb.connection import Collection, all_of, bounded, faults
from common.storage.mongodb.documents import SHAPES, dead_letter_document, stored_at
from common.storage.mongodb.schema import family_collections
from common.storage.mongodb.writing import CONTESTS, Changed, insert
from common.storage.ports import Page, Part, SeriesExtent, Window, WriteCounts

_ROWS_AT_ONCE: Final = 2000  # what is made into documents before it is sent


class MongoMarketStore(MongoStore):
    """``MarketStore`` on MongoDB."""

    @bounded
    async def write(self, parts: Sequence[Part], dead_letters: Sequence[DeadLetter] = ()) -> WriteCounts:
        """Store the rows of a batch and its dead letters; after a failure, send both again."""
        series = [(part.family, name, rows) for part in parts for name, rows in _by_series(part).items()]
        now_ms = self._clock.now_ms()
        try:
            changes = await all_of(self._store(*one, now_ms) for one in series)
            set_aside = await self._store_dead_letters(dead_letters, now_ms)
        except StoreUnavailable:
            self._indexes.forget()
            raise
        inserted = sum(change.inserted for change in changes)
        updated = sum(change.updated for change in changes)
        return WriteCounts(inserted, updated, sum(len(part.rows) for part in parts) - inserted - updated, set_aside)

    async def _store(self, family: Family, name: str, rows: Sequence[Any], now_ms: int) -> Changed:
        collection = await self._indexes.of_family(family, name)
        contest = CONTESTS.get(family)
        if contest is not None:
            return await contest.store(collection, rows, now_ms)
        write, tail = SHAPES[family].write, stored_at(now_ms)
        inserted = 0
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            documents = [RawBSONDocument(write(row, tail)) for row in rows[start : start + _ROWS_AT_ONCE]]
            inserted += await insert(collection, documents)
        return Changed(inserted=inserted)

    async def _store_dead_letters(self, letters: Sequence[DeadLetter], now_ms: int) -> int:
        if not letters:
            return 0
        collection = await self._indexes.of_dead_letters()
        return await insert(collection, [dead_letter_document(letter, now_ms) for letter in letters])

    @bounded
    async def page(self, series: Series, window: Window, *, counted: bool = True) -> Page[Any]:
        """Read rows of a series, and its place in the series."""
        return await reading.page(self._collection(series), series.family, window, counted=counted)

    @bounded
    async def columns(
        self, series: Series, *, end_ms: int, bars: int | None = None, start_ms: int | None = None
    ) -> CandleColumns:
        """Read closed candles that had closed by ``end_ms`` into numpy arrays, ascending."""
        from common.storage.mongodb.arrays import candle_columns  # numpy loads where it is used

        return await candle_columns(self._collection(series), (start_ms, end_ms - series.interval_ms), bars)

    @bounded
    async def extent(self, series: Series, *, end_ms: int | None = None) -> SeriesExtent:
        """Count the rows of a series and find its ends."""
        return await reading.extent(self._collection(series), end_ms)

    @bounded
    async def totals(self) -> Mapping[Family, int]:
        """Count the rows of each family over all symbols, by the server's own counts: exact but after a crash of it."""
        names = await self.connection.collection_names()
        owners = [(family, name) for family in Family for name in family_collections(names, family)]
        counts = await all_of(self._count(name) for _, name in owners)
        totals = dict.fromkeys(Family, 0)
        for (family, _), count in zip(owners, counts, strict=True):
            totals[family] += count
        return totals

    @bounded
    async def dead_letters(
        self, *, kind: str | None = None, reason: Reason | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[DeadLetter], int]:
        """Read dead letters without their payloads, newest first, and count all that match."""
        return await reading.dead_letters(self.connection.collection(DEAD_LETTERS), kind, reason, limit, offset)

    @bounded
    async def dead_letter(self, dead_letter_id: str) -> DeadLetter | None:
        """Read one dead letter, whole."""
        return await reading.dead_letter(self.connection.collection(DEAD_LETTERS), dead_letter_id)

    @bounded
    async def delete(self, what: Family | Literal["dead_letters"], before_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` of the rows older than ``before_ms`` and return how many went."""
        if what == DEAD_LETTERS:
            return await deletion.delete_before([self.connection.collection(DEAD_LETTERS)], before_ms, limit)
        return await deletion.delete_before(await self._collections(Family(what)), before_ms, limit)

    @bounded
    async def newest_ms(self, family: Family) -> int | None:
        """Return the time of the newest row of a family over all symbols."""
        collections = await self._collections(family)
        times = await all_of(reading.end_of(collection, DESCENDING) for collection in collections)
        return max((time_ms for time_ms in times if time_ms is not None), default=None)

    async def revision(self, series: Series) -> object | None:  # noqa: ARG002 - the port's signature
        """Return ``None``: the server keeps no count of a collection's changes."""
        return None

    def _collection(self, series: Series) -> Collection:
        return self.connection.collection(series.dataset_id)

    async def _collections(self, family: Family) -> list[Collection]:
        names = family_collections(await self.connection.collection_names(), family)
        return [self.connection.collection(name) for name in names]

    async def _count(self, name: str) -> int:
        with faults():
            return await self.connection.collection(name).estimated_document_count()


def _by_series(part: Part) -> dict[str, list[MarketRow]]:
    """Return the rows of each collection."""
    width = len(FAMILIES[part.family].scope)
    series: defaultdict[tuple[Any, ...], list[MarketRow]] = defaultdict(list)
    for row in part.rows:
        series[row[:width]].append(row)
    return {dataset_id(part.family, *scope): rows for scope, rows in series.items()}
