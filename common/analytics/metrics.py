"""The metrics: what each is computed for, over which window, and the fewest rows it makes sense of (spec/analytics.md).

A table of facts about the formulas; which of them run is configuration (``ANALYTICS_METRICS``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from common.timeframes import Timeframe
from common.times import DAY_MS

# Recursive averages forget where they began: after this many bars RSI and ADX (14) agree with an endless history to
# 4e-7 and 2e-6 of a point, EMA (20) to 1e-11. Every window holds at least as many, where the store has them.
CONVERGED_BARS: Final = 250
# The pair that others are measured against.
BENCHMARK: Final = "BTCUSDT"
# All pairs together: the symbol and the metric under which the correlation of the market is stored.
MARKET: Final = "MARKET"
CORRELATION_MATRIX: Final = "correlation_matrix"


class Scope(StrEnum):
    """What one document of a metric is about."""

    SERIES = "series"  # one pair and timeframe
    SYMBOL = "symbol"  # one pair
    MARKET = "market"  # all pairs together, one timeframe


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: as it stands in collections, events and routes.
        scope: what one document is about.
        method: ``metadata.method`` of its documents.
        window: name of the window, ``metadata.window``.
        window_ms: length of the window; 0 when it is not a span of candles.
        window_bars: the window has at least this many bars, whatever the timeframe.
        minimum_rows: with fewer candles there is no document.
    """

    name: str
    scope: Scope
    method: str
    window: str
    window_ms: int
    window_bars: int
    minimum_rows: int

    def bars(self, timeframe: Timeframe) -> int:
        """Return how many bars of ``timeframe`` the window holds."""
        return max(-(-self.window_ms // timeframe.duration_ms), self.window_bars)


VOLATILITY: Final = Metric("volatility", Scope.SERIES, "rolling_stddev", "30d", 30 * DAY_MS, CONVERGED_BARS, 20)
VOLUME: Final = Metric("volume", Scope.SERIES, "aggregation", "24h", DAY_MS, 24, 5)
SPREAD: Final = Metric("spread", Scope.SYMBOL, "order_book_analysis", "snapshot", 0, 0, 1)
TREND: Final = Metric("trend", Scope.SERIES, "moving_averages", "30d", 30 * DAY_MS, CONVERGED_BARS, 50)
DEVIATION: Final = Metric("deviation", Scope.SERIES, "statistical_analysis", "30d", 30 * DAY_MS, CONVERGED_BARS, 20)
SEASONALITY: Final = Metric("seasonality", Scope.SERIES, "fourier_analysis", "90d", 90 * DAY_MS, CONVERGED_BARS, 100)
CORRELATION: Final = Metric("correlation", Scope.MARKET, "pearson_correlation", "30d", 30 * DAY_MS, CONVERGED_BARS, 21)
REGIME: Final = Metric("regime", Scope.SERIES, "threshold_classification", "latest", 30 * DAY_MS, CONVERGED_BARS, 50)
REGIME_MODEL: Final = Metric("regime_model", Scope.SERIES, "hidden_markov", "90d", 90 * DAY_MS, CONVERGED_BARS, 100)

METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            VOLATILITY,
            VOLUME,
            SPREAD,
            TREND,
            DEVIATION,
            SEASONALITY,
            CORRELATION,
            REGIME,
            REGIME_MODEL,
        )
    }
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What one document is computed for."""

    symbols: tuple[str, ...]
    timeframe: Timeframe | None


def subjects(metric: Metric, symbols: Sequence[str], timeframes: Sequence[Timeframe]) -> Iterator[Subject]:
    """Yield what a cycle computes of a metric, for the configured pairs and timeframes."""
    if metric.scope is Scope.MARKET:
        yield from (Subject(tuple(symbols), timeframe) for timeframe in timeframes)
    elif metric.scope is Scope.SYMBOL:
        yield from (Subject((symbol,), None) for symbol in symbols)
    else:
        yield from (Subject((symbol,), timeframe) for timeframe in timeframes for symbol in symbols)
