"""Candles on a common time axis: gaps made visible, rows of two symbols matched by open time."""

import numpy as np

from common.indicators.arrays import FloatArray1D, IntArray1D


def on_grid(
    values: FloatArray1D,
    open_time_ms: IntArray1D,
    interval_ms: int,
    first_ms: int | None = None,
    slots: int | None = None,
) -> FloatArray1D:
    """Spread values over a regular grid, by default from the first to the last open time; NaN where one is missing.

    Args:
        values: one per candle, shape ``(n,)``.
        open_time_ms: open time of each candle, shape ``(n,)``, ascending. Candles off the grid are left out; of
            two with one time the later row counts.
        interval_ms: length of a candle.
        first_ms: the first slot.
        slots: how many there are.

    Returns:
        Shape ``(slots,)``, by default ``((last − first) ÷ interval + 1,)``; empty without candles and slots.

    Raises:
        ValueError: the shapes differ or the interval is below 1.
    """
    if values.shape != open_time_ms.shape or interval_ms < 1:
        raise ValueError(
            f"values and open_time_ms must have one shape and interval_ms be above 0, "
            f"were {values.shape}, {open_time_ms.shape} and {interval_ms}"
        )
    if not len(values):
        return np.full(slots or 0, np.nan)
    slot, remainder = np.divmod(open_time_ms - (open_time_ms[0] if first_ms is None else first_ms), interval_ms)
    grid = np.full(int(slot[-1]) + 1 if slots is None else slots, np.nan)
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
