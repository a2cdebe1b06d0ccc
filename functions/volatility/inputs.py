"""What volatility is computed from: the candles of its window, and the minutes of the last day."""

from dataclasses import dataclass
from typing import Final

from common.analytics.metrics import VOLATILITY
from common.analytics.window import Missing, Series, load_series
from common.events.requests import AnalyticsRequested
from common.storage.columns import CandleColumns
from common.storage.ports import MarketStore
from common.timeframes import Timeframe
from common.times import DAY_MS

MINUTES_PER_DAY: Final = DAY_MS // Timeframe.M1.duration_ms


@dataclass(frozen=True, slots=True)
class VolatilityInputs:
    """The candles of the window, and the one-minute candles of the day that ends at the same instant.

    The minutes begin with one candle before the day, for the day's first return. There may be few or none.
    """

    series: Series
    minutes: CandleColumns


async def load(store: MarketStore, request: AnalyticsRequested) -> VolatilityInputs | Missing:
    """Read the inputs, or tell why there can be no document."""
    series = await load_series(store, VOLATILITY, request)
    if isinstance(series, Missing):
        return series
    first_ms = Timeframe.M1.floor(request.as_of_ms) - (MINUTES_PER_DAY + 1) * Timeframe.M1.duration_ms
    minutes = await store.candle_columns(series.symbol, Timeframe.M1, end_ms=request.as_of_ms, start_ms=first_ms)
    return VolatilityInputs(series, minutes)
