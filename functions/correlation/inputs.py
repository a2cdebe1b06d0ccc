"""What correlation is computed from: the candles of every pair, each with its own gaps and its own length."""

import asyncio
from dataclasses import dataclass
from typing import Final

from common.analytics.declaration import Metric
from common.analytics.window import BarWindow, History, Missing, load_bars, window_of
from common.events.own import AnalyticsRequested
from common.storage.ports import MarketStore
from common.timeframes import Timeframe
from common.times import DAY_MS

_ROLLING_MS: Final = 30 * DAY_MS
_MIN_ROLLING_BARS: Final = 30
_MIN_SYMBOLS: Final = 2


def rolling_bars(timeframe: Timeframe) -> int:
    """Return the bars of the rolling correlation: 30 days, at least 30 bars."""
    return max(_ROLLING_MS // timeframe.duration_ms, _MIN_ROLLING_BARS)


@dataclass(frozen=True, slots=True)
class CorrelationInputs:
    """The candles of the pairs that have enough of them, at least two, in the order of the request.

    They reach back a rolling correlation before the window, so that the first one in it is whole.
    """

    window: BarWindow
    histories: tuple[History, ...]


async def load(store: MarketStore, metric: Metric, request: AnalyticsRequested) -> CorrelationInputs | Missing:
    """Read the inputs, or tell why there can be no documents. A pair that lacks candles is left out."""
    timeframe = request.one_timeframe()
    own = window_of(metric, timeframe, request.as_of_ms)
    # One candle more than there are returns in them.
    window = BarWindow(timeframe, request.as_of_ms, own.bars, own.bars + rolling_bars(timeframe) + 1)
    symbols = tuple(dict.fromkeys(request.symbols))
    found = await asyncio.gather(*(load_bars(store, symbol, window, metric.minimum_rows) for symbol in symbols))
    histories = tuple(one for one in found if isinstance(one, History))
    if len(histories) >= _MIN_SYMBOLS:
        return CorrelationInputs(window, histories)
    return Missing.STALE if Missing.STALE in found else Missing.TOO_FEW_ROWS
