"""Where a value stands in its own recent range: Bollinger bands, z-score, position between minimum and maximum."""

from typing import NamedTuple

import numpy as np

from common.indicators.arrays import (
    FloatArray1D,
    FloatArray2D,
    all_over_valid,
    over_windows,
    require_window,
    row_deviations,
    row_mean,
)
from common.indicators.moving import sma
from common.indicators.volatility import rolling_std, row_std


class BollingerBands(NamedTuple):
    """Bollinger bands; series of shape ``(n,)`` in the unit of the price, ``width`` as a share of the middle."""

    middle: FloatArray1D
    upper: FloatArray1D
    lower: FloatArray1D
    width: FloatArray1D


def bollinger_bands(close: FloatArray1D, window: int = 20, deviations: float = 2.0) -> BollingerBands:
    """Bollinger bands (Bollinger 2001): SMA ± deviations · population standard deviation (divisor ``window``).

    Args:
        close: shape ``(n,)``.
        window: bars per value.
        deviations: distance of the bands.

    Returns:
        Middle, upper and lower band and width = (upper − lower) ÷ middle, first values at index ``window - 1``; the
        width is NaN where the middle is 0.

    Raises:
        ValueError: the window is below 1.
    """
    require_window(window)
    return BollingerBands(*all_over_valid(lambda values: _bands(values, window, deviations), close))


def _bands(close: FloatArray1D, window: int, deviations: float) -> tuple[FloatArray1D, ...]:
    middle = sma(close, window)
    distance = deviations * rolling_std(close, window, ddof=0)
    return middle, middle + distance, middle - distance, 2 * distance / middle


def z_score(series: FloatArray1D, window: int, ddof: int = 0) -> FloatArray1D:
    """Distance of a value from the mean of its window, in standard deviations; the value itself is in the window.

    Args:
        series: shape ``(n,)``.
        window: values per window.
        ddof: 0 as in Bollinger bands, 1 for the sample deviation.

    Returns:
        Shape ``(n,)``, first value at index ``window - 1``; NaN in a flat window.

    Raises:
        ValueError: the window is not above ``ddof``.
    """
    require_window(window, ddof + 1)
    return over_windows(lambda rows: _last_z(rows, ddof), window, series)


def _last_z(rows: FloatArray2D, ddof: int) -> FloatArray1D:
    deviations, _ = row_deviations(rows)
    z: FloatArray1D = deviations[:, -1] / np.sqrt((deviations**2).sum(axis=1) / (rows.shape[1] - ddof))
    return z


def range_position(series: FloatArray1D, window: int) -> FloatArray1D:
    """Position of a value between the minimum and the maximum of its window: (x − min) ÷ (max − min).

    Args:
        series: shape ``(n,)``.
        window: values per window.

    Returns:
        Shape ``(n,)``, 0 at the minimum to 1 at the maximum, 0.5 in a flat window, first value at ``window - 1``.

    Raises:
        ValueError: the window is below 1.
    """
    require_window(window)
    return over_windows(_last_position, window, series)


def _last_position(rows: FloatArray2D) -> FloatArray1D:
    lowest, highest = rows.min(axis=1), rows.max(axis=1)
    return np.where(highest == lowest, 0.5, (rows[:, -1] - lowest) / (highest - lowest))


def coefficient_of_variation(series: FloatArray1D, window: int, ddof: int = 1) -> FloatArray1D:
    """Standard deviation of a window divided by its mean.

    Args:
        series: shape ``(n,)``.
        window: values per window.
        ddof: 1 for the sample deviation, 0 for the population's.

    Returns:
        Shape ``(n,)``, dimensionless, first value at index ``window - 1``; NaN where the mean is 0.

    Raises:
        ValueError: the window is not above ``ddof``.
    """
    require_window(window, ddof + 1)
    return over_windows(lambda rows: row_std(rows, ddof) / row_mean(rows), window, series)
