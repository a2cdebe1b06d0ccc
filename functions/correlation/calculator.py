"""The correlation documents (infra/docs/fields.md): one of each pair, and one of the market.

Everything is computed on log returns, each two pairs over the bars that both have: a pair with gaps shortens nobody
else's sample, one with a constant price has null where it takes part. The benchmark is BTCUSDT, or the first pair
without it. What cannot be computed is NaN, which the documents turn into null.

What is stated of every two pairs comes from a few matrix products; whatever costs more (lags, rolling correlation,
cointegration) is stated beside the benchmark alone, so that the cost of a pair does not grow with the number of pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from common.analytics.calculators.correlation import CORRELATION_MATRIX
from common.analytics.declaration import BENCHMARK, CONVERGED_BARS, MARKET
from common.analytics.document import Basis, Result, Value
from common.analytics.window import BarWindow, History
from common.indicators.arrays import NAN, FloatArray1D, FloatArray2D, all_finite
from common.indicators.breadth import advance_decline, share_above
from common.indicators.cointegration import engle_granger
from common.indicators.correlation import (
    correlation,
    correlation_matrix,
    correlation_stability,
    first_component_share,
    lag_correlation,
    spaced_correlations,
    volatility_correlation,
)
from common.indicators.moving import sma
from common.indicators.returns import log_returns
from common.times import DAY_MS
from functions.correlation.inputs import CorrelationInputs, rolling_bars

MAX_LAG: Final = 24
VOLATILITY_WINDOW: Final = 20
SHORT_AVERAGE: Final = 20
LONG_AVERAGE: Final = 50
# A rolling correlation is stated from this many common bars on.
MIN_ROLLING_ROWS: Final = 30
# Those that stability compares have to be whole: at least this share of their bars is there.
STABILITY_COVERAGE: Final = 0.5
# A benchmark moves with itself; there is no lag, no spread and no stability to state.
_OF_BENCHMARK: Final[Mapping[str, Value]] = {
    "rolling_correlation": 1.0,
    "cross_correlation_lag": None,
    "cross_correlation_at_lag": None,
    "volatility_correlation": None,
    "correlation_stability": None,
    "cointegration": None,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One pair on the time axis that all share.

    Attributes:
        returns: log returns of the loaded slots, shape ``(loaded_bars,)``, NaN where one is missing.
        log_close: logarithms of the closes, NaN where one is missing.
    """

    returns: FloatArray1D
    log_close: FloatArray1D


def compute(inputs: CorrelationInputs) -> list[Result]:
    """Return the results of the pairs in their order, and then that of the market."""
    window, histories = inputs.window, inputs.histories
    symbols = [one.symbol for one in histories]
    columns = [column_of(one) for one in histories]
    benchmark = symbols.index(BENCHMARK) if BENCHMARK in symbols else 0
    matrix = matrix_of(np.array([column.returns[-window.bars :] for column in columns]), benchmark)
    rows = {symbol: _cells(symbols, row) for symbol, row in zip(symbols, matrix, strict=True)}
    parameters = parameters_of(window, symbols, symbols[benchmark])
    results = [
        Result(
            one.symbol,
            {"correlation_matrix": rows[one.symbol], **_beside_benchmark(column, columns[benchmark], window, rho)},
            one.basis,
            parameters,
        )
        for one, column, rho in zip(histories, columns, matrix[benchmark].tolist(), strict=True)
    ]
    market: dict[str, Value] = {
        "matrix": rows,
        "market_breadth": market_breadth(histories),
        "first_component_share": first_component_share(matrix),
    }
    return [*results, Result(MARKET, market, market_basis(histories), parameters, CORRELATION_MATRIX.name)]


def parameters_of(window: BarWindow, symbols: Sequence[str], benchmark: str) -> dict[str, int | float | str]:
    """Return ``metadata.parameters``."""
    return {
        "symbols": len(symbols),
        "benchmark": benchmark,
        "window_bars": window.bars,
        "rolling_bars": rolling_bars(window.timeframe),
        "max_lag": MAX_LAG,
        "volatility_window": VOLATILITY_WINDOW,
    }


def column_of(history: History) -> Column:
    """Put a pair's candles on the common time axis."""
    close = history.on_slots(history.candles.close)
    usable = np.isfinite(close) & (close > 0)
    return Column(log_returns(close), np.log(close, out=np.full(len(close), np.nan), where=usable))


