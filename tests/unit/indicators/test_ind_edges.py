"""The rules for too little, flat and broken input, and for mistakes of the caller."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import common.indicators
from common.indicators import (
    bands,
    breadth,
    cointegration,
    correlation,
    momentum,
    moving,
    realized,
    returns,
    seasonality,
    spectrum,
    statistics,
    volatility,
    volume,
)
from common.indicators.grid import common_rows, on_grid
from tests.support.candle_series import HOUR_MS, VECTOR_START_MS

FLAT = np.full(120, 100.0)
NONE = np.zeros(0)
TIMES = VECTOR_START_MS + np.arange(120) * HOUR_MS


def test_flat_prices() -> None:
    silent = returns.log_returns(FLAT)
    assert (silent[1:] == 0).all()
    assert momentum.rsi(FLAT)[-1] == 50
    assert all(np.isnan(series).all() for series in momentum.directional_movement(FLAT, FLAT, FLAT))
    assert np.isnan(bands.z_score(FLAT, 20)).all()
    assert bands.range_position(FLAT, 20)[-1] == 0.5
    assert [series[-1] for series in bands.bollinger_bands(FLAT)] == [100, 100, 100, 0]
    assert volatility.rolling_std(silent, 20)[-1] == 0
    assert volatility.parkinson(FLAT, FLAT, 20)[-1] == 0
    assert volatility.yang_zhang(FLAT, FLAT, FLAT, FLAT, 20)[-1] == 0
    assert volatility.ewma_volatility(silent)[-1] == 0
    assert momentum.atr(FLAT, FLAT, FLAT)[-1] == 0
    assert moving.macd(FLAT).histogram[-1] == 0
    assert moving.crossover_state(moving.sma(FLAT, 20), moving.sma(FLAT, 50))[-1] == -1
    assert not moving.crossover_event(moving.sma(FLAT, 20), moving.sma(FLAT, 50))[49:].any()


def test_flat_samples() -> None:
    """0.1 is chosen because sums of it are not exact."""
    flat = np.full(120, 0.1)
    assert math.isnan(statistics.skewness(flat))
    assert math.isnan(statistics.excess_kurtosis(flat))
    assert math.isnan(statistics.autocorrelation(flat))
    assert all(map(math.isnan, statistics.ljung_box(flat)))
    assert all(map(math.isnan, statistics.variance_ratio(flat)))
    assert math.isnan(realized.jump_share(np.zeros(120)))
    assert realized.realized_variance(np.zeros(120)) == 0
    assert seasonality.entropy_index(flat) == 0
    assert math.isnan(seasonality.seasonality_strength(flat, 24))
    assert math.isnan(spectrum.dominant_cycle(flat))
    assert math.isnan(spectrum.dominant_cycle(np.arange(120.0)))
    assert spectrum.spectral_peaks(flat) == []
    assert np.isnan(seasonality.slot_profile(flat, np.arange(120) % 24, 24).t_values).all()


def test_a_flat_symbol_has_no_correlation_and_harms_no_other() -> None:
    rng = np.random.default_rng(1)
    stacked = rng.normal(size=(4, 60))
    alone = correlation.correlation_matrix(stacked)
    stacked[2] = 0.1
    matrix = correlation.correlation_matrix(stacked)
    others = np.ix_([0, 1, 3], [0, 1, 3])
    assert np.isnan(matrix[2]).all()
    assert np.isnan(matrix[:, 2]).all()
    np.testing.assert_allclose(matrix[others], alone[others], rtol=1e-14)
    assert (np.diag(matrix)[[0, 1, 3]] == 1).all()
    assert correlation.first_component_share(matrix) == correlation.first_component_share(matrix[others])
    assert correlation.lag_correlation(stacked[0], stacked[2]).lag is None
    assert math.isnan(correlation.lag_correlation(stacked[0], stacked[2]).correlation)
    assert math.isnan(correlation.volatility_correlation(stacked[0], stacked[2]))
    assert np.isnan(correlation.rolling_beta(stacked[0], stacked[2], 30)).all()
    assert all(map(math.isnan, cointegration.engle_granger(stacked[0], stacked[2])))


def test_a_symbol_without_data_harms_no_other() -> None:
    stacked = np.random.default_rng(2).normal(size=(3, 60))
    stacked[1] = np.nan
    matrix = correlation.correlation_matrix(stacked)
    assert np.isfinite(matrix[np.ix_([0, 2], [0, 2])]).all()
    assert np.isnan(matrix[1]).all()
    stacked[1, :15] = 1.0
    stacked[1, 3] = 2.0
    assert np.isnan(correlation.correlation_matrix(stacked)[1]).all()  # 15 common rows are too few
    assert math.isnan(correlation.first_component_share(np.full((3, 3), np.nan)))


def test_a_symbol_against_itself() -> None:
    series = np.cumsum(np.random.default_rng(3).normal(size=200))
    assert correlation.correlation(series, series) == pytest.approx(1, abs=1e-15)
    assert correlation.lag_correlation(series, series).lag == 0
    assert correlation.rolling_beta(series, series, 50)[-1] == 1
    assert correlation.correlation_stability(correlation.rolling_correlation(series, series, 30)) == 1
    assert all(map(math.isnan, cointegration.engle_granger(2 * series + 1, series)))


def test_volumes_that_are_missing_give_no_sum() -> None:
    amount, bought = np.array([10.0, 20.0, 30.0]), np.array([1.0, np.nan, 3.0])
    assert math.isnan(volume.volume_delta(amount, bought))
    assert math.isnan(volume.taker_buy_ratio(amount, bought))
    assert math.isnan(volume.vwap(amount, bought))
    assert volume.volume_delta(amount[[0, 2]], bought[[0, 2]]) == -32
    assert volume.taker_buy_ratio(amount[[0, 2]], bought[[0, 2]]) == 0.1
    assert math.isnan(volume.vwap(np.zeros(3), np.zeros(3)))
    assert volume.volume_delta(np.zeros(3), np.zeros(3)) == 0
    assert np.isnan(volume.volume_spike_ratio(np.zeros(40))).all()


def test_volume_measures_by_hand() -> None:
    amount, quote = np.array([1.0, 3.0]), np.array([100.0, 330.0])
    assert volume.vwap(amount, quote) == 107.5
    assert volume.on_balance_volume(np.array([5.0, 6, 6, 4]), np.array([9.0, 1, 2, 4])).tolist() == [0, 1, 1, -3]
    assert volume.amihud_illiquidity(np.array([np.nan, 0.02, -0.01, 0.5]), np.array([1.0, 100, 200, 0])) == (
        pytest.approx((0.02 / 100 + 0.01 / 200) / 2)
    )


def test_crossings() -> None:
    slow = np.zeros(9)
    fast = np.array([np.nan, 0, 1, 0, 2, -1, 0, -2, 3.0])
    state = moving.crossover_state(fast, slow)
    assert state[1:].tolist() == [-1, 1, 1, 1, -1, -1, -1, 1]
    assert np.isnan(state[0])
    events = moving.crossover_event(fast, slow)
    assert events[1:].tolist() == [0, 1, 0, 0, -1, 0, 0, 1]


def test_breadth() -> None:
    last, before = np.array([1.0, 2, 3, np.nan]), np.array([0.5, 2, 4, 1])
    assert breadth.share_above(last, before) == pytest.approx(1 / 3)
    assert breadth.advance_decline(last, before) == 0
    assert breadth.advance_decline(np.array([2.0, 3.0]), np.array([1.0, 3.0])) == 0.5
    assert math.isnan(breadth.share_above(NONE, NONE))
    assert math.isnan(breadth.advance_decline(NONE, NONE))


def test_returns_do_not_cross_gaps() -> None:
    close = np.array([100.0, 101, 102, 103, 104])
    times = VECTOR_START_MS + np.array([0, 1, 3, 3, 4]) * HOUR_MS  # one missing, one twice
    ours = returns.log_returns(close, times, HOUR_MS)
    assert np.isfinite(ours).tolist() == [False, True, False, False, True]
    assert ours[1] == math.log1p(0.01)


def test_returns_keep_the_digits_of_a_tick() -> None:
    ours = returns.log_returns(np.array([2.0**40, 2.0**40 + 2.0**-12]))[1]
    assert ours == pytest.approx(2.0**-52, rel=1e-15)


def test_a_grid_of_candles() -> None:
    times = VECTOR_START_MS + np.array([0, 1, 4]) * HOUR_MS
    np.testing.assert_array_equal(on_grid(np.array([1.0, 2, 3]), times, HOUR_MS), [1, 2, np.nan, np.nan, 3])
    assert on_grid(NONE, times[:0], HOUR_MS).shape == (0,)
    np.testing.assert_array_equal(on_grid(np.array([1.0, 2, 3]), times + np.array([0, 5, 0]), HOUR_MS)[1], np.nan)
    first, second = common_rows(times, times[1:])
    assert (first.tolist(), second.tolist()) == ([1, 2], [0, 1])


def test_seasonal_deviation() -> None:
    hours = np.arange(120) % 24
    close = np.exp(0.001 * np.arange(120) + 0.01 * (hours == 23))
    usual = seasonality.seasonal_deviation(close, TIMES)
    close[-1] *= math.exp(0.02)
    assert usual == pytest.approx(0, abs=0.02)
    assert seasonality.seasonal_deviation(close, TIMES) == pytest.approx(1.6, abs=0.1)  # its own hour holds a fifth
    assert math.isnan(seasonality.seasonal_deviation(close[:2], TIMES[:2]))
    assert seasonality.seasonal_deviation(FLAT, TIMES) == pytest.approx(0, abs=1e-12)


def test_nothing_in_nothing_out() -> None:
    assert returns.log_returns(NONE).shape == (0,)
    assert momentum.rsi(NONE).shape == (0,)
    assert volatility.rolling_std(NONE, 20).shape == (0,)
    assert moving.macd(NONE).signal.shape == (0,)
    assert math.isnan(realized.realized_variance(NONE))
    assert math.isnan(realized.bipower_variation(np.array([0.1])))
    assert math.isnan(seasonality.entropy_index(NONE))
    assert math.isnan(correlation.correlation_stability(NONE))
    assert math.isnan(cointegration.half_life(NONE))
    assert math.isnan(cointegration.dickey_fuller(np.zeros(5)).t_value)
    assert spectrum.welch(NONE).power.shape == (0,)
    assert correlation.correlation_matrix(np.empty((0, 10))).shape == (0, 0)
    assert seasonality.slot_profile(NONE, np.zeros(0, dtype=np.int64), 24).counts.tolist() == [0] * 24


MISTAKES: dict[str, Callable[[], object]] = {
    "window of zero": lambda: moving.sma(FLAT, 0),
    "deviation of one value": lambda: volatility.rolling_std(FLAT, 1),
    "two lengths": lambda: momentum.atr(FLAT, FLAT[1:], FLAT),
    "two dimensions": lambda: moving.sma(FLAT.reshape(2, 60), 5),  # type: ignore[arg-type]  # the mistake
    "times without interval": lambda: returns.log_returns(FLAT, TIMES),
    "times of another length": lambda: returns.log_returns(FLAT, TIMES[1:], HOUR_MS),
    "fast span above slow": lambda: moving.macd(FLAT, 26, 12),
    "decay of one": lambda: volatility.ewma_volatility(FLAT, 1.0),
    "lag of zero": lambda: statistics.autocorrelation(FLAT, 0),
    "no lags": lambda: statistics.ljung_box(FLAT, 0),
    "horizon of one": lambda: statistics.variance_ratio(FLAT, 1),
    "segment of one": lambda: spectrum.welch(FLAT, 1),
    "one bin": lambda: seasonality.entropy_index(FLAT, 1),
    "slot out of range": lambda: seasonality.slot_profile(FLAT, np.full(120, 24), 24),
    "slots of another length": lambda: seasonality.slot_profile(FLAT, np.zeros(3, dtype=np.int64), 24),
    "prices and times": lambda: seasonality.seasonal_deviation(FLAT, TIMES[1:]),
    "grid of another length": lambda: on_grid(FLAT, TIMES[1:], HOUR_MS),
    "no interval": lambda: on_grid(FLAT, TIMES, 0),
    "matrix of one row": lambda: correlation.correlation_matrix(FLAT),  # type: ignore[arg-type]  # the mistake
    "matrix not square": lambda: correlation.first_component_share(np.zeros((2, 3))),
    "negative lag": lambda: correlation.lag_correlation(FLAT, FLAT, -1),
    "level not tabulated": lambda: cointegration.critical_value(0.2, 100),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_of_the_caller_are_errors(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        MISTAKES[name]()


def test_the_package_loads_numpy_and_nothing_heavier() -> None:
    folder = Path(common.indicators.__file__).parent
    with_scipy = {"seasonality", "spectrum", "statistics"}
    modules = {path.stem for path in folder.glob("[a-z]*.py")} - with_scipy
    names = ", ".join(f"common.indicators.{module}" for module in sorted(modules))
    heavy = {"scipy", "pandas", "statsmodels", "talib", "sklearn"}
    code = f"import sys, {names}; print(sorted({{m.split('.')[0] for m in sys.modules}} & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_too_few_prices_for_cointegration() -> None:
    short = np.cumsum(np.random.default_rng(5).normal(size=19))
    assert all(map(math.isnan, cointegration.engle_granger(short, short[::-1])))
    assert math.isnan(cointegration.mackinnon_p(math.nan))
    assert [cointegration.mackinnon_p(t) for t in (-30.0, 3.0)] == [0, 1]
    assert math.isnan(cointegration.half_life(np.array([1.0, 2.0, 4.0, 8.0])))  # runs away
