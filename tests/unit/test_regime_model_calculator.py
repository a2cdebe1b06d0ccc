"""The model's regime: its algorithm against every path written out, planted states, and no look into the future."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from common.analytics.calculators.regime_model import STATES
from common.analytics.window import History
from common.indicators.arrays import FloatArray2D, IntArray1D
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.regime_model.calculator import compute, estimate_of, fitted
from functions.regime_model.features import VOLATILITY, features_of
from functions.regime_model.hidden_markov import HiddenMarkov, fit
from functions.regime_model.inputs import window_for
from tests.support.candles import columns_of, part, random_walk, recorded_rows, without

H1, D1 = Timeframe.H1, Timeframe.D1


def history_of(candles: CandleColumns, timeframe: Timeframe = H1) -> History:
    """Return the series that a store with these candles gives for the instant of their last close."""
    window = window_for(timeframe, int(candles.open_time_ms[-1]) + timeframe.duration_ms)
    first = int(np.searchsorted(candles.open_time_ms, window.loaded_from_ms))
    return History("BTCUSDT", window, part(candles, slice(first, None)))


def fields_of(candles: CandleColumns, timeframe: Timeframe = H1) -> dict[str, Any]:
    (result,) = compute(history_of(candles, timeframe))
    return dict(result.fields)


@pytest.fixture(scope="module")
def recorded(recorded_data: Path) -> CandleColumns:
    path = recorded_data / "klines" / "um_1h_BTCUSDT_2025-09_2025-12.csv.gz"
    return columns_of(recorded_rows(path, "BTCUSDT", H1))


@pytest.fixture(scope="module")
def daily(recorded_data: Path) -> CandleColumns:
    path = recorded_data / "klines" / "um_1d_BTCUSDT_2024-01_2025-12.csv.gz"
    return columns_of(recorded_rows(path, "BTCUSDT", D1))


def small_model() -> HiddenMarkov:
    return HiddenMarkov(
        start=np.array([0.5, 0.3, 0.2]),
        transition=np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]]),
        mean=np.array([[-1.0, 0.0], [0.0, 0.5], [2.0, -0.5]]),
        covariance=np.array([[0.9, 0.3], [0.3, 1.4]]),
        centre=np.array([0.1, -0.2]),
        scale=np.array([2.0, 0.5]),
    )


def by_every_path(model: HiddenMarkov, rows: FloatArray2D) -> FloatArray2D:
    """Sum the probabilities of all paths that end in each state, row after row."""
    standard = (rows - model.centre) / model.scale
    density = np.ones((len(rows), 3))
    for row, state in itertools.product(np.flatnonzero(np.isfinite(rows).all(axis=1)), range(3)):
        density[row, state] = multivariate_normal.pdf(standard[row], model.mean[state], model.covariance)
    filtered = np.zeros((len(rows), 3))
    for length in range(1, len(rows) + 1):
        for path in itertools.product(range(3), repeat=length):
            steps = [model.transition[one, other] for one, other in itertools.pairwise(path)]
            seen = [density[row, state] for row, state in enumerate(path)]
            filtered[length - 1, path[-1]] += model.start[path[0]] * math.prod(steps) * math.prod(seen)
    return np.asarray(filtered / filtered.sum(axis=1, keepdims=True))


def test_filtering_agrees_with_the_sum_over_every_path() -> None:
    rows = np.random.default_rng(3).normal(0, 1.5, (7, 2))
    rows[3] = np.nan
    assert small_model().filtered(rows) == pytest.approx(by_every_path(small_model(), rows), rel=1e-10)


def in_logarithms(model: HiddenMarkov, rows: FloatArray2D) -> tuple[FloatArray2D, float]:
    """Filter row after row in logarithms, which never underflow; return the likelihood of all rows too."""
    standard = (rows - model.centre) / model.scale
    normal = [multivariate_normal(mean, model.covariance) for mean in model.mean]
    filtered, total = np.empty((len(rows), 3)), 0.0
    state = np.log(model.start)
    for row, values in enumerate(standard):
        if np.isfinite(values).all():
            state = state + [one.logpdf(values) for one in normal]
        now = float(logsumexp(state))
        filtered[row], total = np.exp(state - now), total + now
        state = logsumexp((state - now)[:, np.newaxis] + np.log(model.transition), axis=0)
    return filtered, total


@pytest.mark.parametrize("rows", [1, 2, 24, 25, 26, 600, 601, 626, 1400])
def test_filtering_agrees_with_a_plain_recursion_in_logarithms(rows: int) -> None:
    random = np.random.default_rng(rows)
    features = random.normal(0, 1.5, (rows, 2))
    features[random.random(rows) < 0.05] = np.nan
    filtered, likelihood = in_logarithms(small_model(), features)
    assert small_model().filtered(features) == pytest.approx(filtered, rel=1e-9, abs=1e-12)
    assert small_model().log_likelihood(features) == pytest.approx(likelihood, rel=1e-12)


def test_nothing_underflows_under_impossible_rows_and_the_rarest_transitions() -> None:
    rare = 1e-12
    transition = np.full((3, 3), rare) + np.eye(3) * (1 - 3 * rare)
    model = replace(small_model(), transition=transition, covariance=np.eye(2) * 1e-3)
    rows = np.random.default_rng(8).choice([-1e3, 0.0, 1e3], (400, 2))
    filtered, likelihood = in_logarithms(model, rows)
    assert model.filtered(rows) == pytest.approx(filtered, abs=1e-9)
    assert model.log_likelihood(rows) == pytest.approx(likelihood, rel=1e-12)


def planted(rows: int, seed: int = 5) -> tuple[FloatArray2D, IntArray1D]:
    """Three states that last for fifty rows; features scattered around their means."""
    random = np.random.default_rng(seed)
    stay = np.full((3, 3), 0.01) + np.eye(3) * 0.97
    state, states = 0, []
    for _ in range(rows):
        state = int(random.choice(3, p=stay[state]))
        states.append(state)
    path = np.array(states)
    means = np.array([[0.0, -2.0, -1.0], [0.0, 0.0, 0.0], [0.0, 2.0, 1.5]])
    return means[path] + random.normal(0, 0.8, (rows, 3)), path


def test_planted_states_are_found_again() -> None:
    rows, path = planted(2000)
    model = fit(rows[:1500], 3, 1)
    assert model is not None
    assert (model.filtered(rows)[1500:].argmax(axis=1) == path[1500:]).mean() > 0.95
    assert np.diag(model.transition) == pytest.approx(0.98, abs=0.015)
    assert (model.mean * model.scale + model.centre)[:, 1] == pytest.approx([-2, 0, 2], abs=0.15)


def test_a_fit_is_at_least_as_likely_as_the_truth() -> None:
    rows, _ = planted(1500)
    model = fit(rows, 3, 1)
    assert model is not None
    means = np.array([[0.0, -2.0, -1.0], [0.0, 0.0, 0.0], [0.0, 2.0, 1.5]])
    truth = replace(
        model,
        start=np.full(3, 1 / 3),
        transition=np.full((3, 3), 0.01) + np.eye(3) * 0.97,
        mean=(means - model.centre) / model.scale,
        covariance=np.diag((0.8 / model.scale) ** 2),
    )
    assert in_logarithms(model, rows)[1] > in_logarithms(truth, rows)[1]


def test_a_fit_is_the_same_every_time_and_in_any_place() -> None:
    rows, _ = planted(400)
    first, second = fit(rows, 3, 1), fit(rows.copy(), 3, 1)
    assert first is not None
    assert second is not None
    for name in HiddenMarkov.__slots__:
        assert np.array_equal(getattr(first, name), getattr(second, name))


@given(cut=st.one_of(st.integers(1, 60), st.integers(1, 1399)))
@settings(max_examples=40, deadline=None)
def test_rows_that_come_later_never_change_what_was_said(cut: int) -> None:
    rows, _ = planted(1400)
    assert np.array_equal(small_wide().filtered(rows)[:cut], small_wide().filtered(rows[:cut]))


def small_wide() -> HiddenMarkov:
    model = fit(planted(200, seed=9)[0], 3, 1)
    assert model is not None
    return model


@given(bars=st.integers(1, 60))
@settings(max_examples=12, deadline=None)
def test_a_document_does_not_depend_on_what_came_later(bars: int) -> None:
    """The estimate of the whole series says about its earlier bars what their own documents said, within one fit."""
    candles = random_walk(2600, H1)
    whole = estimate_of(history_of(candles))
    earlier = estimate_of(history_of(part(candles, slice(0, -bars))))
    assert whole is not None
    assert earlier is not None
    if earlier.fit_until_ms == whole.fit_until_ms:
        assert np.array_equal(earlier.probabilities, whole.probabilities[:-bars])
    else:
        assert earlier.fit_until_ms < whole.fit_until_ms


def test_the_fit_sees_nothing_after_its_date(recorded: CandleColumns) -> None:
    candles = part(recorded, slice(0, -5))  # five bars before midnight: the fit ended nineteen bars ago
    estimate = estimate_of(history_of(candles))
    wild = replace(candles, volume=candles.volume.copy(), high=candles.high.copy())
    wild.volume[-19:] *= 50
    wild.high[-19:] *= 2
    changed = estimate_of(history_of(wild))
    assert estimate is not None
    assert changed is not None
    assert len(candles) - 19 == (estimate.fit_until_ms - int(candles.open_time_ms[0])) // H1.duration_ms
    assert np.array_equal(estimate.model.mean, changed.model.mean)
    assert np.array_equal(estimate.probabilities[:-19], changed.probabilities[:-19])
    assert not np.array_equal(estimate.probabilities[-1], changed.probabilities[-1])


def test_between_two_dates_of_the_grid_a_model_is_fitted_once(recorded: CandleColumns) -> None:
    fitted.cache_clear()
    for back in range(1, 24):
        compute(history_of(part(recorded, slice(0, -back))))
    assert fitted.cache_info().misses == 1


def test_a_corrected_candle_is_another_fit(recorded: CandleColumns) -> None:
    fitted.cache_clear()
    compute(history_of(recorded))
    recorded_again = replace(recorded, high=recorded.high.copy())
    recorded_again.high[-500] *= 1.01
    compute(history_of(recorded_again))
    assert fitted.cache_info().misses == 2


@pytest.mark.parametrize("timeframe", [H1, D1])
def test_states_are_named_by_the_volatility_that_they_have(
    timeframe: Timeframe, recorded: CandleColumns, daily: CandleColumns
) -> None:
    candles = recorded if timeframe is H1 else daily
    estimate = estimate_of(history_of(candles, timeframe))
    assert estimate is not None
    state = estimate.probabilities.argmax(axis=1)
    deviation = pd.Series(candles.close).apply(np.log).diff().rolling(24).std().to_numpy()[-len(state) :]
    means = [deviation[state == one].mean() for one in range(3)]
    assert means == sorted(means)
    assert means[2] > 1.5 * means[0]
    assert (np.diff(state) != 0).mean() < 0.05, "a state lasts"


@pytest.mark.parametrize("timeframe", [H1, D1])
def test_the_fits_of_two_days_mean_the_same_by_their_states(
    timeframe: Timeframe, recorded: CandleColumns, daily: CandleColumns
) -> None:
    candles = recorded if timeframe is H1 else daily
    agreements, before = [], None
    for steps in range(8):
        estimate = estimate_of(history_of(part(candles, slice(0, len(candles) - steps * 24)), timeframe))
        assert estimate is not None
        volatility = estimate.model.mean[:, VOLATILITY]
        assert volatility[2] - volatility[0] > 1, "standard deviations"
        states = estimate.probabilities.argmax(axis=1)
        if before is not None:
            agreements.append((before[:-24] == states[24:]).mean())
        before = states
    assert np.mean(agreements) > 0.85


def test_the_fall_of_october_was_volatile(recorded: CandleColumns) -> None:
    opened = recorded.open_time_ms
    after = int(np.searchsorted(opened, 1_760_140_800_000))  # 2025-10-11T00:00:00Z
    fields = fields_of(part(recorded, slice(0, after)))
    assert fields["model_regime"] == "high_volatility"
    assert fields["model_probability"] > 0.9


def test_the_document(recorded: CandleColumns) -> None:
    (result,) = compute(history_of(recorded))
    fields = dict(result.fields)
    probabilities = fields["state_probabilities"]
    assert isinstance(probabilities, dict)
    assert set(probabilities) == set(STATES)
    assert sum(probabilities.values()) == pytest.approx(1)
    assert fields["model_probability"] == max(probabilities.values()) == probabilities[fields["model_regime"]]
    assert result.parameters["fit_until"] == "2026-01-01T00:00:00.000Z"
    assert result.parameters["fit_rows"] == 2160
    assert result.basis.completeness == 100


def test_missing_candles_are_passed_over(recorded: CandleColumns) -> None:
    gapped = without(recorded, len(recorded) - 60, 30)
    features = features_of(history_of(gapped))
    assert np.isnan(features[-60:-30]).all()
    assert fields_of(gapped)["model_regime"] in STATES


def test_too_little_to_fit_gives_no_document() -> None:
    assert compute(history_of(random_walk(180, H1))) == []
    flat = random_walk(600, H1)
    price = np.full(600, 3.0)
    assert compute(history_of(replace(flat, open=price, high=price, low=price, close=price))) == []
    assert compute(history_of(replace(flat, volume=np.zeros(600)))) == []
    assert compute(history_of(replace(flat, volume=np.full(600, 3.0)))) == [], "a feature that does not change"


@given(
    bad=st.sampled_from([0.0, -1.0, math.nan, math.inf, 1e-308, 1e308]),
    row=st.integers(0, 599),
    column=st.sampled_from(["close", "high", "low", "volume"]),
)
@settings(max_examples=25, deadline=None)
def test_a_bad_value_never_raises(bad: float, row: int, column: str) -> None:
    candles = random_walk(600, H1)
    getattr(candles, column)[row] = bad
    for result in compute(history_of(candles)):
        assert result.fields["model_regime"] in STATES
