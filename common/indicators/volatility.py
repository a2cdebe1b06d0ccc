"""Volatility: how far prices move per bar, from closes, from the range of a bar, or weighted towards the newest bars.

All results are standard deviations of log returns per bar; `annualized` turns them into yearly ones.
"""

import math
from typing import Final

import numpy as np

from common.indicators.arrays import (
    FloatArray1D,
    FloatArray2D,
    IntArray1D,
    over_valid,
    over_windows,
    require_window,
    row_deviations,
    row_mean,
    smoothed,
    whole_candles,
    windowed,
)
from common.indicators.returns import adjacent, log_ratio

RISKMETRICS_DECAY: Final = 0.94
_PARKINSON_SCALE: Final = 4 * math.log(2)
_GARMAN_KLASS_WEIGHT: Final = 2 * math.log(2) - 1


def annualized(volatility: float, bars_per_year: float) -> float:
    """Return a volatility per bar as volatility per year: volatility · √(bars per year).

    Args:
        volatility: per bar.
        bars_per_year: candles in a year of 365 days (8760 for 1h): crypto markets do not close.
    """
    return volatility * math.sqrt(bars_per_year)


def rolling_std(series: FloatArray1D, window: int, ddof: int = 1) -> FloatArray1D:
    """Standard deviation of the last ``window`` values.

    Args:
        series: shape ``(n,)``, for instance log returns.
        window: values per window, above ``ddof``.
        ddof: 1 divides by window - 1 (sample), 0 by window (population).

    Returns:
        Shape ``(n,)``, in the unit of the series, first value at index ``window - 1``. Exactly 0 for a flat window.

    Raises:
        ValueError: the window is not above ``ddof``.
    """
    require_window(window, ddof + 1)
    return over_windows(lambda rows: row_std(rows, ddof), window, series)


def row_std(rows: FloatArray2D, ddof: int) -> FloatArray1D:
    """Standard deviation of each row, shape ``(count,)``, in two passes; exactly 0 for a flat row."""
    deviations, scale = row_deviations(rows)
    spread: FloatArray1D = scale * np.sqrt((deviations**2).sum(axis=1) / (rows.shape[1] - ddof))
    return spread


def volatility_of_volatility(returns: FloatArray1D, window: int) -> FloatArray1D:
    """Sample standard deviation of the last ``window`` values of the rolling volatility of ``returns``.

    Args:
        returns: log returns, shape ``(n,)``.
        window: values per window, of the volatility and of its deviation alike.

    Returns:
        Shape ``(n,)``, per bar, first value at the return number 2 · window - 1.

    Raises:
        ValueError: the window is below 2.
    """
    require_window(window, 2)
    return over_valid(lambda values: rolling_std(rolling_std(values, window), window), returns)


def parkinson(high: FloatArray1D, low: FloatArray1D, window: int) -> FloatArray1D:
    """Range volatility of Parkinson (1980): √( mean of ln(H/L)² ÷ (4 ln 2) ).

    Assumes no drift and a price that moves all the time: with few trades in a bar it is too low, with drift too high.

    Args:
        high: shape ``(n,)``.
        low: shape ``(n,)``.
        window: bars per value.

    Returns:
        Shape ``(n,)``, per bar, first value at index ``window - 1``. Rows without 0 < L ≤ H are left out.

    Raises:
        ValueError: the shapes differ or the window is below 1.
    """
    require_window(window)
    valid = whole_candles(high, low)
    return over_valid(lambda h, lo: _root_mean(_parkinson_terms(h, lo), window), high, low, valid=valid)


def garman_klass(
    open_: FloatArray1D, high: FloatArray1D, low: FloatArray1D, close: FloatArray1D, window: int
) -> FloatArray1D:
    """Volatility of Garman and Klass (1980): √( mean of ½ ln(H/L)² − (2 ln 2 − 1) ln(C/O)² ).

    Assumes no drift and no jump between bars. A negative mean, which candles can have, counts as 0.

    Args:
        open_: shape ``(n,)``.
        high: shape ``(n,)``.
        low: shape ``(n,)``.
        close: shape ``(n,)``.
        window: bars per value.

    Returns:
        Shape ``(n,)``, per bar, first value at index ``window - 1``. Rows that are no candle are left out.

    Raises:
        ValueError: the shapes differ or the window is below 1.
    """
    require_window(window)
    valid = whole_candles(high, low, open_, close)
    return over_valid(
        lambda o, h, lo, c: _root_mean(_garman_klass_terms(o, h, lo, c), window), open_, high, low, close, valid=valid
    )


