"""Moving averages and what is read from them: rate of change, MACD, crossovers."""

from typing import NamedTuple

import numpy as np

from common.indicators.arrays import (
    FloatArray1D,
    all_over_valid,
    over_valid,
    over_windows,
    require_window,
    row_mean,
    smoothed,
    warmed_up,
)


class Macd(NamedTuple):
    """Moving average convergence and divergence; series of shape ``(n,)`` in the unit of the price."""

    line: FloatArray1D
    signal: FloatArray1D
    histogram: FloatArray1D


def sma(series: FloatArray1D, window: int) -> FloatArray1D:
    """Simple moving average: mean of the last ``window`` values.

    Args:
        series: shape ``(n,)``.
        window: values per average.

    Returns:
        Shape ``(n,)``, in the unit of the series, first value at index ``window - 1``.

    Raises:
        ValueError: the window is below 1.
    """
    require_window(window)
    return over_windows(row_mean, window, series)


def ema(series: FloatArray1D, span: int) -> FloatArray1D:
    """Exponential moving average: e_t = e_{t−1} + α (x_t − e_{t−1}) with α = 2 ÷ (span + 1).

    Starts with the mean of the first ``span`` values, as TA-Lib and charting programs do; pandas starts otherwise. The
    start is forgotten to 1e-9 after about 10 spans.

    Args:
        series: shape ``(n,)``.
        span: values per average.

    Returns:
        Shape ``(n,)``, in the unit of the series, first value at index ``span - 1``.

    Raises:
        ValueError: the span is below 1.
    """
    require_window(span)
    return over_valid(lambda values: smoothed(values, span, 2 / (span + 1)), series)


def wma(series: FloatArray1D, window: int) -> FloatArray1D:
    """Linearly weighted moving average: Σ i·x_i ÷ Σ i, i = 1 (oldest) … window (newest).

    Args:
        series: shape ``(n,)``.
        window: values per average.

    Returns:
        Shape ``(n,)``, in the unit of the series, first value at index ``window - 1``.

    Raises:
        ValueError: the window is below 1.
    """
    require_window(window)
    weights = np.arange(1, window + 1) / (window * (window + 1) / 2)
    return over_windows(lambda rows: (rows * weights).sum(axis=1), window, series)


def rate_of_change(series: FloatArray1D, bars: int) -> FloatArray1D:
    """Change against the value ``bars`` rows before, (x_t ÷ x_{t−bars} − 1) · 100.

    Args:
        series: shape ``(n,)``.
        bars: distance.

    Returns:
        Shape ``(n,)``, percent, first value at index ``bars``; NaN where the older value is 0.

    Raises:
        ValueError: ``bars`` is below 1.
    """
    require_window(bars)
    return over_valid(
        lambda values: warmed_up((values[bars:] - values[:-bars]) / values[:-bars] * 100, len(values)), series
    )


def macd(series: FloatArray1D, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """Moving average convergence and divergence (Appel): EMA(fast) − EMA(slow), its EMA, and the difference of the two.

    Every average starts by itself at the mean of its first values. TA-Lib starts the fast one where the slow one
    starts; the two agree to 1e-10 of the price after about 140 rows.

    Args:
        series: prices, shape ``(n,)``.
        fast: span of the fast average.
        slow: span of the slow average.
        signal: span of the average of the line.

    Returns:
        Line (first value at index ``slow - 1``), signal and histogram (at ``slow + signal - 2``).

    Raises:
        ValueError: a span is below 1 or ``fast`` is not below ``slow``.
    """
    if fast >= slow:
        raise ValueError(f"the fast span must be below the slow one, spans were {fast} and {slow}")
    require_window(min(fast, signal))
    return Macd(*all_over_valid(lambda values: _macd(values, fast, slow, signal), series))


def _macd(values: FloatArray1D, fast: int, slow: int, signal: int) -> tuple[FloatArray1D, ...]:
    line = ema(values, fast) - ema(values, slow)
    signal_line = ema(line, signal)
    return line, signal_line, line - signal_line


def crossover_state(fast: FloatArray1D, slow: FloatArray1D) -> FloatArray1D:
    """Side of the slow average that the fast one is on: 1 above (bullish), −1 below (bearish).

    Equal averages keep the side before them: a touch is no crossing. Before any difference, equal counts as below.

    Args:
        fast: shape ``(n,)``.
        slow: shape ``(n,)``.

    Returns:
        Shape ``(n,)``, 1 or −1, first value where both averages have one.

    Raises:
        ValueError: the shapes differ.
    """
    return over_valid(_sides, fast, slow)


def crossover_event(fast: FloatArray1D, slow: FloatArray1D) -> FloatArray1D:
    """Crossings: 1 on the bar where the fast average rises above the slow one (golden), −1 where it falls below.

    Args:
        fast: shape ``(n,)``.
        slow: shape ``(n,)``.

    Returns:
        Shape ``(n,)``, 1, −1 (death) or 0 for no crossing; 0 on the first bar that has a side, NaN before.

    Raises:
        ValueError: the shapes differ.
    """
    state = crossover_state(fast, slow)
    change = np.diff(state, prepend=np.nan) / 2
    return np.where(np.isnan(change) & np.isfinite(state), 0.0, change)


def _sides(fast: FloatArray1D, slow: FloatArray1D) -> FloatArray1D:
    side = np.sign(fast - slow)
    decided = np.maximum.accumulate(np.where(side != 0, np.arange(len(side)), -1))
    return np.where(decided >= 0, side[decided], -1.0)
