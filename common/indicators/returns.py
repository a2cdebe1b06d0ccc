"""Returns: the change of a price from one candle to the next."""

import numpy as np

from common.indicators.arrays import BoolArray1D, FloatArray1D, IntArray1D, all_positive, require_series


def log_returns(
    close: FloatArray1D, open_time_ms: IntArray1D | None = None, interval_ms: int | None = None
) -> FloatArray1D:
    """Logarithmic return of each bar, r_t = ln(C_t / C_{t-1}).

    A return across a missing candle is not a return of one bar: it is missing, not spread over the bars.

    Args:
        close: prices, shape ``(n,)``; one that is not a finite number above zero is missing.
        open_time_ms: open time of each candle, shape ``(n,)``; without it all rows count as neighbours.
        interval_ms: length of a candle, needed with ``open_time_ms``.

    Returns:
        Shape ``(n,)``, dimensionless, per bar. The first value is at index 1. NaN where either price is missing or the
        candles are not exactly one interval apart.

    Raises:
        ValueError: the shapes differ, or only one of the times and the interval was given.
    """
    require_series(close)
    returns = np.full(len(close), np.nan)
    neighbours = adjacent(len(close), open_time_ms, interval_ms)
    usable = all_positive(close)
    pairs = neighbours[1:] & usable[1:] & usable[:-1]
    returns[1:][pairs] = log_ratio(close[1:][pairs], close[:-1][pairs])
    return returns


def adjacent(rows: int, open_time_ms: IntArray1D | None, interval_ms: int | None) -> BoolArray1D:
    """Return which rows follow the row before by exactly one interval, shape ``(rows,)``; the first never does.

    Raises:
        ValueError: the shapes differ, or only one of the times and the interval was given.
    """
    if (open_time_ms is None) != (interval_ms is None):
        raise ValueError("open_time_ms and interval_ms must be given together")
    follows = np.ones(rows, dtype=np.bool_)
    follows[:1] = False
    if open_time_ms is not None:
        if open_time_ms.shape != (rows,):
            raise ValueError(f"open_time_ms must have shape ({rows},), was {open_time_ms.shape}")
        follows[1:] = np.diff(open_time_ms) == interval_ms
    return follows


def log_ratio(numerator: FloatArray1D, denominator: FloatArray1D) -> FloatArray1D:
    """Return ln(numerator / denominator) of positive numbers to full relative precision.

    ``log1p`` of the relative change keeps the digits of a move by one tick, which ``log`` of the ratio rounds away; the
    difference of two logarithms keeps ratios that would overflow.
    """
    with np.errstate(over="ignore"):
        change = (numerator - denominator) / denominator
    near = np.abs(change) < 0.5
    return np.where(near, np.log1p(np.where(near, change, 0.0)), np.log(numerator) - np.log(denominator))
