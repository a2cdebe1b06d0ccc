"""Stores in memory, for tests of what stands in front of a store: they keep the promises of the ports to readers.

``failing`` makes every call raise ``StoreUnavailable``, as an unreachable server would; ``reads`` and ``polls`` count
what was asked; ``interruptions`` are carried out one before each of the next reads, as another process would; a
revision takes ``revision_turns`` of the event loop to arrive.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from common.errors import StoreUnavailable
from common.models.dead_letters import DeadLetter, Reason
from common.models.metadata import HealthMetric
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
from common.storage.ports import AnalyticsDocument, SeriesExtent, Window, WriteCounts
from common.timeframes import Timeframe

T = TypeVar("T")

_KEYS: dict[Family, Callable[[Any], tuple[object, ...]]] = {
    Family.TRADES: lambda row: (row.symbol, row.time_ms, row.trade_id),
    Family.AGG_TRADES: lambda row: (row.symbol, row.time_ms, row.agg_trade_id),
    Family.TICKERS: lambda row: (row.symbol, row.time_ms),
    Family.DEPTH: lambda row: (row.symbol, row.time_ms, row.last_update_id),
    Family.MARK_PRICES: lambda row: (row.symbol, row.time_ms),
    Family.FUNDING_RATES: lambda row: (row.symbol, row.time_ms),
    Family.CANDLES: lambda row: (row.symbol, row.time_ms, row.timeframe),
}


def selected(rows: Iterable[T], window: Window, time_of: Callable[[T], int]) -> list[T]:
    """Return what ``window`` means of ``rows``, which are sorted ascending."""
    inside = [
        row
        for row in rows
        if (window.start_ms is None or window.start_ms <= time_of(row))
        and (window.end_ms is None or time_of(row) < window.end_ms)
    ]
    if window.from_newest:
        inside.reverse()
    page = inside[window.offset : window.offset + window.limit]
    return page if window.from_newest == (window.order == "desc") else page[::-1]


@dataclass
class MemoryStore:
    """What the stores share: failing on demand, and a revision that counts the writes."""

    name: str = "memory"
    failing: bool = False
    writable: bool = True
    has_revision: bool = True
    revision_turns: int = 0
    polls: int = 0
    reads: int = 0
    writes: int = 0
    interruptions: list[Callable[[], None] | None] = field(default_factory=list)

    async def revision(self, *_series: object) -> object | None:
        self._ask()
        self.polls += 1
        revision = self.writes if self.has_revision else None
        for _ in range(self.revision_turns):
            await asyncio.sleep(0)
        return revision

    async def ping(self, *, write: bool = False) -> None:
        self._ask()
        if write and not self.writable:
            raise StoreUnavailable("the disk was full")

    async def close(self) -> None:
        pass

    def _ask(self) -> None:
        if self.failing:
            raise StoreUnavailable("secret-host:27017 refused the connection")

    def _read(self) -> None:
        self._ask()
        self.reads += 1
        interruption = self.interruptions.pop(0) if self.interruptions else None
        if interruption is not None:
            interruption()


@dataclass
class MemoryMarketStore(MemoryStore):
    """Market rows by their keys; the last write of a key wins."""

    rows: dict[Family, dict[tuple[object, ...], MarketRow]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)

    def put(self, family: Family, rows: Sequence[MarketRow], dead_letters: Sequence[DeadLetter] = ()) -> None:
        table = self.rows.setdefault(family, {})
        table.update((_KEYS[family](row), row) for row in rows)
        self.letters.extend(dead_letters)
        self.writes += 1

    def forget(self, family: Family, cutoff_ms: int) -> None:
        table = self.rows.get(family, {})
        self.rows[family] = {key: row for key, row in table.items() if row.time_ms >= cutoff_ms}
        self.writes += 1

    async def write(
        self, family: Family, rows: Sequence[MarketRow], dead_letters: Sequence[DeadLetter] = ()
    ) -> WriteCounts:
        self._ask()
        self.put(family, rows, dead_letters)
        return WriteCounts(inserted=len(rows), dead_letters=len(dead_letters))

    def _series(self, family: Family, symbol: str, timeframe: Timeframe | None = None) -> list[Any]:
        table = self.rows.get(family, {})
        return [
            row
            for _, row in sorted(table.items())
            if row.symbol == symbol and (timeframe is None or getattr(row, "timeframe", None) == timeframe)
        ]

    def _window(self, family: Family, symbol: str, window: Window, timeframe: Timeframe | None = None) -> list[Any]:
        self._read()
        return selected(self._series(family, symbol, timeframe), window, lambda row: row.time_ms)

    async def candles(self, symbol: str, timeframe: Timeframe, window: Window) -> list[CandleRow]:
        return self._window(Family.CANDLES, symbol, window, timeframe)

    async def trades(self, symbol: str, window: Window) -> list[TradeRow]:
        return self._window(Family.TRADES, symbol, window)

    async def agg_trades(self, symbol: str, window: Window) -> list[AggTradeRow]:
        return self._window(Family.AGG_TRADES, symbol, window)

    async def tickers(self, symbol: str, window: Window) -> list[TickerRow]:
        return self._window(Family.TICKERS, symbol, window)

    async def mark_prices(self, symbol: str, window: Window) -> list[MarkPriceRow]:
        return self._window(Family.MARK_PRICES, symbol, window)

    async def funding_rates(self, symbol: str, window: Window) -> list[FundingRow]:
        return self._window(Family.FUNDING_RATES, symbol, window)

    async def depth(self, symbol: str, window: Window) -> list[DepthRow]:
        return self._window(Family.DEPTH, symbol, window)

    async def candle_columns(
        self,
        symbol: str,
        timeframe: Timeframe,
        *,
        end_ms: int,
        bars: int | None = None,
        start_ms: int | None = None,
    ) -> CandleColumns:
        from tests.support.candles import columns_of  # imports numpy

        self._read()
        rows: list[CandleRow] = [
            row
            for row in self._series(Family.CANDLES, symbol, timeframe)
            if row.is_closed
            and row.time_ms + timeframe.duration_ms <= end_ms
            and (start_ms is None or start_ms <= row.time_ms)
        ]
        return columns_of(rows if bars is None else rows[-bars:])

    async def extent(
        self, family: Family, symbol: str, timeframe: Timeframe | None = None, *, end_ms: int | None = None
    ) -> SeriesExtent:
        self._read()
        times = [
            row.time_ms for row in self._series(family, symbol, timeframe) if end_ms is None or row.time_ms < end_ms
        ]
        return SeriesExtent(len(times), times[0], times[-1]) if times else SeriesExtent(0, None, None)

    async def dead_letters(
        self, *, kind: str | None = None, reason: Reason | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[DeadLetter], int]:
        self._read()
        found = [
            letter
            for letter in sorted(self.letters, key=lambda letter: letter.time_ms, reverse=True)
            if kind in (None, letter.kind) and reason in (None, letter.reason)
        ]
        return found[offset : offset + limit], len(found)


@dataclass
class MemoryAnalyticsStore(MemoryStore):
    """Documents by symbol, metric, timeframe and ``as_of_ms``."""

    saved: dict[tuple[str, str, str | None, int], AnalyticsDocument] = field(default_factory=dict)

    async def save(self, documents: Sequence[AnalyticsDocument]) -> int:
        self._ask()
        self.saved.update(
            ((document.symbol, document.metric, document.timeframe, document.as_of_ms), document)
            for document in documents
        )
        self.writes += 1
        return len(documents)

    async def documents(
        self, symbol: str, metric: str, timeframe: str | None, window: Window
    ) -> list[AnalyticsDocument]:
        self._read()
        series = [
            document
            for document in self.saved.values()
            if (document.symbol, document.metric, document.timeframe) == (symbol, metric, timeframe)
        ]
        series.sort(key=lambda document: document.as_of_ms)
        return selected(series, window, lambda document: document.as_of_ms)

    async def count_documents(
        self, symbol: str, metric: str, timeframe: str | None, *, start_ms: int | None, end_ms: int | None
    ) -> int:
        everything = Window(start_ms, end_ms, limit=len(self.saved))
        return len(await self.documents(symbol, metric, timeframe, everything))

    async def newest_as_of(self, metric: str | None = None) -> int | None:
        self._read()
        times = (saved.computed_at_ms for saved in self.saved.values() if metric in (None, saved.metric))
        return max(times, default=None)


@dataclass
class MemoryMetadataStore(MemoryStore):
    """Health scores."""

    health: dict[str, HealthMetric] = field(default_factory=dict)

    async def save_health(self, metrics: Sequence[HealthMetric]) -> int:
        self._ask()
        self.health.update((metric.metric_id, metric) for metric in metrics)
        self.writes += 1
        return len(metrics)

    async def latest_health(self, symbol: str | None = None) -> list[HealthMetric]:
        self._read()
        newest: dict[str, HealthMetric] = {}
        for metric in sorted(self.health.values(), key=lambda metric: metric.time_ms):
            if symbol in (None, metric.symbol):
                newest[metric.dataset_id] = metric
        return sorted(newest.values(), key=lambda metric: metric.dataset_id)