def rogers_satchell(
    open_: FloatArray1D, high: FloatArray1D, low: FloatArray1D, close: FloatArray1D, window: int
) -> FloatArray1D:
    """Volatility of Rogers and Satchell (1991): √( mean of ln(H/C) ln(H/O) + ln(L/C) ln(L/O) ).

    Right under any drift; blind to jumps between bars.

    Args:
        open_: shape ``(n,)``.
        high: shape ``(n,)``.
        low: shape ``(n,)``.
        close: shape ``(n,)``.
        window: bars per value.

    Returns:
        Shape ``(n,)``, per bar, first value at index ``window - 1``. Rows that are no candle are left out.

    Raises:
        ValueError: the shapes differ or the window is below 1.
    """
    require_window(window)
    valid = whole_candles(high, low, open_, close)
    return over_valid(
        lambda o, h, lo, c: _root_mean(_rogers_satchell_terms(o, h, lo, c), window),
        open_,
        high,
        low,
        close,
        valid=valid,
    )


def yang_zhang(
    open_: FloatArray1D,
    high: FloatArray1D,
    low: FloatArray1D,
    close: FloatArray1D,
    window: int,
    *,
    open_time_ms: IntArray1D | None = None,
    interval_ms: int | None = None,
) -> FloatArray1D:
    """Volatility of Yang and Zhang (2000): √( s²(ln O_t/C_{t−1}) + k s²(ln C/O) + (1 − k) RS ).

    Right under drift and under jumps between bars. s² is the sample variance over the window, RS the mean of the
    Rogers-Satchell terms and k = 0.34 ÷ (1.34 + (window + 1) ÷ (window − 1)).

    Args:
        open_: shape ``(n,)``.
        high: shape ``(n,)``.
        low: shape ``(n,)``.
        close: shape ``(n,)``.
        window: bars per value, at least 2.
        open_time_ms: open time of each candle; without it all rows count as neighbours.
        interval_ms: length of a candle, needed with ``open_time_ms``.

    Returns:
        Shape ``(n,)``, per bar, first value at index ``window``. A row is left out when it is no candle or when the
        candle before it is missing.

    Raises:
        ValueError: the shapes differ or the window is below 2.
    """
    require_window(window, 2)
    candle = whole_candles(high, low, open_, close)
    valid = adjacent(len(close), open_time_ms, interval_ms) & candle
    valid[1:] &= candle[:-1]
    close_before = np.roll(close, 1)  # row 0 is never valid, so its wrapped value is not used
    return over_valid(
        lambda o, h, lo, c, before: windowed(
            _yang_zhang, window, log_ratio(o, before), log_ratio(c, o), _rogers_satchell_terms(o, h, lo, c)
        ),
        open_,
        high,
        low,
        close,
        close_before,
        valid=valid,
    )


def ewma_volatility(returns: FloatArray1D, decay: float = RISKMETRICS_DECAY, seed_bars: int = 20) -> FloatArray1D:
    """Exponentially weighted volatility of RiskMetrics (1996): σ²_t = λ σ²_{t−1} + (1 − λ) r²_t.

    The newest return is included: it is the estimate at t, and the forecast for t + 1. The recursion starts at the mean
    of the first ``seed_bars`` squared returns.

    Args:
        returns: log returns, shape ``(n,)``.
        decay: λ, the weight that stays, above 0 and below 1.
        seed_bars: returns that the first value is the mean of.

    Returns:
        Shape ``(n,)``, per bar, first value at the return number ``seed_bars``.

    Raises:
        ValueError: ``decay`` is not between 0 and 1 or ``seed_bars`` below 1.
    """
    require_window(seed_bars)
    if not 0 < decay < 1:
        raise ValueError(f"decay must lie between 0 and 1, was {decay}")
    return over_valid(lambda values: np.sqrt(smoothed(values**2, seed_bars, 1 - decay)), returns)


def _parkinson_terms(high: FloatArray1D, low: FloatArray1D) -> FloatArray1D:
    return log_ratio(high, low) ** 2 / _PARKINSON_SCALE


def _garman_klass_terms(
    open_: FloatArray1D, high: FloatArray1D, low: FloatArray1D, close: FloatArray1D
) -> FloatArray1D:
    return 0.5 * log_ratio(high, low) ** 2 - _GARMAN_KLASS_WEIGHT * log_ratio(close, open_) ** 2


def _rogers_satchell_terms(
    open_: FloatArray1D, high: FloatArray1D, low: FloatArray1D, close: FloatArray1D
) -> FloatArray1D:
    above = log_ratio(high, close) * log_ratio(high, open_)
    below = log_ratio(low, close) * log_ratio(low, open_)
    return above + below


def _root_mean(terms: FloatArray1D, window: int) -> FloatArray1D:
    """Root of the mean of each window; a mean below zero counts as zero."""
    return np.sqrt(np.maximum(windowed(row_mean, window, terms), 0.0))


def _yang_zhang(between: FloatArray2D, within: FloatArray2D, ranges: FloatArray2D) -> FloatArray1D:
    """Yang-Zhang volatility of windows of ln(O_t/C_{t−1}), ln(C/O) and the Rogers-Satchell terms."""
    window = between.shape[1]
    weight = 0.34 / (1.34 + (window + 1) / (window - 1))
    variance = row_std(between, 1) ** 2 + weight * row_std(within, 1) ** 2 + (1 - weight) * row_mean(ranges)
    return np.sqrt(np.maximum(variance, 0.0))
