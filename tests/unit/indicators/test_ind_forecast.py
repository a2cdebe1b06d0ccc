"""The forecast of the next day's variance: an independent regression, planted processes, and what it must not do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

from common.indicators.arrays import FloatArray1D
from common.indicators.forecast import HISTORY_DAYS, MIN_DAYS, daily_variances, next_variance


def persistent(days: int, seed: int = 1) -> FloatArray1D:
    """Variances whose logarithm returns slowly to its mean."""
    random = np.random.default_rng(seed)
    logs = [0.0]
    for _ in range(days - 1):
        logs.append(0.9 * logs[-1] + random.normal(0, 0.3))
    return np.asarray(np.exp(logs) * 4e-4, dtype=np.float64)


def naive_daily(returns: FloatArray1D, per_day: int) -> list[float]:
    found = []
    for end in range(len(returns), per_day - 1, -per_day):
        day = [float(one) * float(one) for one in returns[end - per_day : end] if math.isfinite(one)]
        found.append(sum(day) * per_day / len(day) if len(day) >= 0.8 * per_day else math.nan)
    return found[::-1]


@pytest.mark.parametrize("rows", [0, 23, 24, 100, 240])
@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, 1e-170, 1e160])
def test_daily_variances_agree_with_the_naive_twin(rows: int, bad: float) -> None:
    returns = np.random.default_rng(rows).normal(0, 0.01, rows)
    returns[5::17] = bad
    returns[30:40] = math.nan
    expected = [value if math.isfinite(value) else math.nan for value in naive_daily(returns, 24)]
    assert daily_variances(returns, 24).tolist() == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_the_forecast_agrees_with_statsmodels() -> None:
    logs = np.log(persistent(HISTORY_DAYS))
    rows = [[1.0, logs[t], logs[t - 6 : t + 1].mean(), logs[t - 29 : t + 1].mean()] for t in range(29, len(logs))]
    fitted = OLS(logs[30:], np.array(rows[:-1])).fit()
    expected = math.exp(float(np.array(rows[-1]) @ fitted.params) + float(np.var(fitted.resid)) / 2)
    assert next_variance(persistent(HISTORY_DAYS)) == pytest.approx(expected, rel=1e-10)


def test_it_beats_the_mean_where_variances_persist() -> None:
    truth = persistent(1000, seed=7)
    days = range(HISTORY_DAYS, len(truth))
    made = np.array([next_variance(truth[:day]) for day in days])
    means = np.array([truth[day - HISTORY_DAYS : day].mean() for day in days])
    actual = truth[HISTORY_DAYS:]

    def loss(forecasts: FloatArray1D) -> float:
        ratio = actual / forecasts
        return float((ratio - np.log(ratio) - 1).mean())

    assert loss(made) < 0.4 * loss(means)
    assert loss(made) == pytest.approx(0.3**2 / 2, rel=0.35), "close to what the noise of the process allows"


def test_too_few_days_or_no_last_day_is_nothing() -> None:
    variances = persistent(HISTORY_DAYS)
    assert math.isnan(next_variance(variances[: MIN_DAYS - 1]))
    assert math.isfinite(next_variance(variances[:MIN_DAYS]))
    assert math.isnan(next_variance(np.append(variances, math.nan)))
    assert math.isnan(next_variance(np.append(variances, 0.0)))
    assert math.isnan(next_variance(np.empty(0)))
    holes = variances.copy()
    holes[10:20] = math.nan
    assert next_variance(holes) == pytest.approx(next_variance(np.delete(variances, slice(10, 20))), rel=1e-12)


def test_only_the_last_days_count() -> None:
    variances = persistent(400)
    assert next_variance(variances) == next_variance(variances[-HISTORY_DAYS:])


def test_equal_days_are_followed_by_an_equal_one() -> None:
    assert next_variance(np.full(100, 3e-4)) == pytest.approx(3e-4, rel=1e-9)


@given(exponent=st.floats(-200, 200))
@settings(max_examples=30, deadline=None)
def test_the_unit_of_the_variance_changes_nothing(exponent: float) -> None:
    scale = 10.0**exponent
    assert next_variance(persistent(100) * scale) == pytest.approx(next_variance(persistent(100)) * scale, rel=1e-6)


def test_mistakes_of_the_caller_are_refused() -> None:
    with pytest.raises(ValueError, match="one-dimensional"):
        daily_variances(np.zeros((2, 2)), 24)
    with pytest.raises(ValueError, match="window must be at least 1"):
        daily_variances(np.zeros(2), 0)
