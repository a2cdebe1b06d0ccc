"""Statistics, spectra, correlations and cointegration against scipy and statsmodels.

Tolerance: 1e-9 relative; where a test is allowed more, it says why.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import scipy.stats
from statsmodels.api import OLS, add_constant
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.tsa.seasonal import STL
from statsmodels.tsa.stattools import acf, adfuller, ccf, coint

from common.indicators import cointegration, correlation, seasonality, spectrum, statistics
from common.indicators.arrays import FloatArray1D
from common.indicators.returns import log_returns
from common.storage.columns import CandleColumns
from tests.support.candle_series import random_walk, recorded

TOLERANCE = 1e-9
PAIRS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT"]


def near(expected: float, tolerance: float = TOLERANCE) -> object:
    return pytest.approx(expected, rel=tolerance, abs=1e-300)


@pytest.fixture(scope="module")
def hourly(recorded_data: Path) -> dict[str, CandleColumns]:
    return {pair: recorded(recorded_data, f"um_1h_{pair}_2025-09_2025-12", 2160) for pair in PAIRS}


@pytest.fixture(params=[*PAIRS, "generated", "heavy tails"])
def returns(request: pytest.FixtureRequest) -> FloatArray1D:
    """Log returns without missing values."""
    if request.param == "generated":
        return log_returns(random_walk(3, 721).close)[1:]
    if request.param == "heavy tails":
        return np.random.default_rng(5).standard_t(3, 900) * 0.01
    return log_returns(request.getfixturevalue("hourly")[request.param].close)[1:]


# --- samples ---


def test_moments(returns: FloatArray1D) -> None:
    assert statistics.skewness(returns) == near(scipy.stats.skew(returns, bias=False))
    assert statistics.excess_kurtosis(returns) == near(scipy.stats.kurtosis(returns, bias=False))


def test_autocorrelation(returns: FloatArray1D) -> None:
    expected = acf(returns, nlags=10, adjusted=False, fft=False)
    for lag in (1, 2, 10):
        assert statistics.autocorrelation(returns, lag) == pytest.approx(expected[lag], rel=TOLERANCE, abs=1e-14)


def test_autocorrelation_with_missing_values(returns: FloatArray1D) -> None:
    broken = returns.copy()
    broken[[10, 11, 50, 200]] = np.nan
    expected = acf(broken, nlags=3, adjusted=False, fft=False, missing="conservative")
    for lag in (1, 2, 3):
        assert statistics.autocorrelation(broken, lag) == pytest.approx(expected[lag], rel=TOLERANCE, abs=1e-14)


def test_ljung_box(returns: FloatArray1D) -> None:
    for lags in (1, 10, 25):
        expected = acorr_ljungbox(returns, lags=[lags]).iloc[0]
        ours = statistics.ljung_box(returns, lags)
        assert ours.statistic == near(float(expected["lb_stat"]))
        assert ours.p_value == near(float(expected["lb_pvalue"]), 1e-8)


def test_variance_ratio_equals_that_of_arch(hourly: dict[str, CandleColumns], recorded_data: Path) -> None:
    """Values of arch 8.0, ``VarianceRatio(log prices, lags=q)``, on the whole recorded file."""
    close = recorded(recorded_data, "um_1h_BTCUSDT_2025-09_2025-12").close
    assert len(close) == 2632
    expected = {
        2: (1.0092346428570955, 0.29577246187453254),
        5: (1.0838827125616095, 1.3716695725820607),
        24: (0.9928474101730062, -0.05378201709629093),
    }
    for horizon, (ratio, z) in expected.items():
        ours = statistics.variance_ratio(log_returns(close), horizon)
        assert ours == (near(ratio), near(z))


def test_variance_ratio_of_two_bars_is_one_plus_autocorrelation(returns: FloatArray1D) -> None:
    """A textbook identity, exact up to the ends of the sample."""
    ours = statistics.variance_ratio(returns, 2).ratio
    assert ours == pytest.approx(1 + statistics.autocorrelation(returns), abs=4 / len(returns))


# --- spectra ---


def test_peaks_are_those_of_the_density(returns: FloatArray1D) -> None:
    frequency, power = scipy.signal.welch(returns, nperseg=256, noverlap=128, detrend="constant")
    inner = power[1:128]
    expected = 1 + scipy.signal.find_peaks(np.concatenate(([0], inner, [0])))[0] - 1
    strongest = expected[np.argsort(-inner[expected - 1])][:3]
    ours = spectrum.spectral_peaks(returns, count=3)
    assert [peak.power_share for peak in ours] == pytest.approx(inner[strongest - 1] / inner.sum(), rel=1e-7)
    for peak, bin_ in zip(ours, strongest, strict=True):
        assert 1 / peak.period_bars == pytest.approx(frequency[bin_], abs=0.5 / 256)


def test_entropy(returns: FloatArray1D) -> None:
    counts, _ = np.histogram(returns, bins=50)
    assert seasonality.entropy_index(returns) == near(float(scipy.stats.entropy(counts)) / math.log(50))


def test_return_profile_against_t_test(hourly: dict[str, CandleColumns]) -> None:
    candles = hourly["BTCUSDT"]
    values, slot = log_returns(candles.close), seasonality.hour_of_week(candles.open_time_ms)
    ours = seasonality.slot_profile(values, slot, 168)
    for place in (0, 1, 83, 167):
        sample = values[(slot == place) & np.isfinite(values)]
        assert ours.counts[place] == len(sample)
        assert ours.means[place] == near(float(sample.mean()))
        assert ours.t_values[place] == near(float(scipy.stats.ttest_1samp(sample, 0).statistic))


def test_slots_are_those_of_the_calendar(hourly: dict[str, CandleColumns]) -> None:
    times = hourly["BTCUSDT"].open_time_ms
    calendar = times.astype("datetime64[ms]")
    hours = (calendar.astype("datetime64[h]") - calendar.astype("datetime64[D]")).astype(int)
    weekdays = [instant.weekday() for instant in calendar.astype("datetime64[s]").tolist()]
    assert seasonality.hour_of_day(times).tolist() == hours.tolist()
    assert seasonality.day_of_week(times).tolist() == weekdays
    assert seasonality.hour_of_week(times).tolist() == [24 * d + h for d, h in zip(weekdays, hours, strict=True)]


@pytest.mark.parametrize("amplitude", [0.0, 0.01, 0.05])
def test_seasonality_strength_is_near_that_of_stl(amplitude: float) -> None:
    """STL lets the season drift a little, so it finds somewhat more of one; both must order series alike."""
    rows = np.arange(24 * 60)
    levels = np.log(random_walk(11, len(rows)).close) + amplitude * np.sin(2 * np.pi * rows / 24)
    fitted = STL(levels, period=24, seasonal=1001).fit()
    expected = max(0.0, 1 - fitted.resid.var() / (fitted.resid + fitted.seasonal).var())
    assert seasonality.seasonality_strength(levels, 24) == pytest.approx(expected, abs=0.1)


# --- correlation ---


def test_pearson(hourly: dict[str, CandleColumns]) -> None:
    series = {pair: log_returns(candles.close)[1:] for pair, candles in hourly.items()}
    stacked = np.stack(list(series.values()))
    ours = correlation.correlation_matrix(stacked)
    np.testing.assert_allclose(ours, np.corrcoef(stacked), rtol=1e-12)
    for x, y in [("BTCUSDT", "ETHUSDT"), ("ADAUSDT", "SOLUSDT")]:
        expected = float(scipy.stats.pearsonr(series[x], series[y]).statistic)
        assert correlation.correlation(series[x], series[y]) == near(expected, 1e-12)


def test_pearson_uses_the_common_rows_of_each_pair(hourly: dict[str, CandleColumns]) -> None:
    stacked = np.stack([log_returns(candles.close) for candles in hourly.values()])
    stacked[1, 100:400] = np.nan
    stacked[3, ::7] = np.inf
    stacked[2, 50] = np.nan
    stacked[4, 50] = 1e6  # a bad print, which pair 2 and 4 does not share
    ours = correlation.correlation_matrix(stacked)
    for i in range(5):
        for j in range(5):
            common = np.isfinite(stacked[i]) & np.isfinite(stacked[j])
            expected = scipy.stats.pearsonr(stacked[i, common], stacked[j, common]).statistic
            assert ours[i, j] == near(float(expected), 1e-12)


def test_lag_correlation_against_ccf(hourly: dict[str, CandleColumns]) -> None:
    """``ccf(x, y)[k]`` pairs x(t + k) with y(t), with the means of the whole series: the same up to its ends."""
    btc = log_returns(hourly["BTCUSDT"].close)[1:]
    follower = np.concatenate((np.zeros(3), btc[:-3])) + np.random.default_rng(1).normal(0, btc.std(), len(btc))
    expected = ccf(follower, btc, adjusted=False, fft=False)[:25]
    ours = correlation.lag_correlation(btc, follower)
    assert ours.lag == int(np.argmax(expected)) == 3
    assert ours.correlation == pytest.approx(expected[3], abs=0.01)
    assert ours.correlation == near(float(scipy.stats.pearsonr(follower[3:], btc[:-3]).statistic), 1e-12)


def test_beta(hourly: dict[str, CandleColumns]) -> None:
    btc, sol = (log_returns(hourly[pair].close)[1:] for pair in ("BTCUSDT", "SOLUSDT"))
    ours = correlation.rolling_beta(sol, btc, 250)
    for end in (250, 999, len(btc)):
        expected = OLS(sol[end - 250 : end], add_constant(btc[end - 250 : end])).fit().params[1]
        assert ours[end - 1] == near(float(expected))
    assert correlation.rolling_beta(btc, btc, 250)[-1] == 1


def test_rolling_and_volatility_correlation(hourly: dict[str, CandleColumns]) -> None:
    btc, ada = (log_returns(hourly[pair].close)[1:] for pair in ("BTCUSDT", "ADAUSDT"))
    ours = correlation.rolling_correlation(btc, ada, 720)
    assert np.isnan(ours[:719]).all()
    assert ours[-1] == near(float(scipy.stats.pearsonr(btc[-720:], ada[-720:]).statistic), 1e-12)
    windows = [np.lib.stride_tricks.sliding_window_view(x, 20).std(axis=1, ddof=1) for x in (btc, ada)]
    assert correlation.volatility_correlation(btc, ada) == near(float(scipy.stats.pearsonr(*windows).statistic))


def test_first_component(hourly: dict[str, CandleColumns]) -> None:
    stacked = np.stack([log_returns(candles.close)[1:] for candles in hourly.values()])
    standard = (stacked - stacked.mean(axis=1, keepdims=True)) / stacked.std(axis=1, keepdims=True)
    squared = np.linalg.svd(standard, compute_uv=False) ** 2
    ours = correlation.first_component_share(correlation.correlation_matrix(stacked))
    assert ours == near(float(squared[0] / squared.sum()))


def test_stability(hourly: dict[str, CandleColumns]) -> None:
    btc, eth = (log_returns(hourly[pair].close)[1:] for pair in ("BTCUSDT", "ETHUSDT"))
    rolling = correlation.rolling_correlation(btc, eth, 48)
    expected = 1 - min(1.0, float(np.nanstd(np.arctanh(rolling), ddof=1)))
    assert correlation.correlation_stability(rolling) == near(expected)


# --- cointegration ---


@pytest.mark.parametrize("pair", ["ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT"])
@pytest.mark.parametrize("rows", [60, 250, 720])
def test_engle_granger_on_recorded_prices(hourly: dict[str, CandleColumns], pair: str, rows: int) -> None:
    y, x = (np.log(hourly[name].close[-rows:]) for name in (pair, "BTCUSDT"))
    expected = coint(y, x, trend="c", autolag="aic", return_results=True)
    ours = cointegration.engle_granger(y, x)
    assert ours.adf_t == near(float(expected.coint_t if hasattr(expected, "coint_t") else expected[0]))
    assert ours.p_value == near(float(expected.pvalue if hasattr(expected, "pvalue") else expected[1]), 1e-8)
    assert ours.beta == near(float(OLS(y, add_constant(x)).fit().params[1]))


@pytest.mark.parametrize("seed", range(6))
def test_unit_root_test_and_its_lags(seed: int) -> None:
    """Series whose changes depend on their past, so that AIC takes lags."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=400)
    changes = noise.copy()
    for t in range(3, 400):
        changes[t] += 0.5 * changes[t - 1] - 0.3 * changes[t - 3]
    series = np.cumsum(changes)
    series -= series.mean()
    expected = adfuller(series, regression="n", autolag="AIC", result_object=False)
    ours = cointegration.dickey_fuller(series)
    assert ours.lags == expected[2] > 0
    assert ours.t_value == near(float(expected[0]))


def test_half_life() -> None:
    deviations = np.random.default_rng(2).normal(size=300)
    slope = float(OLS(np.diff(deviations), deviations[:-1]).fit().params[0])
    assert cointegration.half_life(deviations) == near(-math.log(2) / slope)


def test_critical_values_of_two_variables() -> None:
    """Those of statsmodels up to 1e-4: it has another digit in the last coefficient of the 1 % row."""
    rng = np.random.default_rng(4)
    y, x = (np.cumsum(rng.normal(size=500)) for _ in range(2))
    result = coint(y, x, return_results=True)
    for level, value in zip((0.01, 0.05, 0.10), result[2], strict=True):
        assert cointegration.critical_value(level, 500) == pytest.approx(value, abs=1e-4)
    assert [round(cointegration.critical_value(p, 10**9), 2) for p in (0.01, 0.05, 0.10)] == [-3.90, -3.34, -3.04]
    for level in (0.01, 0.05, 0.10):
        value = cointegration.critical_value(level, 10**9)
        assert cointegration.mackinnon_p(value) == pytest.approx(level, rel=0.02)
