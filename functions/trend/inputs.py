"""What trend is computed from: the candles of its window, and those of the benchmark."""

from dataclasses import dataclass

from common.analytics.declaration import BENCHMARK, Metric
from common.analytics.window import History, Missing, load_history
from common.events.own import AnalyticsRequested
from common.models.families import Family, Series
from common.storage.columns import CandleColumns
from common.storage.ports import MarketStore


@dataclass(frozen=True, slots=True)
class TrendInputs:
    """The candles of the window, and those of the benchmark in it: perhaps fewer, perhaps the very same."""

    history: History
    benchmark: CandleColumns


async def load(store: MarketStore, metric: Metric, request: AnalyticsRequested) -> TrendInputs | Missing:
    """Read the inputs, or tell why there can be no document."""
    history = await load_history(store, metric, request)
    if isinstance(history, Missing):
        return history
    if history.symbol == BENCHMARK:
        return TrendInputs(history, history.candles)
    window = history.window
    benchmark = await store.columns(
        Series(Family.CANDLES, BENCHMARK, window.timeframe),
        end_ms=request.as_of_ms,
        start_ms=window.loaded_from_ms,
        bars=window.loaded_bars,
    )
    return TrendInputs(history, benchmark)
