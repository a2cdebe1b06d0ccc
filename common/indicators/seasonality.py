"""Seasonality: what depends on the hour of the day and the day of the week (UTC), and how evenly returns are spread."""

import math
from typing import Final, NamedTuple

import numpy as np
import scipy

from common.indicators.arrays import (
    NAN,
    FloatArray1D,
    IntArray1D,
    all_positive,
    require_series,
    require_window,
    scaled_deviations,
)
from common.indicators.spectrum import filled_deviations

HOURS_PER_DAY: Final = 24
DAYS_PER_WEEK: Final = 7
HOURS_PER_WEEK: Final = 168
_ROUNDING: Final = 1e-12  # of values scaled to 1
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday


class SlotProfile(NamedTuple):
    """Mean, count and t-value of the values of each slot, shape ``(slots,)``.

    A mean is NaN for an empty slot; a t-value = mean ÷ (sample deviation ÷ √count) is NaN with fewer than two values or
    without deviation.
    """

    means: FloatArray1D
    counts: IntArray1D
    t_values: FloatArray1D


def hour_of_day(open_time_ms: IntArray1D) -> IntArray1D:
    """Hour in UTC of each open time, 0 to 23, shape ``(n,)``."""
    return open_time_ms // _HOUR_MS % HOURS_PER_DAY


def day_of_week(open_time_ms: IntArray1D) -> IntArray1D:
    """Weekday in UTC of each open time, 0 (Monday) to 6 (Sunday), shape ``(n,)``."""
    return (open_time_ms // _DAY_MS + _EPOCH_WEEKDAY) % DAYS_PER_WEEK


def hour_of_week(open_time_ms: IntArray1D) -> IntArray1D:
    """Weekday · 24 + hour in UTC of each open time, 0 to 167, shape ``(n,)``."""
    return day_of_week(open_time_ms) * HOURS_PER_DAY + hour_of_day(open_time_ms)


def slot_profile(values: FloatArray1D, slot: IntArray1D, slots: int) -> SlotProfile:
    """Mean of the values of each slot, with its count and t-value against zero.

    Args:
        values: log returns (or prices), shape ``(n,)``; missing ones are left out.
        slot: slot of each value, shape ``(n,)``, 0 to ``slots - 1``.
        slots: number of slots.

    Returns:
        One entry per slot.

    Raises:
        ValueError: the shapes differ or a slot is out of range.
    """
    if values.shape != slot.shape or (len(slot) and not 0 <= slot.min() <= slot.max() < slots):
        raise ValueError(f"each of the {values.shape} values needs a slot from 0 to {slots - 1}")
    valid = np.isfinite(values)
    values, slot = values[valid], slot[valid]
    count: IntArray1D = np.bincount(slot, minlength=slots)
    first = np.zeros(slots)
    first[slot[::-1]] = values[::-1]  # around its first value the mean of equal values is exact
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        shifted = values - first[slot]
        offset = np.bincount(slot, shifted, minlength=slots) / count
        mean = first + offset
        t_value = mean / (_slot_deviation(shifted - offset[slot], slot, count) / np.sqrt(count))
    return SlotProfile(mean, count, np.where(np.isfinite(t_value), t_value, np.nan))


def _slot_deviation(deviations: FloatArray1D, slot: IntArray1D, count: IntArray1D) -> FloatArray1D:
    """Sample deviation of each slot from the deviations of its values; NaN where a slot has fewer than two."""
    scale = max(float(np.abs(deviations).max(initial=0.0)), np.finfo(np.float64).tiny)
    squares = np.bincount(slot, (deviations / scale) ** 2, minlength=len(count))
    return np.where(count > 1, scale * np.sqrt(squares / (count - 1)), np.nan)


def seasonal_deviation(close: FloatArray1D, open_time_ms: IntArray1D) -> float:
    """Distance of the last price from what is usual at its hour of the day.

    100 · (residual of the linearly detrended log price at the last candle − mean residual of that hour).

    Args:
        close: shape ``(n,)``; prices that are not above zero are left out.
        open_time_ms: open time of each candle, shape ``(n,)``; the line runs over time, so gaps do not bend it.

    Returns:
        Percent; NaN with fewer than 3 prices.

    Raises:
        ValueError: the shapes differ.
    """
    if close.shape != open_time_ms.shape:
        raise ValueError(f"close and open_time_ms must have one shape, were {close.shape} and {open_time_ms.shape}")
    valid = all_positive(close)
    times = open_time_ms[valid]
    if len(times) < 3:
        return NAN
    residuals = _beside_line(np.log(close[valid]), (times - times[0]) / _HOUR_MS)
    hours = hour_of_day(times)
    return 100 * float(residuals[-1] - residuals[hours == hours[-1]].mean())


def _beside_line(values: FloatArray1D, position: FloatArray1D) -> FloatArray1D:
    """What a least-squares line over positions, which need not be evenly spaced, leaves of values."""
    centred = position - position.mean()
    level = values - values[0]
    level -= level.mean()
    spread = float(centred @ centred)
    residuals: FloatArray1D = level - centred * (float(centred @ level) / spread if spread > 0 else 0.0)
    return residuals


def entropy_index(returns: FloatArray1D, bins: int = 50) -> float:
    """Shannon entropy of the histogram of returns, divided by its maximum ln(bins).

    Args:
        returns: log returns, shape ``(n,)``; missing ones are left out.
        bins: equal bins from the smallest to the largest return.

    Returns:
        0 (all in one bin, as when all are equal) to 1 (evenly spread); NaN with fewer than 2 returns.

    Raises:
        ValueError: there are fewer than 2 bins.
    """
    require_series(returns)
    require_window(bins, 2)
    deviations = scaled_deviations(returns[np.isfinite(returns)])
    if len(deviations) < 2:
        return NAN
    lowest, highest = deviations.min(), deviations.max()
    if highest == lowest:
        return 0.0
    place = ((deviations - lowest) / (highest - lowest) * bins).astype(np.int64)
    share = np.bincount(np.minimum(place, bins - 1)) / len(deviations)
    return float(scipy.special.entr(share).sum()) / math.log(bins)


def seasonality_strength(series: FloatArray1D, period: int) -> float:
    """Share of the variance around the trend that repeats with the period: max(0, 1 − Var(R) ÷ Var(S + R)).

    The measure of Wang, Smith and Hyndman (2006), on a classical decomposition: trend = centred moving average over one
    period, S = mean of what is left at each place in the period, R = the rest. S alone, without any season, takes about
    1 ÷ (number of periods) of the variance.

    Args:
        series: evenly spaced levels, for instance log prices, shape ``(n,)``. Missing ones are interpolated.
        period: rows per period (24 for a day of 1h candles), at least 2.

    Returns:
        0 to 1; NaN with fewer than three periods or 32 rows, with more than a tenth missing, or when nothing is left
        beside the trend.

    Raises:
        ValueError: the period is below 2.
    """
    require_series(series)
    require_window(period, 2)
    levels = filled_deviations(series)
    if len(levels) < 3 * period:
        return NAN
    half = period // 2
    weights = np.ones(2 * half + 1)
    weights[[0, -1]] = 0.5 if period % 2 == 0 else 1.0
    trend = np.convolve(levels, weights / weights.sum(), mode="valid")
    detrended = levels[half : len(levels) - half] - trend
    place = np.arange(len(detrended)) % period
    remainder = detrended - slot_profile(detrended, place, period).means[place]
    if np.abs(detrended).max() < _ROUNDING:
        return NAN
    return max(0.0, 1 - float(remainder.var()) / float(detrended.var()))
