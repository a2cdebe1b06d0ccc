"""The candles that a metric is computed from: which window ends at an instant, and whether its rows suffice.

Closed candles only, and only those that had closed by the instant, so that a document as of an instant is the same
whenever it is computed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from common.analytics.declaration import CONVERGED_BARS, Metric
from common.analytics.document import Basis
from common.events.own import AnalyticsRequested
from common.indicators.arrays import FloatArray1D
from common.indicators.grid import on_grid
from common.models.families import Family, Series
from common.storage.columns import CandleColumns
from common.storage.ports import MarketStore
from common.timeframes import Timeframe
from common.times import MINUTE_MS

# The newest candle may still be on its way, and one may be missing; a history that ends earlier than two bars before
# the instant (half an hour for the short ones) says nothing about it.
_STALE_BARS: Final = 2
_STALE_AT_LEAST_MS: Final = 30 * MINUTE_MS


class Missing(StrEnum):
    """Why there is no document."""

    TOO_FEW_ROWS = "too_few_rows"
    STALE = "stale"
    UNUSABLE_BOOK = "unusable_book"


@dataclass(frozen=True, slots=True)
class BarWindow:
    """Slots of one timeframe that had closed by an instant.

    Attributes:
        timeframe: the interval.
        as_of_ms: the instant.
        bars: the metric's own window.
        loaded_bars: what is read: the window, and as much before it as recursive averages need.
    """

    timeframe: Timeframe
    as_of_ms: int
    bars: int
    loaded_bars: int

    @property
    def end_ms(self) -> int:
        """Close of the last slot."""
        return self.timeframe.floor(self.as_of_ms)

    @property
    def start_ms(self) -> int:
        """Open of the first slot of the metric's own window."""
        return self.end_ms - self.bars * self.timeframe.duration_ms

    @property
    def loaded_from_ms(self) -> int:
        """Open of the first slot that is read."""
        return self.end_ms - self.loaded_bars * self.timeframe.duration_ms


@dataclass(frozen=True, slots=True)
class History:
    """The candles of one pair in a window; ascending, not empty."""

    symbol: str
    window: BarWindow
    candles: CandleColumns

    @property
    def window_rows(self) -> int:
        """How many of the candles lie in the metric's own window."""
        opened = self.candles.open_time_ms
        return len(opened) - int(opened.searchsorted(self.window.start_ms))

    @property
    def data_until_ms(self) -> int:
        """Close of the newest candle."""
        return int(self.candles.open_time_ms[-1]) + self.window.timeframe.duration_ms

    def on_slots(self, values: FloatArray1D) -> FloatArray1D:
        """Return one value per candle as one per slot that was read, NaN where a candle is missing."""
        window = self.window
        opened, interval_ms = self.candles.open_time_ms, window.timeframe.duration_ms
        return on_grid(values, opened, interval_ms, window.loaded_from_ms, window.loaded_bars)

    @property
    def basis(self) -> Basis:
        """What a document made of these candles rests on."""
        return Basis(
            data_until_ms=self.data_until_ms,
            rows_used=len(self.candles),
            window_rows=self.window_rows,
            window_slots=self.window.bars,
            warmup_complete=len(self.candles) >= CONVERGED_BARS,
        )


def window_of(metric: Metric, timeframe: Timeframe, as_of_ms: int) -> BarWindow:
    """Return the window of a metric that ends at an instant."""
    bars = metric.bars(timeframe)
    return BarWindow(timeframe, as_of_ms, bars, max(bars, CONVERGED_BARS))


async def load_history(store: MarketStore, metric: Metric, request: AnalyticsRequested) -> History | Missing:
    """Read the candles of a metric's window.

    Args:
        store: where from.
        metric: what for.
        request: which pair and timeframe, and the instant that the document is about.

    Returns:
        The history, or why there can be no document: fewer rows in the window than the metric needs, or a newest
        candle that had closed too long before the instant.

    Raises:
        InvalidEvent: the request names no timeframe, or several pairs.
    """
    window = window_of(metric, request.one_timeframe(), request.as_of_ms)
    return await load_bars(store, request.one_symbol(), window, metric.minimum_rows)


async def load_bars(store: MarketStore, symbol: str, window: BarWindow, minimum_rows: int) -> History | Missing:
    """Read the candles of a pair in a window.

    Args:
        store: where from.
        symbol: the pair.
        window: which candles.
        minimum_rows: fewest of them that the window itself must hold.

    Returns:
        The history, or why it does not suffice, as ``load_history``.
    """
    candles = await store.columns(
        Series(Family.CANDLES, symbol, window.timeframe),
        end_ms=window.as_of_ms,
        start_ms=window.loaded_from_ms,
        bars=window.loaded_bars,
    )
    if len(candles) == 0:
        return Missing.TOO_FEW_ROWS
    history = History(symbol, window, candles)
    oldest_ms = window.as_of_ms - max(_STALE_BARS * window.timeframe.duration_ms, _STALE_AT_LEAST_MS)
    if history.data_until_ms < oldest_ms:
        return Missing.STALE
    return history if history.window_rows >= minimum_rows else Missing.TOO_FEW_ROWS
