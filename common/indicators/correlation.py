"""How symbols move together: correlation at once, over time and with a lag, beta, and what all have in common.

Inputs are log returns of several symbols on one time axis (see `common.indicators.grid`); pairs of rows where one value
is missing are left out pair by pair, so that a sparse symbol does not shrink the sample of the others.
"""

from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from common.indicators.arrays import (
    NAN,
    FloatArray1D,
    FloatArray2D,
    all_finite,
    deviations_in_place,
    over_windows,
    require_series,
    require_window,
    row_deviations,
    scaled_deviations,
)
from common.indicators.volatility import rolling_std

Floats = TypeVar("Floats", FloatArray1D, FloatArray2D)

MIN_ALIGNED_ROWS: Final = 20
_CANCELLATION: Final = 1e-3  # a spread this small beside the squares has lost digits and is computed by itself
_LARGEST_CORRELATION: Final = 1 - 1e-12  # keeps Fisher's z of a perfect correlation finite


class _Sums(NamedTuple, Generic[Floats]):
    """How many rows x and y share, and sums over these, for many pairs of x and y at once: arrays of one shape."""

    rows: Floats
    x: Floats
    y: Floats
    xx: Floats
    yy: Floats
    xy: Floats


class LagCorrelation(NamedTuple):
    """The lag at which a symbol correlates most with its benchmark; positive when the symbol follows."""

    lag: int | None
    correlation: float


def correlation(x: FloatArray1D, y: FloatArray1D, min_rows: int = MIN_ALIGNED_ROWS) -> float:
    """Pearson correlation of the rows where both have a value.

    Args:
        x: shape ``(n,)``.
        y: shape ``(n,)``.
        min_rows: fewest rows to accept.

    Returns:
        −1 to 1; NaN with fewer rows or when one side is flat.

    Raises:
        ValueError: the shapes differ.
    """
    require_series(x, y)
    valid = all_finite(x, y)
    if np.count_nonzero(valid) < max(min_rows, 2):
        return NAN
    dx, dy = scaled_deviations(x[valid]), scaled_deviations(y[valid])
    if not (dx.any() and dy.any()):
        return NAN
    return float(np.clip((dx @ dy) / (np.sqrt(dx @ dx) * np.sqrt(dy @ dy)), -1.0, 1.0))


def correlation_matrix(returns: FloatArray2D, min_rows: int = MIN_ALIGNED_ROWS) -> FloatArray2D:
    """Pearson correlation of each pair of symbols, over the rows where both have a value.

    The sums of all pairs come from five matrix products.

    Args:
        returns: shape ``(symbols, n)``, one time axis.
        min_rows: fewest rows of a pair to accept.

    Returns:
        Shape ``(symbols, symbols)``, symmetric, 1 on the diagonal; NaN for a pair with fewer rows or a flat symbol (its
        diagonal included).

    Raises:
        ValueError: the input is not two-dimensional.
    """
    if returns.ndim != 2:
        raise ValueError(f"returns must have shape (symbols, n), was {returns.shape}")
    deviations = np.array([deviations_in_place(row) for row in returns]).reshape(returns.shape)
    valid = np.isfinite(returns).astype(np.float64)
    # [i, j]: of symbol i over the rows that it shares with j
    totals, squares = deviations @ valid.T, deviations**2 @ valid.T
    sums: _Sums[FloatArray2D] = _Sums(valid @ valid.T, totals, totals.T, squares, squares.T, deviations @ deviations.T)
    matrix, cancelled = _pearson(sums, min_rows)
    moves = deviations.any(axis=1)  # pairs with a flat symbol are NaN as they stand
    for i, j in np.argwhere(np.triu(cancelled & np.outer(moves, moves))).tolist():
        matrix[i, j] = correlation(returns[i], returns[j], min_rows)
    lower = np.tril_indices(len(matrix), -1)
    matrix[lower] = matrix.T[lower]  # a product of matrices may differ from its mirror in the last bit
    np.fill_diagonal(matrix, np.where(np.isnan(np.diag(matrix)), np.nan, 1.0))
    return matrix


