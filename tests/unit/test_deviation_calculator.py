"""The deviation document against the check vectors, TA-Lib, pandas, scipy, statsmodels, and what must always hold."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib
from scipy import stats
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.tsa.stattools import acf

from common.analytics.calculators.deviation import DEVIATION
from common.analytics.document import Result
from common.indicators.arrays import FloatArray1D
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.deviation.calculator import compute
from tests.support.calculators import PRICES, encoded_fields, flat, history_of, number, priced, recorded_until
from tests.support.candles import check_series, part, random_walk, without

H1 = Timeframe.H1
OF_RETURNS = ("autocorrelation", "skewness", "kurtosis", "ljung_box_p", "variance_ratio", "variance_ratio_z")


def result_of(candles: CandleColumns, timeframe: Timeframe = H1) -> Result:
    (result,) = compute(history_of(DEVIATION, candles, timeframe))
    return result


def returns_of(candles: CandleColumns) -> FloatArray1D:
    """Log returns on the hours there should be, NaN to and from those that are missing; by pandas."""
    hours = pd.to_datetime(candles.open_time_ms, unit="ms")
    values = pd.Series(np.log(candles.close), index=hours).asfreq("h").diff().to_numpy(dtype=np.float64)
    return np.asarray(values[1:])


@pytest.fixture(
    scope="module",
    params=[
        ("um_1h_ETHUSDT_2025-09_2025-12", "2026-01-01T00:00:00Z"),
        ("um_1h_ADAUSDT_2025-09_2025-12", "2025-10-10T22:00:00Z"),  # the candle of the crash is the last
        ("spot_1h_SOLUSDT_2022-07_2023-06", "2023-03-25T00:00:00Z"),  # half a day after the halt
    ],
    ids=["plain", "crash", "halt"],
)
def recorded(request: pytest.FixtureRequest, recorded_data: Path) -> CandleColumns:
    name, instant = request.param
    return recorded_until(recorded_data, name, instant, 720)


def test_the_check_vectors_of_the_analytics_page() -> None:
    result = result_of(check_series())
    expected = {
        "standard_deviation": 7.37877427940530,
        "variance": 54.4463098664131,
        "bollinger_upper": 119.125916170481,
        "bollinger_lower": 90.3581580032296,
        "bollinger_middle": 104.742037086855,
        "bollinger_width": 0.274653414878657,
        "z_score": -0.191913117436019,
        "price_range_index": 0.394938636545090,
        "autocorrelation": 0.949043009408204,
        "coefficient_of_variation": 0.0704471144979412,
        "skewness": 0.0125583156949067,
        "kurtosis": -1.50382399953427,
    }
    assert {name: number(result, name) for name in expected} == pytest.approx(expected, rel=1e-12)
    assert result.parameters["rolling_window"] == 20
    assert result.parameters["bollinger_std_multiplier"] == 2


def test_bands_agree_with_talib(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    upper, middle, lower = (series[-1] for series in talib.BBANDS(recorded.close, 20, 2, 2))
    assert number(result, "bollinger_upper") == pytest.approx(upper, rel=1e-9)
    assert number(result, "bollinger_middle") == pytest.approx(middle, rel=1e-12)
    assert number(result, "bollinger_lower") == pytest.approx(lower, rel=1e-9)
    assert number(result, "bollinger_width") == pytest.approx((upper - lower) / middle, rel=1e-7)


def test_deviations_agree_with_pandas_and_scipy(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    last = pd.Series(recorded.close[-20:])
    assert number(result, "standard_deviation") == pytest.approx(last.std(), rel=1e-10)
    assert number(result, "variance") == pytest.approx(last.var(), rel=1e-10)
    assert number(result, "coefficient_of_variation") == pytest.approx(stats.variation(last, ddof=1), rel=1e-10)
    assert number(result, "z_score") == pytest.approx(stats.zscore(last)[19], rel=1e-9)
    position = (last.iloc[-1] - last.min()) / (last.max() - last.min())
    assert number(result, "price_range_index") == pytest.approx(position, rel=1e-12)


def test_the_shape_of_returns_agrees_with_scipy(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    returns = returns_of(recorded)
    assert number(result, "skewness") == pytest.approx(stats.skew(returns, bias=False, nan_policy="omit"), rel=1e-9)
    expected = stats.kurtosis(returns, bias=False, nan_policy="omit")
    assert number(result, "kurtosis") == pytest.approx(expected, rel=1e-9)


def test_dependence_of_returns_agrees_with_statsmodels(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    returns = returns_of(recorded)
    correlations = acf(returns, nlags=10, missing="conservative")
    assert number(result, "autocorrelation") == pytest.approx(correlations[1], rel=1e-9)
    count = int(np.isfinite(returns).sum())
    statistic = count * (count + 2) * sum(correlations[k] ** 2 / (count - k) for k in range(1, 11))
    assert number(result, "ljung_box_p") == pytest.approx(stats.chi2.sf(statistic, 10), rel=1e-7)
    if count == len(returns):
        judged = acorr_ljungbox(returns, lags=[10])["lb_pvalue"].iloc[0]
        assert number(result, "ljung_box_p") == pytest.approx(judged, rel=1e-7)


def test_the_variance_ratio_is_that_of_lo_and_mackinlay(recorded: CandleColumns) -> None:
    returns = pd.Series(returns_of(recorded)).dropna().reset_index(drop=True)
    count, mean = len(returns), returns.mean()
    long = ((returns.rolling(5).sum().dropna() - 5 * mean) ** 2).sum() / (5 * (count - 4) * (1 - 5 / count))
    ratio = long / returns.var()
    squares = (returns - mean) ** 2
    theta = sum(
        4 * (1 - k / 5) ** 2 * count * (squares * squares.shift(k)).sum() / squares.sum() ** 2 for k in range(1, 5)
    )
    result = result_of(recorded)
    assert number(result, "variance_ratio") == pytest.approx(ratio, rel=1e-9)
    assert number(result, "variance_ratio_z") == pytest.approx(
        math.sqrt(count) * (ratio - 1) / math.sqrt(theta), rel=1e-6
    )


def test_trends_and_reversals_are_told_apart() -> None:
    walk = random_walk(720, H1, seed=3)
    steps = np.random.default_rng(5).normal(0, 0.01, 720)
    trending = np.exp(np.convolve(steps, np.ones(3))[:720].cumsum())
    bouncing = np.exp(steps)
    assert abs(number(result_of(walk), "variance_ratio_z")) < 2.6
    assert number(result_of(priced(walk, lambda _: trending)), "variance_ratio_z") > 2.6
    assert number(result_of(priced(walk, lambda _: bouncing)), "variance_ratio_z") < -2.6


def test_nothing_reaches_across_a_missing_candle() -> None:
    candles = random_walk(300, H1)
    tripled = np.where(np.arange(300) < 150, 1.0, 3.0)
    whole, gap = result_of(candles), result_of(without(priced(candles, lambda price: price * tripled), 149, 2))
    assert number(gap, "skewness") == pytest.approx(number(whole, "skewness"), abs=0.05)
    assert number(gap, "kurtosis") == pytest.approx(number(whole, "kurtosis"), abs=0.05)
    assert gap.basis.completeness < whole.basis.completeness


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M5, Timeframe.M15, H1, Timeframe.H4, Timeframe.D1])
def test_every_timeframe_gives_every_field(timeframe: Timeframe) -> None:
    result = result_of(random_walk(DEVIATION.bars(timeframe), timeframe), timeframe)
    assert None not in encoded_fields(result).values()
    assert result.basis.completeness == 100.0


def test_scaling_the_price_changes_only_what_is_a_price() -> None:
    candles = random_walk(300, H1)
    before, after = result_of(candles), result_of(priced(candles, lambda price: price * 1000))
    factors = {
        **dict.fromkeys(("standard_deviation", "bollinger_upper", "bollinger_middle", "bollinger_lower"), 1e3),
        "variance": 1e6,
    }
    for name in before.fields:
        assert number(after, name) == pytest.approx(number(before, name) * factors.get(name, 1), rel=1e-6)


def test_a_flat_market_has_no_score_and_stands_in_the_middle() -> None:
    result = result_of(flat(random_walk(60, H1)))
    assert encoded_fields(result) == {
        "standard_deviation": "0",
        "variance": "0",
        "coefficient_of_variation": "0",
        "bollinger_upper": "5",
        "bollinger_middle": "5",
        "bollinger_lower": "5",
        "bollinger_width": "0",
        "z_score": None,
        "price_range_index": "0.5",
        **dict.fromkeys(OF_RETURNS),
    }


@pytest.mark.parametrize(("rows", "window"), [(1, 2), (2, 2), (3, 2), (20, 19), (21, 20)])
def test_few_candles_give_what_they_can(rows: int, window: int) -> None:
    result = result_of(part(check_series(), slice(0, rows)))
    assert result.parameters["rolling_window"] == window
    assert math.isnan(number(result, "standard_deviation")) == (rows < 2)
    assert math.isnan(number(result, "skewness")) == (rows < 4)
    assert math.isnan(number(result, "ljung_box_p")) == (rows < 13)
    assert not result.basis.warmup_complete


def test_volumes_are_not_needed() -> None:
    candles = random_walk(300, H1)
    before = result_of(candles).fields
    for name in ("volume", "quote_volume", "trades_count", "taker_buy_volume"):
        getattr(candles, name)[:] = np.nan
    assert result_of(candles).fields == before


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), 1e-308, 1e308])
def test_a_bad_price_never_raises(bad: float) -> None:
    candles = random_walk(100, H1)
    for name in PRICES:
        getattr(candles, name)[-3] = bad
    assert set(result_of(candles).fields) == set(result_of(random_walk(100, H1)).fields)
