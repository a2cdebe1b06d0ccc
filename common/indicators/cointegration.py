"""Cointegration of two price series after Engle and Granger (1987): do they share one random walk?"""

import math
from typing import Final, NamedTuple

import numpy as np

from common.indicators.arrays import NAN, FloatArray1D, FloatArray2D, all_finite, require_series, row_deviations

# MacKinnon (1994), tables 3 and 4: two variables, constant. P(τ) = Φ(polynomial in τ), split at _SPLIT.
_SMALLEST, _SPLIT, _LARGEST = -18.86, -2.62, 0.92
_LOWER_TAIL: Final = (2.92, 1.5012, 0.039796)
_UPPER_TAIL: Final = (2.1945, 0.64695, -0.29198, -0.042377)
# MacKinnon (2010), table 2: two variables, constant. Critical value = b0 + b1/T + b2/T².
_CRITICAL: Final = {
    0.01: (-3.89644, -10.9519, -22.527),
    0.05: (-3.33613, -6.1101, -6.823),
    0.10: (-3.04445, -4.2412, -2.720),
}
_MIN_ROWS: Final = 20
_COLLINEAR: Final = 1e-12


class UnitRootTest(NamedTuple):
    """Augmented Dickey-Fuller regression without constant: t-value of the lagged level and the lags used."""

    t_value: float
    lags: int


class Cointegration(NamedTuple):
    """Engle-Granger test of y on x.

    ``beta`` is the slope of y on x, ``adf_t`` the test value of the residuals, ``p_value`` the probability of a lower
    one without cointegration, ``half_life_bars`` the bars in which a deviation halves (NaN when it does not revert).
    """

    beta: float
    adf_t: float
    p_value: float
    half_life_bars: float


def engle_granger(y: FloatArray1D, x: FloatArray1D) -> Cointegration:
    """Test whether y − β x is stationary.

    OLS of y on a constant and x; augmented Dickey-Fuller test of the residuals without constant, lags by AIC up to the
    12 (n ÷ 100)^¼ of Schwert (1989); p-value of MacKinnon (1994) for two variables with constant. The ordinary
    Dickey-Fuller tables would be wrong here, because the residuals are fitted.

    Args:
        y: log prices of the symbol, shape ``(n,)``.
        x: log prices of the benchmark on the same time axis, shape ``(n,)``; rows where one is missing are left out.

    Returns:
        The test; all NaN with fewer than 20 common rows, when one side is flat, or when y is a line of x (a symbol
        against itself).

    Raises:
        ValueError: the shapes differ.
    """
    require_series(y, x)
    valid = all_finite(y, x)
    nothing = Cointegration(NAN, NAN, NAN, NAN)
    if np.count_nonzero(valid) < _MIN_ROWS:
        return nothing
    (dy, dx), (y_scale, x_scale) = row_deviations(np.stack([y[valid], x[valid]]))
    if not (dy.any() and dx.any()):
        return nothing
    slope = float(dx @ dy) / float(dx @ dx)
    residuals = dy - slope * dx
    if float(residuals @ residuals) <= _COLLINEAR * float(dy @ dy):
        return nothing
    adf_t = dickey_fuller(residuals).t_value
    return Cointegration(float(slope * (y_scale / x_scale)), adf_t, mackinnon_p(adf_t), half_life(residuals))


