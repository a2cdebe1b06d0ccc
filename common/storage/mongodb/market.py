"""The market store on MongoDB: market data and dead letters, one collection per series."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from pymongo import DESCENDING

from common.clock import Clock
from common.errors import StoreUnavailable
from common.models.changes import Contradiction
from common.models.dead_letters import DEAD_LETTERS, DeadLetter, Reason
from common.models.families import FAMILIES, Family, Series, dataset_id
from common.models.rows import MarketRow
from common.storage.columns import CandleColumns
from common.storage.mongodb import deletion, reading
from common.storage.mongodb.base import MongoStore
from common.storage.mongodb.changes import Changed, Span
from common.storage.mongodb.connection import Collection, Connection, all_of, bounded, faults, refused
from common.storage.mongodb.contradictions import Contradictions
from common.storage.mongodb.documents import dead_letter_document
from common.storage.mongodb.schema import Ages, family_collections
from common.storage.mongodb.writing import CONTESTS, insert_facts
from common.storage.ports import Page, Part, SeriesExtent, Window, WriteCounts

_READINGS: Final = 3  # of one page, until nobody wrote meanwhile
_PAUSE_S: Final = 0.003


class MongoMarketStore(MongoStore):
    """``MarketStore`` on MongoDB."""

    def __init__(self, connection: Connection, ages: Ages, clock: Clock) -> None:
        super().__init__(connection, ages, clock)
        self._contradictions = Contradictions(connection, self._indexes)

    @bounded
    async def write(self, parts: Sequence[Part], dead_letters: Sequence[DeadLetter] = ()) -> WriteCounts:
        """Store the rows of a batch and its dead letters; after a failure, send both again."""
        batch = _by_series(parts)
        spans = {name: Span.of([row.time_ms for row in rows]) for (_, name), rows in batch.items()}
        now_ms = self._clock.now_ms()
        try:
            async with self._changes.recorded(spans) as done:
                outcomes = await all_of(self._store(*one, rows, now_ms) for one, rows in batch.items())
                done.update(zip(spans, (outcome.changed for outcome in outcomes), strict=True))
            set_aside = await self._store_dead_letters(dead_letters, now_ms)
        except StoreUnavailable:
            self._indexes.forget()
            raise
        inserted = sum(outcome.changed.inserted for outcome in outcomes)
        updated = sum(outcome.changed.updated for outcome in outcomes)
        contradicted = sum(outcome.contradicted for outcome in outcomes)
        unchanged = sum(map(len, batch.values())) - inserted - updated - contradicted
        return WriteCounts(inserted, updated, unchanged, contradicted, set_aside)

    async def _store(self, family: Family, name: str, rows: Sequence[Any], now_ms: int) -> "_Outcome":
        collection = await self._indexes.of_family(family, name)
        contest = CONTESTS.get(family)
        if contest is not None:
            return _Outcome(await contest.store(collection, rows, now_ms))
        changed, repeated = await insert_facts(collection, family, rows, now_ms)
        if not repeated:
            return _Outcome(changed)
        return _Outcome(changed, await self._contradictions.keep(collection, family, repeated, now_ms))

    async def _store_dead_letters(self, letters: Sequence[DeadLetter], now_ms: int) -> int:
        if not letters:
            return 0
        collection = await self._indexes.of_dead_letters()
        documents = [dead_letter_document(letter, now_ms) for letter in letters]
        return len(letters) - len(await refused(collection.insert_many(documents, ordered=False)))

    @bounded
    async def page(self, series: Series, window: Window, *, counted: bool = True) -> Page[Any]:
        """Read rows of a series, and its place in the series.

        What is read by several questions is of one state when nobody wrote the series meanwhile, which is seen and,
        for a few times, waited for. Of a series that is written all the time the parts never deny each other: what
        the rows show is counted, and nothing is newer than the newest.
        """
        read = partial(reading.page, self._collection(series), series.family, window)
        if not counted:
            return await read(counted=False)
        for _ in range(_READINGS):
            before = await self._changes.look(series.dataset_id)
            if before.at_work:
                await asyncio.sleep(_PAUSE_S)
                continue
            found = await read(counted=True)
            if await self._changes.look(series.dataset_id) == before:
                return reading.reconciled(found, window)  # its parts may come from servers that lag by different times
        return reading.reconciled(await read(counted=True), window)

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
            old = await deletion.oldest([self.connection.collection(DEAD_LETTERS)], before_ms, limit)
            return sum((await deletion.delete(self.connection, old)).values())
        return await self._delete(await deletion.oldest(await self._collections(Family(what)), before_ms, limit))

    @bounded
    async def newest_ms(self, family: Family) -> int | None:
        """Return the time of the newest row of a family over all symbols."""
        collections = await self._collections(family)
        times = await all_of(reading.end_of(collection, DESCENDING) for collection in collections)
        return max((time_ms for time_ms in times if time_ms is not None), default=None)

    @bounded
    async def revision(self, series: Series) -> object | None:
        """Return a token that changes with the series; ``None`` while it is written, and where nobody would say so."""
        return await self._revision(series.dataset_id, series.family)

    @bounded
    async def contradictions(
        self, series: Series | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Contradiction], int]:
        """Read facts that contradict stored ones, newest first, and count all of the series."""
        return await self._contradictions.read(None if series is None else series.dataset_id, limit, offset)

    def _collection(self, series: Series) -> Collection:
        return self.connection.collection(series.dataset_id)

    async def _collections(self, family: Family) -> list[Collection]:
        names = family_collections(await self.connection.collection_names(), family)
        return [self.connection.collection(name) for name in names]

    async def _count(self, name: str) -> int:
        with faults():
            return await self.connection.collection(name).estimated_document_count()


class _Outcome(NamedTuple):
    """What became of the rows of one series."""

    changed: Changed
    contradicted: int = 0


def _by_series(parts: Sequence[Part]) -> dict[tuple[Family, str], list[MarketRow]]:
    """Return the rows of each collection, and which family they are of."""
    batch: dict[tuple[Family, str], list[MarketRow]] = {}
    for family, rows in parts:
        width = len(FAMILIES[family].scope)
        series: defaultdict[tuple[Any, ...], list[MarketRow]] = defaultdict(list)
        for row in rows:
            series[row[:width]].append(row)
        for scope, part in series.items():
            batch.setdefault((family, dataset_id(family, *scope)), []).extend(part)
    return batch
