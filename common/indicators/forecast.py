"""Forecast of the next day's variance from the realised variances of the days before.

The model is the heterogeneous autoregression of Corsi (2009) on logarithms. Of the models that
``tests/bench/forecast_comparison.py`` compares on recorded candles (exponential weights, HAR, GARCH) it has the lowest
QLIKE loss over all days, once it has seen about three months of them; with fewer, exponential weights are better, and
it states nothing.
"""

from typing import Final

import numpy as np

from common.indicators.arrays import (
    NAN,
    FloatArray1D,
    FloatArray2D,
    all_positive,
    finite_or_nan,
    require_series,
    require_window,
)

# Days that a forecast is made from; more change little, fewer than the minimum are too few for four coefficients.
HISTORY_DAYS: Final = 120
MIN_DAYS: Final = 90
_WEEK: Final = 7
_MONTH: Final = 30


def daily_variances(returns: FloatArray1D, bars_per_day: int, coverage: float = 0.8) -> FloatArray1D:
    """Realised variance of each day: the sum of its squared returns, scaled up to a whole day when some are missing.

    Days are counted back from the last row, so that the last one has just ended.

    Args:
        returns: log returns of consecutive bars, shape ``(n,)``, NaN where one is missing.
        bars_per_day: rows per day.
        coverage: share of its returns that a day needs.

    Returns:
        Shape ``(n // bars_per_day,)``, oldest first; NaN for a day with too few returns.

    Raises:
        ValueError: the input is not one-dimensional or ``bars_per_day`` is below 1.
    """
    require_series(returns)
    require_window(bars_per_day)
    days = len(returns) // bars_per_day
    blocks = returns[len(returns) - days * bars_per_day :].reshape(days, bars_per_day)
    present = np.isfinite(blocks)
    count = present.sum(axis=1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        variances = np.where(present, blocks, 0.0) ** 2
        scaled: FloatArray1D = variances.sum(axis=1) * (bars_per_day / count)
    return np.where((count >= coverage * bars_per_day) & np.isfinite(scaled), scaled, np.nan)


def next_variance(variances: FloatArray1D) -> float:
    """Variance that the next day is expected to have.

    Least squares of ln v on the mean of ln v over the day, the week and the month before; the forecast is the mean of
    the lognormal distribution with the variance of the residuals.

    Args:
        variances: of the days so far, shape ``(n,)``, oldest first; the last 120 are used. Days without a variance
            above 0 are left out.

    Returns:
        Variance of one day; NaN with fewer than 90 days or when the last one is left out.
    """
    require_series(variances)
    recent = variances[-HISTORY_DAYS:]
    usable = all_positive(recent)
    logs: FloatArray1D = np.log(recent[usable])
    if len(logs) < MIN_DAYS or not usable[-1]:
        return NAN
    level = float(logs.mean())
    regressors = _regressors(logs - level)  # around 0, so that the unit of the variance changes nothing
    target = logs[_MONTH:] - level
    coefficients = np.linalg.lstsq(regressors[:-1], target, rcond=None)[0]
    residuals = target - regressors[:-1] @ coefficients
    with np.errstate(over="ignore"):
        return finite_or_nan(float(np.exp(level + regressors[-1] @ coefficients + residuals.var() / 2)))


def _regressors(values: FloatArray1D) -> FloatArray2D:
    """One row for the day after each day that has a month behind it: 1, the day, the mean of its week and its month."""
    months = np.lib.stride_tricks.sliding_window_view(values, _MONTH)
    return np.column_stack([np.ones(len(months)), months[:, -1], months[:, -_WEEK:].mean(axis=1), months.mean(axis=1)])
