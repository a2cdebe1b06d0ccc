"""Candles on a common time axis: gaps made visible, rows of two symbols matched by open time."""

import numpy as np

from common.indicators.arrays import FloatArray1D, IntArray1D


def on_grid(values: FloatArray1D, open_time_ms: IntArray1D, interval_ms: int) -> FloatArray1D:
    """Spread values over the regular grid from the first to the last open time, NaN where a candle is missing.

    Args:
        values: one per candle, shape ``(n,)``.
        open_time_ms: open time of each candle, shape ``(n,)``, ascending. Candles off the grid of the first are left
            out; of two with one time the later row counts.
        interval_ms: length of a candle.

    Returns:
        Shape ``((last − first) ÷ interval + 1,)``; empty without candles.

    Raises:
        ValueError: the shapes differ or the interval is below 1.
    """
    if values.shape != open_time_ms.shape or interval_ms < 1:
        raise ValueError(
            f"values and open_time_ms must have one shape and interval_ms be above 0, "
            f"were {values.shape}, {open_time_ms.shape} and {interval_ms}"
        )
    if not len(values):
        return np.empty(0)
    slot, remainder = np.divmod(open_time_ms - open_time_ms[0], interval_ms)
    grid = np.full(int(slot[-1]) + 1, np.nan)
    kept = (remainder == 0) & (slot >= 0) & (slot < len(grid))
    grid[slot[kept]] = values[kept]
    return grid


def common_rows(first_open_time_ms: IntArray1D, second_open_time_ms: IntArray1D) -> tuple[IntArray1D, IntArray1D]:
    """Return the rows of two candle series that share their open time.

    Args:
        first_open_time_ms: shape ``(n,)``, without repetitions.
        second_open_time_ms: shape ``(m,)``, without repetitions.

    Returns:
        Row numbers in the first and in the second series, both of shape ``(k,)``, ascending by open time.
    """
    _, first, second = np.intersect1d(first_open_time_ms, second_open_time_ms, assume_unique=True, return_indices=True)
    return first, second