def _pearson(sums: _Sums[Floats], min_rows: int) -> tuple[Floats, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the correlations, NaN with fewer rows, and which of them lost digits and want `correlation`."""
    rows, x, y, xx, yy, xy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        x_spread, y_spread = xx - x**2 / rows, yy - y**2 / rows
        correlations: Floats = np.clip((xy - x * y / rows) / np.sqrt(x_spread * y_spread), -1.0, 1.0)
    enough = rows >= max(min_rows, 2)
    correlations[~enough] = np.nan
    return correlations, enough & ((x_spread <= _CANCELLATION * xx) | (y_spread <= _CANCELLATION * yy))


def rolling_correlation(x: FloatArray1D, y: FloatArray1D, window: int) -> FloatArray1D:
    """Pearson correlation of the last ``window`` rows where both have a value.

    Args:
        x: shape ``(n,)``.
        y: shape ``(n,)``.
        window: rows per value, at least 3.

    Returns:
        Shape ``(n,)``, −1 to 1, first value at the window-th row with both; NaN where one side is flat.

    Raises:
        ValueError: the shapes differ or the window is below 3.
    """
    require_window(window, 3)
    return over_windows(_row_correlation, window, x, y)


def _row_correlation(x: FloatArray2D, y: FloatArray2D) -> FloatArray1D:
    dx, dy = row_deviations(x)[0], row_deviations(y)[0]
    lengths = np.sqrt((dx**2).sum(axis=1)) * np.sqrt((dy**2).sum(axis=1))
    correlations: FloatArray1D = np.clip((dx * dy).sum(axis=1) / lengths, -1.0, 1.0)
    return correlations


def spaced_correlations(
    x: FloatArray1D, y: FloatArray1D, window: int, step: int, min_rows: int = MIN_ALIGNED_ROWS
) -> FloatArray1D:
    """Pearson correlation of windows that end ``step`` rows apart, each over the rows where both have a value.

    Unlike `rolling_correlation`, a window here is a span of the time axis: missing rows count as rows of it.

    Args:
        x: shape ``(n,)``.
        y: shape ``(n,)``, on the same time axis.
        window: rows of each window.
        step: rows from the end of one window to that of the next.
        min_rows: fewest rows of a window to accept.

    Returns:
        Shape ``((n − window) ÷ step + 1,)``, the newest window first; NaN with fewer rows or when one side is flat.

    Raises:
        ValueError: the shapes differ, or the window or the step is below 1.
    """
    require_series(x, y)
    require_window(min(window, step))
    if len(x) < window:
        return np.empty(0)
    both = all_finite(x, y)
    dx, dy = (deviations_in_place(np.where(both, side, np.nan)) for side in (x, y))
    terms = np.stack((both.astype(np.float64), dx, dy, dx**2, dy**2, dx * dy))
    windows = np.lib.stride_tricks.sliding_window_view(terms, window, axis=1)
    sums: _Sums[FloatArray1D] = _Sums(*windows[:, ::-1][:, ::step].sum(axis=2))
    correlations, cancelled = _pearson(sums, min_rows)
    for place in np.flatnonzero(cancelled).tolist():
        rows = slice(len(x) - window - place * step, len(x) - place * step)
        correlations[place] = correlation(x[rows], y[rows], min_rows)
    return correlations


def lag_correlation(
    benchmark: FloatArray1D, symbol: FloatArray1D, max_lag: int = 24, min_rows: int = MIN_ALIGNED_ROWS
) -> LagCorrelation:
    """Lag at which the symbol's returns correlate most with the benchmark's, and that correlation.

    At lag k the benchmark at t is paired with the symbol at t + k, each lag with the means and deviations of its own
    rows: k > 0 says that the symbol follows the benchmark by k bars, k < 0 that it leads.

    Args:
        benchmark: log returns, shape ``(n,)``.
        symbol: log returns on the same time axis, shape ``(n,)``.
        max_lag: largest lag to look at, in both directions.
        min_rows: fewest rows of a lag to accept.

    Returns:
        The lag of the largest correlation, the one nearest to 0 of several; None and NaN when no lag has enough rows.

    Raises:
        ValueError: the shapes differ or ``max_lag`` is below 0.
    """
    require_series(benchmark, symbol)
    require_window(max_lag, 0)
    reach = min(max_lag, len(symbol) - 1)
    if reach < 0:
        return LagCorrelation(None, NAN)
    found = _at_lags(benchmark, symbol, reach, min_rows)
    lags = (lag for lag in sorted(range(-reach, reach + 1), key=abs) if np.isfinite(found[lag + reach]))
    lag = max(lags, key=lambda lag: float(found[lag + reach]), default=None)
    return LagCorrelation(lag, NAN if lag is None else _at_lag(benchmark, symbol, lag, min_rows))


def _at_lags(benchmark: FloatArray1D, symbol: FloatArray1D, reach: int, min_rows: int) -> FloatArray1D:
    """Correlations at the lags −reach … reach, from one product of sums for each lag."""
    dx, dy = deviations_in_place(benchmark), deviations_in_place(symbol)
    x_here, y_here = (np.isfinite(side).astype(np.float64) for side in (benchmark, symbol))

    def products(x: FloatArray1D, y: FloatArray1D) -> FloatArray1D:
        return np.correlate(np.pad(y, reach), x, "valid")  # Σ x_t · y_{t+lag}

    sums = _Sums(
        rows=products(x_here, y_here),
        x=products(dx, y_here),
        y=products(x_here, dy),
        xx=products(dx**2, y_here),
        yy=products(x_here, dy**2),
        xy=products(dx, dy),
    )
    correlations, cancelled = _pearson(sums, min_rows)
    if dx.any() and dy.any():
        for place in np.flatnonzero(cancelled).tolist():
            correlations[place] = _at_lag(benchmark, symbol, place - reach, min_rows)
    return correlations


def _at_lag(benchmark: FloatArray1D, symbol: FloatArray1D, lag: int, min_rows: int) -> float:
    """Correlation of the benchmark at t with the symbol at t + lag."""
    leader, follower = (benchmark, symbol) if lag >= 0 else (symbol, benchmark)
    return correlation(leader[: len(symbol) - abs(lag)], follower[abs(lag) :], min_rows)


def volatility_correlation(x: FloatArray1D, y: FloatArray1D, window: int = 20) -> float:
    """Pearson correlation between the rolling volatilities of two series of returns.

    Args:
        x: log returns, shape ``(n,)``.
        y: log returns on the same time axis, shape ``(n,)``.
        window: returns per volatility.

    Returns:
        −1 to 1; NaN with fewer than 20 rows where both have a return and a volatility, or when one does not change.

    Raises:
        ValueError: the shapes differ or the window is below 2.
    """
    both = all_finite(x, y)
    first = np.where(both, rolling_std(x, window), np.nan)
    return correlation(first, rolling_std(y, window))


def correlation_stability(correlations: FloatArray1D) -> float:
    """Steadiness of a rolling correlation: 1 − min(1, sample deviation of Fisher's z = atanh ρ).

    Args:
        correlations: rolling correlation, shape ``(n,)``; missing ones are left out.

    Returns:
        0 (changes a lot) to 1 (constant); NaN with fewer than 2 values.
    """
    require_series(correlations)
    valid = correlations[np.isfinite(correlations)]
    if len(valid) < 2:
        return NAN
    z = np.arctanh(np.clip(valid, -_LARGEST_CORRELATION, _LARGEST_CORRELATION))
    return 1 - min(1.0, float(rolling_std(z, len(z))[-1]))


def rolling_beta(returns: FloatArray1D, benchmark: FloatArray1D, window: int) -> FloatArray1D:
    """Sensitivity to the benchmark: cov(r, r_benchmark) ÷ var(r_benchmark) over the last ``window`` common rows.

    Args:
        returns: log returns, shape ``(n,)``.
        benchmark: log returns of the benchmark on the same time axis, shape ``(n,)``.
        window: rows per value, at least 2.

    Returns:
        Shape ``(n,)``, dimensionless, first value at the window-th row with both; NaN where the benchmark is flat.

    Raises:
        ValueError: the shapes differ or the window is below 2.
    """
    require_window(window, 2)
    return over_windows(_row_beta, window, returns, benchmark)


def _row_beta(returns: FloatArray2D, benchmark: FloatArray2D) -> FloatArray1D:
    dx, x_scale = row_deviations(returns)
    dy, y_scale = row_deviations(benchmark)
    beta: FloatArray1D = (dx * dy).sum(axis=1) / (dy**2).sum(axis=1) * (x_scale / y_scale)
    return beta


def first_component_share(matrix: FloatArray2D) -> float:
    """Share of the common movement: largest eigenvalue of a correlation matrix ÷ sum of its eigenvalues.

    Args:
        matrix: correlation matrix, shape ``(symbols, symbols)``; symbols without a diagonal (flat ones) are left out.
            Eigenvalues below 0, which pairwise samples can cause, count as 0.

    Returns:
        1 ÷ symbols (nothing in common) to 1; NaN with fewer than 2 symbols or when a pair among the others is missing.

    Raises:
        ValueError: the matrix is not square.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix must be square, was {matrix.shape}")
    kept = np.flatnonzero(np.isfinite(np.diag(matrix)))
    inner = matrix[np.ix_(kept, kept)]
    if len(kept) < 2 or not np.isfinite(inner).all():
        return NAN
    eigenvalues = np.maximum(np.linalg.eigvalsh(inner), 0.0)
    return float(eigenvalues[-1] / eigenvalues.sum())
