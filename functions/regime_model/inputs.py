"""What the model is fitted on and filters: candles of the fit, of the bars since then, and of averages before it."""

from typing import Final

from common.analytics.calculators.regime_model import REGIME_MODEL
from common.analytics.declaration import Metric
from common.analytics.window import BarWindow, History, Missing, load_bars
from common.events.own import AnalyticsRequested
from common.storage.ports import MarketStore
from common.timeframes import Timeframe
from common.times import DAY_MS
from functions.regime_model.features import USUAL_BARS

# More bars than these change the states little, and a fit takes time in proportion to them.
MAX_FIT_BARS: Final = 2160
_MIN_FIT_STEP_BARS: Final = 24


def fit_step_bars(timeframe: Timeframe) -> int:
    """Return how many bars lie between two fits: a day, at least 24."""
    return max(DAY_MS // timeframe.duration_ms, _MIN_FIT_STEP_BARS)


def window_for(timeframe: Timeframe, as_of_ms: int) -> BarWindow:
    """Return the window: the bars of a fit, and what is read before them."""
    bars = min(REGIME_MODEL.bars(timeframe), MAX_FIT_BARS)
    before = fit_step_bars(timeframe) + USUAL_BARS
    return BarWindow(timeframe, as_of_ms, bars, bars + before)


async def load(store: MarketStore, metric: Metric, request: AnalyticsRequested) -> History | Missing:
    """Read the history, or tell why there can be no document."""
    window = window_for(request.one_timeframe(), request.as_of_ms)
    return await load_bars(store, request.one_symbol(), window, metric.minimum_rows)
