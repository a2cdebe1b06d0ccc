"""The market store on MongoDB: market data and dead letters, one collection per series."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from bson.raw_bson import RawBSONDocument
from pymongo import DESCENDING

from common.errors import StoreUnavailable
from common.models.dead_letters import DeadLetter, Reason
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    Family,
    FundingRow,
    MarketRow,
    MarkPriceRow,
    TickerRow,
    TradeRow,
)
from common.storage.columns import CandleColumns
from common.storage.mongodb import deletion, reading
from common.storage.mongodb.base import MongoStore
from common.storage.mongodb.connection import Collection, all_of, bounded, faults
from common.storage.mongodb.documents import SHAPES, dead_letter_document, stored_at
from common.storage.mongodb.schema import (
    DEAD_LETTERS,
    candle_collections,
    collection_name,
    family_collections,
)
from common.storage.mongodb.writing import CONTESTS, Changed, insert
from common.storage.ports import SeriesExtent, Window, WriteCounts
from common.timeframes import Timeframe

_ROWS_AT_ONCE: Final = 2000  # what is made into documents before it is sent


class MongoMarketStore(MongoStore):
    """``MarketStore`` on MongoDB."""

    @bounded
    async def write(
        self, family: Family, rows: Sequence[MarketRow], dead_letters: Sequence[DeadLetter] = ()
    ) -> WriteCounts:
        """Store rows of one family and the dead letters of the same batch; after a failure, send both again."""
        return await self._write({family: rows}, dead_letters)

    @bounded
    async def write_funding(
        self,
        marks: Sequence[MarketRow],
        funding: Sequence[FundingRow],
        dead_letters: Sequence[DeadLetter] = (),
    ) -> WriteCounts:
        """Store mark prices and the funding rates read off them; after a failure, send all again."""
        return await self._write({Family.MARK_PRICES: marks, Family.FUNDING_RATES: funding}, dead_letters)

    async def _write(
        self, parts: Mapping[Family, Sequence[MarketRow]], dead_letters: Sequence[DeadLetter]
    ) -> WriteCounts:
        series = {
            (family, name): part for family, rows in parts.items() for name, part in _by_series(family, rows).items()
        }
        now_ms = self._clock.now_ms()
        try:
            changes = await all_of(self._store(family, name, part, now_ms) for (family, name), part in series.items())
            set_aside = await self._store_dead_letters(dead_letters, now_ms)
        except StoreUnavailable:
            self._indexes.forget()
            raise
        inserted = sum(change.inserted for change in changes)
        updated = sum(change.updated for change in changes)
        return WriteCounts(inserted, updated, sum(map(len, parts.values())) - inserted - updated, set_aside)

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
    async def candles(self, symbol: str, timeframe: Timeframe, window: Window) -> list[CandleRow]:
        """Read candles by open time, the open one included."""
        return await self._rows(Family.CANDLES, symbol, window, timeframe)

    @bounded
    async def trades(self, symbol: str, window: Window) -> list[TradeRow]:
        """Read trades by trade time, then id."""
        return await self._rows(Family.TRADES, symbol, window)

    @bounded
    async def agg_trades(self, symbol: str, window: Window) -> list[AggTradeRow]:
        """Read aggregated trades by trade time, then id."""
        return await self._rows(Family.AGG_TRADES, symbol, window)

    @bounded
    async def tickers(self, symbol: str, window: Window) -> list[TickerRow]:
        """Read 24-hour tickers."""
        return await self._rows(Family.TICKERS, symbol, window)

    @bounded
    async def mark_prices(self, symbol: str, window: Window) -> list[MarkPriceRow]:
        """Read mark prices."""
        return await self._rows(Family.MARK_PRICES, symbol, window)

    @bounded
    async def funding_rates(self, symbol: str, window: Window) -> list[FundingRow]:
        """Read funding rates by funding time."""
        return await self._rows(Family.FUNDING_RATES, symbol, window)

    @bounded
    async def depth(self, symbol: str, window: Window) -> list[DepthRow]:
        """Read order books by time, then update id."""
        return await self._rows(Family.DEPTH, symbol, window)

    @bounded
    async def candle_columns(
        self,
        symbol: str,
        timeframe: Timeframe,
        *,
        end_ms: int,
        bars: int | None = None,
        start_ms: int | None = None,
    ) -> CandleColumns:
        """Read closed candles that had closed by ``end_ms`` into numpy arrays, ascending."""
        from common.storage.mongodb.arrays import candle_columns  # numpy loads where it is used

        collection = self._collection(Family.CANDLES, symbol, timeframe)
        return await candle_columns(collection, (start_ms, end_ms - timeframe.duration_ms), bars)

    @bounded
    async def extent(
        self, family: Family, symbol: str, timeframe: Timeframe | None = None, *, end_ms: int | None = None
    ) -> SeriesExtent:
        """Count a series and find its ends; candles without a timeframe are those of all timeframes."""
        if family is not Family.CANDLES:
            return await reading.extent([self._collection(family, symbol)], end_ms)
        if timeframe is None:
            names = candle_collections(await self.connection.collection_names(), symbol)
            return await reading.extent([self.connection.collection(name) for name in names], end_ms)
        return await reading.extent([self._collection(family, symbol, timeframe)], end_ms)

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
        """Read dead letters, newest first, and count all that match."""
        return await reading.dead_letters(self.connection.collection(DEAD_LETTERS), kind, reason, limit, offset)

    @bounded
    async def delete_before(self, family: Family | Literal["dead_letters"], cutoff_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` of the rows older than ``cutoff_ms`` and return how many went."""
        if family == DEAD_LETTERS:
            return await deletion.delete_before([self.connection.collection(DEAD_LETTERS)], cutoff_ms, limit)
        return await deletion.delete_before(await self._collections(Family(family)), cutoff_ms, limit)

    @bounded
    async def newest_ms(self, family: Family) -> int | None:
        """Return the time of the newest row of a family over all symbols."""
        collections = await self._collections(family)
        times = await all_of(reading.end_of(collection, DESCENDING) for collection in collections)
        return max((time_ms for time_ms in times if time_ms is not None), default=None)

    async def revision(self, family: Family, symbol: str, timeframe: Timeframe | None = None) -> object | None:  # noqa: ARG002 - the port's signature
        """Return nothing: the server keeps no count of a collection's changes."""
        return None

    async def _rows(self, family: Family, symbol: str, window: Window, timeframe: Timeframe | None = None) -> list[Any]:
        return await reading.rows(self._collection(family, symbol, timeframe), family, window)

    def _collection(self, family: Family, symbol: str, timeframe: Timeframe | None = None) -> Collection:
        return self.connection.collection(collection_name(family, symbol, timeframe))

    async def _collections(self, family: Family) -> list[Collection]:
        names = family_collections(await self.connection.collection_names(), family)
        return [self.connection.collection(name) for name in names]

    async def _count(self, name: str) -> int:
        with faults():
            return await self.connection.collection(name).estimated_document_count()


def _by_series(family: Family, rows: Sequence[MarketRow]) -> dict[str, list[MarketRow]]:
    """Return the rows of each collection."""
    parts: defaultdict[Any, list[MarketRow]] = defaultdict(list)
    if family is Family.CANDLES:
        for row in rows:
            parts[row[:2]].append(row)  # a candle begins with its symbol and timeframe
        return {collection_name(family, *scope): part for scope, part in parts.items()}
    for row in rows:
        parts[row[0]].append(row)
    return {collection_name(family, symbol): part for symbol, part in parts.items()}
