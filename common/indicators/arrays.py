"""What all indicators share: array types that name their rank, windows, and how missing rows are left out."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final, TypeAlias

import numpy as np

FloatArray1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
FloatArray2D: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
IntArray1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
BoolArray1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]

Kernel: TypeAlias = Callable[..., FloatArray1D]
"""Takes columns without missing rows, shape ``(n,)`` each, returns one value per row."""
Kernels: TypeAlias = Callable[..., Sequence[FloatArray1D]]
"""Does the same and returns several series."""
Reduction: TypeAlias = Callable[..., FloatArray1D]
"""Takes the windows of one or more columns, shape ``(count, window)`` each, returns one value per window."""

NAN: Final = float("nan")
_BLOCK_VALUES: Final = 1 << 16  # windows are reduced in blocks that stay in the cache, so memory does not grow with n


def require_series(*columns: FloatArray1D) -> None:
    """Check that all columns are one-dimensional and of one length.

    Raises:
        ValueError: they are not.
    """
    shapes = {np.shape(column) for column in columns}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"series must be one-dimensional and of one length, shapes were {sorted(shapes)}")


def require_window(window: int, minimum: int = 1) -> None:
    """Check that a window has at least ``minimum`` rows.

    Raises:
        ValueError: it has fewer.
    """
    if window < minimum:
        raise ValueError(f"window must be at least {minimum}, was {window}")


def all_finite(*columns: FloatArray1D) -> BoolArray1D:
    """Return which rows have a finite value in every column, shape ``(n,)``."""
    valid: BoolArray1D = np.isfinite(columns[0])
    for column in columns[1:]:
        valid = valid & np.isfinite(column)
    return valid


def all_positive(*columns: FloatArray1D) -> BoolArray1D:
    """Return which rows have a finite value above zero in every column, shape ``(n,)``."""
    valid = all_finite(*columns)
    for column in columns:
        valid = valid & (column > 0)
    return valid


def whole_candles(high: FloatArray1D, low: FloatArray1D, *others: FloatArray1D) -> BoolArray1D:
    """Return which rows have finite prices above zero and a high that is not below the low, shape ``(n,)``.

    Raises:
        ValueError: the shapes differ.
    """
    require_series(high, low, *others)
    return all_positive(high, low, *others) & (high >= low)


def over_valid(kernel: Kernel, *columns: FloatArray1D, valid: BoolArray1D | None = None) -> FloatArray1D:
    """Apply ``kernel`` to the valid rows and give every other row the result of the valid row before it.

    Args:
        kernel: takes the columns without their missing rows, returns one value per row.
        columns: series of one length ``(n,)``.
        valid: which rows count; by default those where all columns are finite.

    Returns:
        Shape ``(n,)``; NaN before the first valid row and wherever the kernel's result is not finite.

    Raises:
        ValueError: the shapes differ.
    """
    result: FloatArray1D = all_over_valid(lambda *rows: (kernel(*rows),), *columns, valid=valid)[0]
    return result


def all_over_valid(kernel: Kernels, *columns: FloatArray1D, valid: BoolArray1D | None = None) -> list[FloatArray1D]:
    """Do as `over_valid` with a kernel that returns several series."""
    require_series(*columns)
    if valid is None:
        valid = all_finite(*columns)
    complete = bool(valid.all())
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite becomes NaN below
        results = kernel(*columns) if complete else kernel(*(column[valid] for column in columns))
    spread = results if complete else [_held(result, valid) for result in results]
    return [np.where(np.isfinite(result), result, np.nan) for result in spread]


def _held(values: FloatArray1D, valid: BoolArray1D) -> FloatArray1D:
    """Spread the values of the valid rows over all rows, each held until the next valid one."""
    if not len(values):
        return np.full(len(valid), np.nan)
    newest = np.cumsum(valid) - 1
    return np.where(newest >= 0, values[newest], np.nan)


def over_windows(reduction: Reduction, window: int, *columns: FloatArray1D) -> FloatArray1D:
    """Apply ``reduction`` to each window of valid rows, shape ``(n,)``, first value at the window-th valid row."""
    return over_valid(lambda *valid_columns: windowed(reduction, window, *valid_columns), *columns)


def windowed(reduction: Reduction, window: int, *columns: FloatArray1D) -> FloatArray1D:
    """Apply ``reduction`` to each window of columns without missing rows, shape ``(n,)``, first value at window - 1."""
    result = np.full(len(columns[0]), np.nan)
    if len(result) < window:
        return result
    views = [np.lib.stride_tricks.sliding_window_view(column, window) for column in columns]
    count, step = len(views[0]), max(1, _BLOCK_VALUES // window)
    for start in range(0, count, step):
        block = [view[start : start + step] for view in views]
        result[window - 1 + start : window - 1 + start + step] = reduction(*block)
    return result


def row_mean(rows: FloatArray2D) -> FloatArray1D:
    """Mean of each row, summed by itself around the first value, so that the mean of equal values is that value."""
    first = rows[:, 0]
    mean: FloatArray1D = first + (rows - first[:, np.newaxis]).sum(axis=1) / rows.shape[1]
    return mean


def row_deviations(rows: FloatArray2D) -> tuple[FloatArray2D, FloatArray1D]:
    """Return the deviations of each row from its mean, scaled to at most 1, and the scale of each row.

    The shift by the first value makes the deviations of equal values exactly zero; the scale keeps the powers of tiny
    and huge deviations in the range of a double. The scale of a flat row is 0 and its deviations are 0.
    """
    shifted = rows - rows[:, :1]
    deviations = shifted - row_mean(shifted)[:, np.newaxis]
    scale = np.abs(deviations).max(axis=1)
    return deviations / np.where(scale > 0, scale, 1.0)[:, np.newaxis], scale


def scaled_deviations(values: FloatArray1D) -> FloatArray1D:
    """Return the deviations of finite values from their mean, scaled to at most 1; zeros when all are equal.

    For measures that do not depend on scale. Empty in, empty out.
    """
    if not len(values):
        return values
    deviations: FloatArray1D = row_deviations(near_one(values)[np.newaxis, :])[0][0]
    return deviations


def deviations_in_place(values: FloatArray1D) -> FloatArray1D:
    """Return the scaled deviations of the finite values in their places, 0 where a value is missing."""
    deviations = np.zeros(len(values))
    valid = np.isfinite(values)
    deviations[valid] = scaled_deviations(values[valid])
    return deviations


def near_one(values: FloatArray1D) -> FloatArray1D:
    """Return values times the power of two that brings the largest finite one near 1, so that no sum overflows.

    Only exponents change: apart from values that vanish beside the largest, the result is exact.
    """
    largest = np.abs(values).max(initial=0.0, where=np.isfinite(values))
    scaled: FloatArray1D = np.ldexp(values, -np.frexp(largest)[1])
    return scaled


def smoothed(values: FloatArray1D, seed_rows: int, weight: float) -> FloatArray1D:
    """Exponential smoothing s_t = s_{t−1} + weight · (x_t − s_{t−1}), started at the mean of the first values.

    Args:
        values: finite numbers, shape ``(n,)``.
        seed_rows: values in the starting mean.
        weight: of the newest value.

    Returns:
        Shape ``(n,)``, first value at index ``seed_rows - 1``.
    """
    if len(values) < seed_rows:
        return np.full(len(values), np.nan)
    seed = float(row_mean(values[np.newaxis, :seed_rows])[0])
    # One step per row in Python floats: a blocked form in numpy is no faster at these lengths, and less exact.
    path = accumulate(values[seed_rows:].tolist(), lambda state, value: state + weight * (value - state), initial=seed)
    return warmed_up(np.fromiter(path, np.float64, len(values) - seed_rows + 1), len(values))


def finite_or_nan(value: float) -> float:
    """Return ``value``, or NaN when it left the range of a double."""
    return value if math.isfinite(value) else NAN


def warmed_up(values: FloatArray1D, rows: int) -> FloatArray1D:
    """Return ``values`` as a series of ``rows`` rows, NaN in front: they belong to the newest rows."""
    series = np.full(rows, np.nan)
    if len(values):
        series[rows - len(values) :] = values
    return series
