"""The volatility document against the check vectors, pandas, TA-Lib, and what must hold for any candles."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib
from statsmodels.regression.linear_model import OLS

from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.document import Result
from common.analytics.window import History, window_of
from common.indicators.arrays import FloatArray1D
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.volatility.calculator import compute
from functions.volatility.inputs import VolatilityInputs
from tests.support.candles import check_series, columns_of, part, random_walk, recorded_rows, without

H1 = Timeframe.H1
NONE = part(check_series(), slice(0, 0))


def result_of(
    candles: CandleColumns, minutes: CandleColumns = NONE, timeframe: Timeframe = H1, hours: CandleColumns = NONE
) -> Result:
    as_of_ms = int(candles.open_time_ms[-1]) + timeframe.duration_ms
    series = History("BTCUSDT", window_of(VOLATILITY, timeframe, as_of_ms), candles)
    (result,) = compute(VolatilityInputs(series, minutes, hours))
    return result


def field(result: Result, name: str) -> float:
    value = result.fields[name]
    assert isinstance(value, float)
    return value


def priced(candles: CandleColumns, change: Callable[[FloatArray1D], FloatArray1D]) -> CandleColumns:
    changed: dict[str, Any] = {name: change(getattr(candles, name)) for name in ("open", "high", "low", "close")}
    return replace(candles, **changed)


@pytest.fixture(scope="module")
def recorded(recorded_data: Path) -> CandleColumns:
    path = recorded_data / "klines" / "um_1h_ETHUSDT_2025-09_2025-12.csv.gz"
    return part(columns_of(recorded_rows(path, "ETHUSDT", H1)), slice(-720, None))


def test_the_check_vectors_of_the_analytics_page() -> None:
    result = result_of(check_series())
    expected = {
        "rolling_stddev": 0.0161505298944374,
        "annualized_volatility": 1.51160677262011,
        "parkinson": 0.0151162798904734,
        "parkinson_annualized": 1.41480627624056,
        "garman_klass": 0.0146559692002047,
        "garman_klass_annualized": 1.37172355626371,
        "volatility_of_volatility": 0.0014359314791096,
    }
    assert {name: field(result, name) for name in expected} == pytest.approx(expected, rel=1e-12)
    assert result.parameters["rolling_window"] == 20


def test_close_to_close_agrees_with_pandas(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    returns = pd.Series(np.log(recorded.close)).diff()
    rolling = returns.rolling(20).std()
    assert field(result, "rolling_stddev") == pytest.approx(rolling.iloc[-1], rel=1e-10)
    assert field(result, "annualized_volatility") == pytest.approx(rolling.iloc[-1] * math.sqrt(8760), rel=1e-10)
    assert field(result, "volatility_of_volatility") == pytest.approx(rolling.rolling(20).std().iloc[-1], rel=1e-8)
    squared = (returns**2).dropna()
    seeded = pd.concat([pd.Series([squared[:20].mean()]), squared[20:]])
    assert field(result, "ewma_volatility") == pytest.approx(
        math.sqrt(seeded.ewm(alpha=0.06, adjust=False).mean().iloc[-1]), rel=1e-10
    )


def test_ranges_agree_with_pandas(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    frame = pd.DataFrame({name: getattr(recorded, name) for name in ("open", "high", "low", "close")}).apply(np.log)
    high, low, close, open_ = frame.high, frame.low, frame.close, frame.open
    parkinson = ((high - low) ** 2 / (4 * math.log(2))).rolling(20).mean().iloc[-1]
    garman_klass = (0.5 * (high - low) ** 2 - (2 * math.log(2) - 1) * (close - open_) ** 2).rolling(20).mean().iloc[-1]
    ranges = ((high - close) * (high - open_) + (low - close) * (low - open_)).rolling(20).mean().iloc[-1]
    k = 0.34 / (1.34 + 21 / 19)
    between = (open_ - close.shift()).rolling(20).var().iloc[-1]
    within = (close - open_).rolling(20).var().iloc[-1]
    assert field(result, "parkinson") == pytest.approx(math.sqrt(parkinson), rel=1e-9)
    assert field(result, "garman_klass") == pytest.approx(math.sqrt(garman_klass), rel=1e-9)
    assert field(result, "rogers_satchell") == pytest.approx(math.sqrt(ranges), rel=1e-9)
    assert field(result, "yang_zhang") == pytest.approx(math.sqrt(between + k * within + (1 - k) * ranges), rel=1e-9)


def test_average_true_range_agrees_with_talib(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    expected = talib.ATR(recorded.high, recorded.low, recorded.close, 14)[-1]
    assert field(result, "atr") == pytest.approx(expected, rel=1e-12)
    assert field(result, "atr_percent") == pytest.approx(expected / recorded.close[-1] * 100, rel=1e-12)


def test_the_variance_of_a_day_is_that_of_its_minutes(recorded_data: Path) -> None:
    path = recorded_data / "klines" / "spot_1m_BTCUSDT_2024-12.csv.gz"
    rows = recorded_rows(path, "BTCUSDT", Timeframe.M1)
    # The day of the fall of 2024-12-05, 22:28, and the minute before it.
    day = [row for row in rows if 1_733_356_740_000 <= row.time_ms < 1_733_443_200_000]
    result = result_of(random_walk(300, H1), columns_of(day))
    returns = pd.Series(np.log([float(row.close) for row in day])).diff().dropna()
    assert len(returns) == 1440
    bipower = math.pi / 2 * 1440 / 1439 * (returns.abs() * returns.abs().shift()).sum()
    assert field(result, "realized_variance") == pytest.approx((returns**2).sum(), rel=1e-9)
    assert field(result, "bipower_variation") == pytest.approx(bipower, rel=1e-9)
    assert field(result, "jump_share") == pytest.approx(1 - bipower / (returns**2).sum(), rel=1e-7)


def test_a_part_of_a_day_says_nothing_about_the_day() -> None:
    minutes = random_walk(1441, Timeframe.M1)
    whole = result_of(check_series(), minutes)
    halted = result_of(check_series(), without(minutes, 300, 284))
    short = result_of(check_series(), part(minutes, slice(-1100, None)))
    for name in ("realized_variance", "bipower_variation", "jump_share"):
        assert field(whole, name) >= 0
        assert field(halted, name) >= 0
        assert math.isnan(field(short, name))


def test_the_forecast_is_that_of_the_days_before_the_instant(recorded_data: Path) -> None:
    """Least squares written out with pandas, on days that end with the last hour."""
    path = recorded_data / "klines" / "um_1h_ETHUSDT_2025-09_2025-12.csv.gz"
    hours = part(columns_of(recorded_rows(path, "ETHUSDT", H1)), slice(-109 * 24 - 1, None))
    result = result_of(part(hours, slice(-720, None)), hours=hours)
    squares = pd.Series(np.log(hours.close)).diff().iloc[1:].to_numpy() ** 2
    logs = pd.Series(np.log(squares.reshape(109, 24).sum(axis=1)))
    frame = pd.DataFrame({"one": 1.0, "day": logs, "week": logs.rolling(7).mean(), "month": logs.rolling(30).mean()})
    known, today = frame.iloc[29:-1], frame.iloc[-1]
    fitted = OLS(logs.iloc[30:].to_numpy(), known.to_numpy()).fit()
    variance = math.exp(float(today.to_numpy() @ fitted.params) + float(np.var(fitted.resid)) / 2)
    assert field(result, "volatility_forecast") == pytest.approx(math.sqrt(365 * variance), rel=1e-9)
    assert 0.2 < field(result, "volatility_forecast") < 1.5


def test_a_forecast_needs_its_days_and_the_last_of_them() -> None:
    hours = random_walk(24 * 120 + 1, H1)
    now = part(hours, slice(-300, None))
    assert field(result_of(now, hours=hours), "volatility_forecast") > 0
    assert math.isnan(field(result_of(now, hours=part(hours, slice(-24 * 89, None))), "volatility_forecast"))
    assert math.isnan(field(result_of(now, hours=part(hours, slice(0, -24))), "volatility_forecast"))
    late = field(result_of(now, hours=part(hours, slice(0, -2))), "volatility_forecast")
    assert late == pytest.approx(field(result_of(now, hours=hours), "volatility_forecast"), rel=0.2)
    assert math.isnan(field(result_of(now), "volatility_forecast"))


def test_nothing_reaches_across_a_missing_candle() -> None:
    candles = random_walk(300, H1)
    tripled = np.where(np.arange(300) < 295, 1.0, 3.0)
    with_gap = result_of(without(priced(candles, lambda price: price * tripled), 295))
    assert field(with_gap, "rolling_stddev") < 0.02
    assert field(with_gap, "yang_zhang") < 0.02
    assert field(with_gap, "ewma_volatility") < 0.02
    assert with_gap.parameters["rolling_window"] == 20


def test_scaling_the_price_changes_only_what_is_a_price() -> None:
    candles = random_walk(300, H1)
    before, after = result_of(candles), result_of(priced(candles, lambda price: price * 1000))
    for name in before.fields:
        if not math.isnan(field(before, name)):
            factor = 1000 if name == "atr" else 1
            assert field(after, name) == pytest.approx(field(before, name) * factor, rel=1e-9)


def test_a_flat_market_has_no_volatility_and_that_is_a_value() -> None:
    result = result_of(priced(random_walk(60, H1), lambda price: np.full_like(price, 5.0)))
    zeros = ("rolling_stddev", "annualized_volatility", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang")
    assert {name: field(result, name) for name in zeros} == dict.fromkeys(zeros, 0.0)


def test_few_candles_give_what_they_can() -> None:
    result = result_of(part(check_series(), slice(0, 20)))
    assert result.parameters["rolling_window"] == 19
    assert field(result, "rolling_stddev") > 0
    assert math.isnan(field(result, "volatility_of_volatility"))
    assert math.isnan(field(result, "ewma_volatility"))
    assert not result.basis.warmup_complete


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), 1e-308, 1e308])
def test_a_bad_price_never_raises(bad: float) -> None:
    candles = random_walk(100, H1)
    for name in ("open", "high", "low", "close"):
        getattr(candles, name)[-3] = bad
    result = result_of(candles)
    assert set(result.fields) == set(result_of(random_walk(100, H1)).fields)
