"""What volatility is computed from: the candles of its window, the minutes of a day, and the hours of some months."""

from dataclasses import dataclass
from typing import Final

from common.analytics.declaration import Metric
from common.analytics.window import History, Missing, load_history
from common.events.own import AnalyticsRequested
from common.indicators.forecast import HISTORY_DAYS
from common.models.families import Family, Series
from common.storage.columns import CandleColumns
from common.storage.ports import MarketStore
from common.timeframes import Timeframe
from common.times import DAY_MS

MINUTES_PER_DAY: Final = DAY_MS // Timeframe.M1.duration_ms
HOURS_PER_DAY: Final = DAY_MS // Timeframe.H1.duration_ms


@dataclass(frozen=True, slots=True)
class VolatilityInputs:
    """The candles of the window, the minutes of the last day, and the hours of the days that a forecast is made from.

    All end at the same instant. Minutes and hours begin with one candle before their first day, for its first return.
    There may be few or none of them.
    """

    history: History
    minutes: CandleColumns
    hours: CandleColumns


async def load(store: MarketStore, metric: Metric, request: AnalyticsRequested) -> VolatilityInputs | Missing:
    """Read the inputs, or tell why there can be no document."""
    history = await load_history(store, metric, request)
    if isinstance(history, Missing):
        return history
    minutes = await _load_days(store, request, Timeframe.M1, 1)
    hours = await _load_days(store, request, Timeframe.H1, HISTORY_DAYS)
    return VolatilityInputs(history, minutes, hours)


async def _load_days(store: MarketStore, request: AnalyticsRequested, timeframe: Timeframe, days: int) -> CandleColumns:
    first_ms = timeframe.floor(request.as_of_ms) - days * DAY_MS - timeframe.duration_ms
    series = Series(Family.CANDLES, request.one_symbol(), timeframe)
    return await store.columns(series, end_ms=request.as_of_ms, start_ms=first_ms)