def matrix_of(returns: FloatArray2D, benchmark: int) -> FloatArray2D:
    """Return the correlation of every two pairs, those with the benchmark pair by pair.

    Fields of a pair's document repeat its cell with the benchmark, and do not depend on which other pairs there are:
    the last bits of a matrix product do.
    """
    matrix = correlation_matrix(returns)
    for row in set(range(len(returns))) - {benchmark}:
        matrix[row, benchmark] = matrix[benchmark, row] = correlation(returns[row], returns[benchmark])
    return matrix


def _beside_benchmark(column: Column, benchmark: Column, window: BarWindow, rho: float) -> Mapping[str, Value]:
    return _OF_BENCHMARK if column is benchmark else beside_benchmark(column, benchmark, window, rho)


def beside_benchmark(column: Column, benchmark: Column, window: BarWindow, rho: float) -> dict[str, Value]:
    """Return how a pair moves beside the benchmark: now, with a lag, in its volatility, steadily, in its level.

    Args:
        column: the pair.
        benchmark: the benchmark.
        window: of the documents.
        rho: correlation of the two over the window, as the matrix states it.
    """
    newest = slice(-window.bars, None)
    own, base = column.returns[newest], benchmark.returns[newest]
    lag, at_lag = lag_correlation(base, own, MAX_LAG)
    return {
        "rolling_correlation": rolling_correlation(column, benchmark, window, rho),
        "cross_correlation_lag": lag,
        "cross_correlation_at_lag": rho if lag == 0 else at_lag,
        "volatility_correlation": volatility_correlation(own, base, VOLATILITY_WINDOW),
        "correlation_stability": correlation_stability(daily_correlations(column, benchmark, window)),
        "cointegration": dict(engle_granger(column.log_close[newest], benchmark.log_close[newest])._asdict()),
    }


def rolling_correlation(column: Column, benchmark: Column, window: BarWindow, rho: float) -> float:
    """Return the correlation of the last 30 days, at least 30 bars: ``rho`` where these are the window."""
    bars = rolling_bars(window.timeframe)
    own, base = column.returns[-bars:], benchmark.returns[-bars:]
    if bars == window.bars and np.count_nonzero(all_finite(own, base)) >= MIN_ROLLING_ROWS:
        return rho
    return correlation(own, base, MIN_ROLLING_ROWS)


def daily_correlations(column: Column, benchmark: Column, window: BarWindow) -> FloatArray1D:
    """Return the rolling correlations of the window, the newest first, a day (at least a bar) apart.

    One that reaches before what was loaded is left out; one that has less than half of its bars is NaN.
    """
    bars = rolling_bars(window.timeframe)
    step = max(DAY_MS // window.timeframe.duration_ms, 1)
    fewest = max(MIN_ROLLING_ROWS, int(bars * STABILITY_COVERAGE))
    rows = slice(-(window.bars + bars), None)
    return spaced_correlations(column.returns[rows], benchmark.returns[rows], bars, step, fewest)


def market_breadth(histories: Sequence[History]) -> dict[str, Value]:
    """Return which share of the pairs stands above its averages, and how many more rose than fell in their last bar."""
    close = np.array([one.candles.close[-1] for one in histories])
    return {
        "above_sma20": share_above(close, _averages(histories, SHORT_AVERAGE)),
        "above_sma50": share_above(close, _averages(histories, LONG_AVERAGE)),
        "advance_decline": advance_decline(close, np.array([_close_before(one) for one in histories])),
    }


def _averages(histories: Sequence[History], window: int) -> FloatArray1D:
    return np.array([sma(one.candles.close[-window:], window)[-1] for one in histories])


def _close_before(history: History) -> float:
    """Return the close of the bar before the last, NaN when that bar is missing."""
    opened, close = history.candles.open_time_ms, history.candles.close
    is_next = len(close) > 1 and int(opened[-1] - opened[-2]) == history.window.timeframe.duration_ms
    return float(close[-2]) if is_next else NAN


def market_basis(histories: Sequence[History]) -> Basis:
    """Return what the document of the market rests on: the candles of all pairs together."""
    return Basis(
        data_until_ms=max(one.data_until_ms for one in histories),
        rows_used=sum(len(one.candles) for one in histories),
        window_rows=sum(one.window_rows for one in histories),
        window_slots=sum(one.window.bars for one in histories),
        warmup_complete=all(len(one.candles) >= CONVERGED_BARS for one in histories),
    )


def _cells(symbols: Sequence[str], row: FloatArray2D | FloatArray1D) -> dict[str, Value]:
    return dict(zip(symbols, row.tolist(), strict=True))
