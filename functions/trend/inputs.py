"""What trend is computed from: the candles of its window, and those of the benchmark."""

from dataclasses import dataclass

from common.analytics.metrics import BENCHMARK, TREND
from common.analytics.window import Missing, Series, load_series
from common.events.requests import AnalyticsRequested
from common.storage.columns import CandleColumns
from common.storage.ports import MarketStore


@dataclass(frozen=True, slots=True)
class TrendInputs:
    """The candles of the window, and those of the benchmark in it: perhaps fewer, perhaps the very same."""

    series: Series
    benchmark: CandleColumns


async def load(store: MarketStore, request: AnalyticsRequested) -> TrendInputs | Missing:
    """Read the inputs, or tell why there can be no document."""
    series = await load_series(store, TREND, request)
    if isinstance(series, Missing):
        return series
    if series.symbol == BENCHMARK:
        return TrendInputs(series, series.candles)
    window = series.window
    benchmark = await store.candle_columns(
        BENCHMARK, window.timeframe, end_ms=request.as_of_ms, start_ms=window.loaded_from_ms, bars=window.loaded_bars
    )
    return TrendInputs(series, benchmark)
