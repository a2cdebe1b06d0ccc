"""The market store of one machine: market data and dead letters in ``market.db`` of the state folder."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

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
from common.storage.ports import SeriesExtent, Window, WriteCounts
from common.storage.sqlite import deletion, reading, schema
from common.storage.sqlite.connection import Database
from common.storage.sqlite.writing import Part, write_batch
from common.timeframes import Timeframe

if TYPE_CHECKING:
    import sqlite3

FILE_NAME: Final = "market.db"
_CHANGES: Final = "SELECT coalesce(max(changes), 0) FROM series WHERE name = ?"


class SqliteMarketStore:
    """``MarketStore`` on an SQLite file. Several processes may hold one at a time: SQLite lets them take turns.

    Args:
        folder: the state folder; the file in it is made on first use.
        busy_timeout_ms: how long to wait for another process that writes.
    """

    def __init__(self, folder: Path, *, busy_timeout_ms: int) -> None:
        self._database = Database(folder / FILE_NAME, schema.prepare, busy_timeout_ms=busy_timeout_ms)

    @property
    def name(self) -> str:
        """Name of the store in answers."""
        return "sqlite"

    async def write(
        self, family: Family, rows: Sequence[MarketRow], dead_letters: Sequence[DeadLetter] = ()
    ) -> WriteCounts:
        """Store rows of one family and the dead letters of the same batch in one transaction."""
        return await self._write([(family, rows)], dead_letters)

    async def write_funding(
        self,
        marks: Sequence[MarketRow],
        funding: Sequence[FundingRow],
        dead_letters: Sequence[DeadLetter] = (),
    ) -> WriteCounts:
        """Store mark prices and the funding rates read off them in one transaction."""
        return await self._write([(Family.MARK_PRICES, marks), (Family.FUNDING_RATES, funding)], dead_letters)

    async def _write(self, parts: Sequence[Part], dead_letters: Sequence[DeadLetter]) -> WriteCounts:
        if not dead_letters and not any(rows for _, rows in parts):
            return WriteCounts()
        return await self._database.write(partial(write_batch, parts=parts, dead_letters=dead_letters))

    async def candles(self, symbol: str, timeframe: Timeframe, window: Window) -> list[CandleRow]:
        """Read candles by open time, the open one included."""
        return await self._database.read(
            partial(reading.candles, symbol=symbol, timeframe=timeframe.value, window=window)
        )

    async def trades(self, symbol: str, window: Window) -> list[TradeRow]:
        """Read trades by trade time, then id."""
        return await self._database.read(partial(reading.trades, symbol=symbol, window=window))

    async def agg_trades(self, symbol: str, window: Window) -> list[AggTradeRow]:
        """Read aggregated trades by trade time, then id."""
        return await self._database.read(partial(reading.agg_trades, symbol=symbol, window=window))

    async def tickers(self, symbol: str, window: Window) -> list[TickerRow]:
        """Read 24-hour tickers."""
        return await self._database.read(partial(reading.tickers, symbol=symbol, window=window))

    async def mark_prices(self, symbol: str, window: Window) -> list[MarkPriceRow]:
        """Read mark prices."""
        return await self._database.read(partial(reading.mark_prices, symbol=symbol, window=window))

    async def funding_rates(self, symbol: str, window: Window) -> list[FundingRow]:
        """Read funding rates by funding time."""
        return await self._database.read(partial(reading.funding_rates, symbol=symbol, window=window))

    async def depth(self, symbol: str, window: Window) -> list[DepthRow]:
        """Read order books by time, then update id."""
        return await self._database.read(partial(reading.depth, symbol=symbol, window=window))

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

        def read(connection: "sqlite3.Connection") -> CandleColumns:
            from common.storage.sqlite.arrays import candle_columns  # numpy loads where it is used

            first_ms = reading.EARLIEST if start_ms is None else start_ms
            opened = (first_ms, end_ms - timeframe.duration_ms)
            return candle_columns(connection, symbol, timeframe.value, opened, bars)

        return await self._database.read(read)

    async def extent(
        self, family: Family, symbol: str, timeframe: Timeframe | None = None, *, end_ms: int | None = None
    ) -> SeriesExtent:
        """Count a series and find its ends."""
        scoped = family is Family.CANDLES and timeframe is not None
        scope = (symbol, timeframe.value) if scoped and timeframe is not None else (symbol,)
        return await self._database.read(partial(reading.extent, family=family, scope=scope, end_ms=end_ms))

    async def totals(self) -> Mapping[Family, int]:
        """Count the rows of each family over all symbols; exact, from counters that the writes maintain."""
        return await self._database.read(reading.totals)

    async def dead_letters(
        self, *, kind: str | None = None, reason: Reason | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[DeadLetter], int]:
        """Read dead letters, newest first, and count all that match."""
        return await self._database.read(
            partial(reading.dead_letters, kind=kind, reason=reason, limit=limit, offset=offset)
        )

    async def delete_before(self, family: Family | Literal["dead_letters"], cutoff_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` of the rows older than ``cutoff_ms`` and return how many went."""
        if family == "dead_letters":
            return await self._database.write(
                partial(deletion.delete_dead_letters_before, cutoff_ms=cutoff_ms, limit=limit)
            )
        return await self._database.write(
            partial(deletion.delete_rows_before, family=family, cutoff_ms=cutoff_ms, limit=limit)
        )

    async def newest_ms(self, family: Family) -> int | None:
        """Return the time of the newest row of a family over all symbols."""
        return await self._database.read(partial(reading.newest_ms, family=family))

    async def revision(self, family: Family, symbol: str, timeframe: Timeframe | None = None) -> object | None:
        """Return a token that changes with every change of the series, by whichever process."""
        return await self._database.poll(_CHANGES, (schema.series_name(family, symbol, timeframe),))

    async def ping(self, *, write: bool = False) -> None:
        """Read from the file; with ``write``, take the write lock and look for room on the disk."""
        await self._database.read(reading.ask)
        if write:
            await self._database.prove_writable()

    async def close(self) -> None:
        """Finish what is running and release the file."""
        await self._database.close()
