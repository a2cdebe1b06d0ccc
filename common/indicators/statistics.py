"""Shape and dependence of a sample of returns: moments, autocorrelation, Ljung-Box test, variance ratio.

None of these depends on the unit of its input: they compute on deviations scaled to at most 1. The parts of scipy load
with their first use: at the start of a process they would take as long as all the rest.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy

from common.indicators.arrays import (
    NAN,
    FloatArray1D,
    deviations_in_place,
    require_series,
    require_window,
    scaled_deviations,
)


class LjungBox(NamedTuple):
    """Ljung-Box statistic and the probability of a larger one without autocorrelation."""

    statistic: float
    p_value: float


class VarianceRatio(NamedTuple):
    """Variance ratio and its test value, standard normal for uncorrelated returns."""

    ratio: float
    z: float


def skewness(values: FloatArray1D) -> float:
    """Sample skewness, bias corrected: G1 = n ÷ ((n−1)(n−2)) · Σ ((x − x̄) ÷ s)³ with the sample deviation s.

    Args:
        values: shape ``(n,)``; missing ones are left out.

    Returns:
        Dimensionless; NaN with fewer than 3 values or when all are equal.
    """
    deviations = scaled_deviations(_valid(values))
    return float(scipy.stats.skew(deviations, bias=False)) if len(deviations) > 2 and deviations.any() else NAN


def excess_kurtosis(values: FloatArray1D) -> float:
    """Sample excess kurtosis, bias corrected.

    G2 = n(n+1) ÷ ((n−1)(n−2)(n−3)) · Σ ((x − x̄) ÷ s)⁴ − 3(n−1)² ÷ ((n−2)(n−3)) with the sample deviation s.

    Args:
        values: shape ``(n,)``; missing ones are left out.

    Returns:
        Dimensionless, 0 for a normal distribution; NaN with fewer than 4 values or when all are equal.
    """
    deviations = scaled_deviations(_valid(values))
    return float(scipy.stats.kurtosis(deviations, bias=False)) if len(deviations) > 3 and deviations.any() else NAN


def autocorrelation(values: FloatArray1D, lag: int = 1) -> float:
    """Autocorrelation: Σ (x_t − x̄)(x_{t−lag} − x̄) ÷ Σ (x_t − x̄)², the estimator of Box and Jenkins.

    Args:
        values: shape ``(n,)``, in order. A missing value adds nothing to either sum: no pair is formed across it.
        lag: bars between the two values.

    Returns:
        −1 to 1; NaN with no pair of values or when all are equal.

    Raises:
        ValueError: the lag is below 1.
    """
    require_series(values)
    require_window(lag)
    deviations = deviations_in_place(values)
    if not _has_pair(values, lag) or not deviations.any():
        return NAN
    return float(deviations[lag:] @ deviations[:-lag]) / float(deviations @ deviations)


def ljung_box(values: FloatArray1D, lags: int = 10) -> LjungBox:
    """Test of Ljung and Box (1978) for autocorrelation up to ``lags``: Q = n(n+2) Σ ρ_k² ÷ (n−k), chi-squared.

    Args:
        values: shape ``(n,)``, in order; missing values as in `autocorrelation`, n counts the others.
        lags: number of lags, and degrees of freedom.

    Returns:
        Statistic and p-value; NaN unless there are more than ``lags`` + 1 values that are not all equal.

    Raises:
        ValueError: ``lags`` is below 1.
    """
    require_window(lags)
    n = len(_valid(values))
    if n <= lags + 1:
        return LjungBox(NAN, NAN)
    terms = [autocorrelation(values, lag) ** 2 / (n - lag) for lag in range(1, lags + 1)]
    statistic = n * (n + 2) * math.fsum(terms)
    return LjungBox(statistic, float(scipy.special.chdtrc(lags, statistic)))


def variance_ratio(returns: FloatArray1D, horizon: int = 5) -> VarianceRatio:
    """Variance ratio of Lo and MacKinlay (1988): variance over ``horizon`` bars ÷ (horizon · variance of one bar).

    Overlapping and unbiased: with T returns of mean μ, σ²_1 = Σ (r − μ)² ÷ (T − 1) and
    σ²_q = Σ (r_t + … + r_{t−q+1} − qμ)² ÷ (q (T − q + 1)(1 − q/T)). The test value allows for changing volatility:
    z = √T (ratio − 1) ÷ √θ with θ = 4 Σ_{k<q} (1 − k/q)² δ_k and
    δ_k = T Σ (r_j − μ)² (r_{j−k} − μ)² ÷ (Σ (r_j − μ)²)².

    Args:
        returns: log returns, shape ``(n,)``, in order; missing ones are left out.
        horizon: q, at least 2.

    Returns:
        Ratio (1 for a random walk, above for trends, below for reversals) and z; NaN unless there are more than
        ``horizon`` returns that are not all equal.

    Raises:
        ValueError: the horizon is below 2.
    """
    require_window(horizon, 2)
    deviations = scaled_deviations(_valid(returns))
    count = len(deviations)
    if count <= horizon or not deviations.any():
        return VarianceRatio(NAN, NAN)
    sums = np.lib.stride_tricks.sliding_window_view(deviations, horizon).sum(axis=1)
    squares = deviations**2
    short = float(squares.sum()) / (count - 1)
    long = float((sums**2).sum()) / (horizon * (count - horizon + 1) * (1 - horizon / count))
    ratio = long / short
    theta = math.fsum(_variance_weight(squares, lag, horizon) for lag in range(1, horizon))
    return VarianceRatio(ratio, math.sqrt(count) * (ratio - 1) / math.sqrt(theta) if theta > 0 else NAN)


def _variance_weight(squares: FloatArray1D, lag: int, horizon: int) -> float:
    """4 (1 − lag/horizon)² δ_lag of the variance ratio's test value."""
    delta = len(squares) * float(squares[lag:] @ squares[:-lag]) / float(squares.sum()) ** 2
    return 4 * (1 - lag / horizon) ** 2 * delta


def _valid(values: FloatArray1D) -> FloatArray1D:
    require_series(values)
    return values[np.isfinite(values)]


def _has_pair(values: FloatArray1D, lag: int) -> bool:
    valid = np.isfinite(values)
    return bool((valid[lag:] & valid[:-lag]).any())