def dickey_fuller(series: FloatArray1D) -> UnitRootTest:
    """Augmented Dickey-Fuller test without constant: Δe_t = λ e_{t−1} + Σ γ_i Δe_{t−i}, t-value of λ.

    The number of lags minimises AIC on the rows that the longest regression has; the test value comes from all rows
    that the chosen one has.

    Args:
        series: finite values of mean 0, shape ``(n,)``.

    Returns:
        Test value and lags; NaN and 0 with fewer than 20 values or a singular regression.
    """
    rows = len(series)
    if rows < _MIN_ROWS:
        return UnitRootTest(NAN, 0)
    longest = min((rows - 3) // 3, math.ceil(12 * (rows / 100) ** 0.25))
    change, regressors = _adf_regression(series, longest)
    lags = _lags_by_aic(change, regressors)
    change, regressors = _adf_regression(series, lags)
    return UnitRootTest(_first_t_value(change, regressors), lags)


def mackinnon_p(t_value: float) -> float:
    """Probability of a residual test value below ``t_value`` without cointegration (two variables, constant).

    Args:
        t_value: test value of the residuals; NaN gives NaN.
    """
    if math.isnan(t_value):
        return NAN
    if not _SMALLEST <= t_value <= _LARGEST:
        return 0.0 if t_value < _SMALLEST else 1.0
    coefficients = _LOWER_TAIL if t_value <= _SPLIT else _UPPER_TAIL
    quantile = math.fsum(c * t_value**power for power, c in enumerate(coefficients))
    return 0.5 * math.erfc(-quantile / math.sqrt(2))  # Φ


def critical_value(level: float, rows: int) -> float:
    """Critical test value of MacKinnon (2010) for two variables with constant: lower ones reject at ``level``.

    Args:
        level: 0.01, 0.05 or 0.10.
        rows: number of rows of the two series.

    Raises:
        ValueError: the level is not tabulated or there are fewer than 2 rows.
    """
    if level not in _CRITICAL or rows < 2:
        raise ValueError(f"level must be one of {sorted(_CRITICAL)} and rows above 1, were {level} and {rows}")
    limit, first, second = _CRITICAL[level]
    return limit + first / (rows - 1) + second / (rows - 1) ** 2


def half_life(deviations: FloatArray1D) -> float:
    """Bars in which a deviation from equilibrium halves: −ln 2 ÷ λ from Δe_t = λ e_{t−1}, by least squares.

    Args:
        deviations: finite values around 0, shape ``(n,)``.

    Returns:
        Bars; NaN when λ is not below 0 or with fewer than 3 values.
    """
    before, change = deviations[:-1], np.diff(deviations)
    spread = float(before @ before)
    if len(deviations) < 3 or spread == 0:
        return NAN
    speed = float(before @ change) / spread
    return -math.log(2) / speed if speed < 0 else NAN


def _adf_regression(series: FloatArray1D, lags: int) -> tuple[FloatArray1D, FloatArray2D]:
    """Left side and regressors (level, then changes of lag 1 … lags) of the Dickey-Fuller regression."""
    changes = np.diff(series)
    rows = len(changes) - lags
    columns = [series[lags : lags + rows]]
    columns += [changes[lags - lag : lags - lag + rows] for lag in range(1, lags + 1)]
    return changes[lags:], np.column_stack(columns)


def _lags_by_aic(change: FloatArray1D, regressors: FloatArray2D) -> int:
    """Lags with the smallest AIC = n ln(SSR ÷ n) + 2 k.

    One QR decomposition serves every number of lags: the residual sum of squares falls by the square of one projection
    with each column that joins.
    """
    rows, columns = regressors.shape
    projections = np.linalg.qr(regressors)[0].T @ change
    remaining = float(change @ change) - np.cumsum(projections**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        aic = rows * np.log(remaining / rows) + 2 * np.arange(1, columns + 1)
    return int(np.argmin(np.where(np.isfinite(aic), aic, np.inf)))


def _first_t_value(change: FloatArray1D, regressors: FloatArray2D) -> float:
    """t-value of the first regressor's coefficient."""
    rows, columns = regressors.shape
    q, r = np.linalg.qr(regressors[:, ::-1])  # reversed: the last row of R then holds the coefficient by itself
    projections = q.T @ change
    residuals = change - q @ projections
    deviation = math.sqrt(float(residuals @ residuals) / (rows - columns))
    return float(projections[-1]) / deviation * math.copysign(1, r[-1, -1]) if deviation > 0 else NAN
