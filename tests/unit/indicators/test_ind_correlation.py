"""Correlations at many lags and in many windows, which share their sums, against one decimal Pearson for each."""

import math
from collections.abc import Iterator
from decimal import localcontext

import numpy as np
import pytest

from common.indicators import correlation
from common.indicators.arrays import FloatArray1D
from tests.support import naive

ROWS, WINDOW, STEP, LAGS, FEWEST = 60, 16, 5, 9, 6
SUBSTITUTES = [math.nan, math.inf, -math.inf, 0.0, 1e-17, -1e3, 1e9]
PLACES = [slice(0, 1), slice(30, 31), slice(20, 40), slice(ROWS - 1, ROWS), slice(0, ROWS)]


def pair(seed: int = 5) -> tuple[FloatArray1D, FloatArray1D]:
    random = np.random.default_rng(seed)
    x, own = random.normal(0, 0.01, (2, ROWS))
    return x, 0.6 * np.concatenate((own[:2], x[:-2])) + own


def pearson(x: FloatArray1D, y: FloatArray1D) -> float:
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < FEWEST:
        return math.nan
    with localcontext(naive.CONTEXT):
        columns = ([naive.exact(value) for value in side[both].tolist()] for side in (x, y))
        return naive.as_float(naive.pearson(*columns))


def at_lag(x: FloatArray1D, y: FloatArray1D, lag: int) -> float:
    """Of x at t and y at t + lag."""
    return pearson(x[: ROWS - lag], y[lag:]) if lag >= 0 else pearson(x[-lag:], y[: ROWS + lag])


def substituted() -> Iterator[tuple[FloatArray1D, FloatArray1D]]:
    yield pair()
    for value in SUBSTITUTES:
        for place in PLACES:
            for touched in range(2):
                columns = pair()
                columns[touched][place] = value
                yield columns
    for factor in (2.0**-600, 2.0**600):
        x, y = pair()
        yield x * factor, y / factor


def assert_windows_agree(x: FloatArray1D, y: FloatArray1D) -> None:
    ours = correlation.spaced_correlations(x, y, WINDOW, STEP, FEWEST)
    spans = [slice(end - WINDOW, end) for end in range(ROWS, WINDOW - 1, -STEP)]
    np.testing.assert_allclose(ours, [pearson(x[span], y[span]) for span in spans], rtol=1e-9, atol=1e-14)


def assert_lags_agree(x: FloatArray1D, y: FloatArray1D) -> None:
    expected = {lag: at_lag(x, y, lag) for lag in range(-LAGS, LAGS + 1)}
    ours = correlation.lag_correlation(x, y, LAGS, FEWEST)
    known = {lag: value for lag, value in expected.items() if math.isfinite(value)}
    if not known:
        assert ours.lag is None
        assert math.isnan(ours.correlation)
        return
    assert ours.correlation == pytest.approx(max(known.values()), rel=1e-9, abs=1e-14)
    assert ours.lag is not None
    assert known[ours.lag] == pytest.approx(max(known.values()), rel=1e-9, abs=1e-14)


def test_windows_agree_with_a_pearson_for_each() -> None:
    for x, y in substituted():
        assert_windows_agree(x, y)


def test_lags_agree_with_a_pearson_for_each() -> None:
    for x, y in substituted():
        assert_lags_agree(x, y)


def test_a_quiet_window_beside_a_wild_one_keeps_its_digits() -> None:
    """The deviations of a whole series leave few digits to a window that hardly moves; it is computed by itself."""
    x, y = pair()
    x[:20] *= 1e7
    y[:20] += 1e3
    assert_windows_agree(x, y)
    assert_lags_agree(x, y)


@pytest.mark.parametrize("rows", [0, 1, 2, 5, WINDOW - 1, WINDOW])
def test_short_series(rows: int) -> None:
    x, y = (side[:rows] for side in pair())
    assert len(correlation.spaced_correlations(x, y, WINDOW, STEP, FEWEST)) == (1 if rows == WINDOW else 0)
    found = correlation.lag_correlation(x, y, LAGS, FEWEST)
    assert (found.lag is None) == math.isnan(found.correlation) == (rows < FEWEST)


def test_the_nearest_of_lags_that_are_alike() -> None:
    alternating = np.tile([0.01, -0.01], ROWS // 2)
    assert correlation.lag_correlation(alternating, alternating, LAGS, FEWEST).lag == 0


@pytest.mark.parametrize(("window", "step"), [(0, 1), (1, 0)])
def test_windows_without_rows_are_refused(window: int, step: int) -> None:
    with pytest.raises(ValueError, match="window"):
        correlation.spaced_correlations(*pair(), window, step)


def test_flat_symbols_of_a_matrix_are_null_without_being_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "correlation", None)
    returns = np.random.default_rng(6).normal(0, 0.01, (12, 80))
    returns[::3] = 0.0
    matrix = correlation.correlation_matrix(returns)
    assert np.isnan(matrix[::3]).all()
    assert np.isnan(matrix[:, ::3]).all()
    moving = np.delete(np.arange(12), np.s_[::3])
    np.testing.assert_allclose(matrix[np.ix_(moving, moving)], np.corrcoef(returns[moving]), rtol=1e-12)
