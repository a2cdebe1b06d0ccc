"""The trend document against the check vectors, TA-Lib, pandas, and what must hold for any candles."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib

from common.analytics.calculators.trend import TREND
from common.analytics.document import Result
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.trend.calculator import compute
from functions.trend.inputs import TrendInputs
from tests.support.calculators import PRICES, encoded_fields, flat, history_of, number, priced, recorded_until
from tests.support.candles import check_series, part, random_walk, without

H1 = Timeframe.H1


def result_of(candles: CandleColumns, benchmark: CandleColumns | None = None, timeframe: Timeframe = H1) -> Result:
    market = candles if benchmark is None else benchmark
    (result,) = compute(TrendInputs(history_of(TREND, candles, timeframe), market))
    return result


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
        "sma": 104.742037086855,
        "sma_50": 104.573236190980,
        "ema": 101.990076510615,
        "wma": 101.341361368453,
        "rate_of_change": 0.486089056951577,
        "directional_strength": 40.0,
        "rsi": 51.8201607461142,
        "adx": 25.5864247426944,
        "plus_di": 31.3236701318837,
        "minus_di": 29.4910401944378,
    }
    assert {name: number(result, name) for name in expected} == pytest.approx(expected, rel=1e-12)
    assert result.fields["crossover_signal"] == "bullish"
    assert result.fields["crossover_event"] is None
    assert (result.parameters["sma_window"], result.parameters["ema_span"]) == (20, 20)


def test_averages_and_momentum_agree_with_talib(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    close = recorded.close
    judged = {
        "sma": talib.SMA(close, 20),
        "sma_50": talib.SMA(close, 50),
        "ema": talib.EMA(close, 20),
        "wma": talib.WMA(close, 20),
        "rate_of_change": talib.ROC(close, 10),
        "rsi": talib.RSI(close, 14),
    }
    assert {name: number(result, name) for name in judged} == pytest.approx(
        {name: series[-1] for name, series in judged.items()}, rel=1e-10
    )


def test_directional_movement_and_macd_agree_with_talib_once_warm(recorded: CandleColumns) -> None:
    result = result_of(recorded)
    prices = recorded.high, recorded.low, recorded.close
    line, signal, histogram = talib.MACD(recorded.close, 12, 26, 9)
    judged = {
        "adx": talib.ADX(*prices, 14)[-1],
        "plus_di": talib.PLUS_DI(*prices, 14)[-1],
        "minus_di": talib.MINUS_DI(*prices, 14)[-1],
    }
    assert {name: number(result, name) for name in judged} == pytest.approx(judged, rel=1e-9)
    scale = float(recorded.close[-1])
    for name, series in (("macd", line), ("macd_signal", signal), ("macd_histogram", histogram)):
        assert number(result, name) == pytest.approx(series[-1], abs=1e-12 * scale)


def test_directional_strength_is_the_share_of_rising_candles(recorded: CandleColumns) -> None:
    rising = pd.Series(recorded.close > recorded.open)[-20:].mean() * 100
    assert number(result_of(recorded), "directional_strength") == pytest.approx(rising)


def test_beta_agrees_with_pandas_on_recorded_pairs(recorded_data: Path) -> None:
    """Both pairs over the halt of 2023-03-24; the benchmark lacks some candles more."""
    eth, btc = (
        recorded_until(recorded_data, f"spot_1h_{symbol}_2022-07_2023-06", "2023-04-10T00:00:00Z", 720)
        for symbol in ("ETHUSDT", "BTCUSDT")
    )
    btc = without(btc, 100, 7)
    frames = [
        pd.Series(np.log(one.close), index=pd.to_datetime(one.open_time_ms, unit="ms")).asfreq("h").diff()
        for one in (eth, btc)
    ]
    both = pd.concat(frames, axis=1, join="inner").dropna()
    assert len(both) == 720 - 2 - 8, "returns between 721 slots, without those to and from the missing ones"
    covariance = both.cov().to_numpy(dtype=float)
    expected = covariance[0, 1] / covariance[1, 1]
    assert number(result_of(eth, btc), "rolling_beta") == pytest.approx(expected, rel=1e-10)


def test_beta_of_the_benchmark_to_itself_is_one_and_of_a_multiple_that() -> None:
    candles = random_walk(300, H1)
    assert number(result_of(candles), "rolling_beta") == pytest.approx(1.0, rel=1e-14)
    squared = priced(candles, lambda price: price**2)
    assert number(result_of(squared, candles), "rolling_beta") == pytest.approx(2.0, rel=1e-10)


def test_beta_pairs_candles_by_their_time() -> None:
    candles = random_walk(300, H1)
    later = random_walk(400, H1)  # a hundred more of the same walk at its end
    assert number(result_of(candles, later), "rolling_beta") == pytest.approx(1.0, rel=1e-12)
    shifted = random_walk(300, H1, start_ms=int(candles.open_time_ms[10]))
    assert abs(number(result_of(candles, shifted), "rolling_beta")) < 0.3


def test_without_enough_of_the_benchmark_there_is_no_beta() -> None:
    candles = random_walk(300, H1)
    for rows in (0, 1, 30):
        assert math.isnan(number(result_of(candles, part(candles, slice(300 - rows, None))), "rolling_beta"))
    assert number(result_of(candles, part(candles, slice(269, None))), "rolling_beta") == pytest.approx(1.0)


def test_a_crossing_is_told_on_its_candle_and_the_side_from_there_on() -> None:
    close = np.concatenate([np.linspace(200, 100, 150), np.linspace(100, 200, 100)])
    candles = priced(random_walk(250, H1), lambda _: close)
    told = [result_of(part(candles, slice(0, rows))).fields for rows in range(60, 251)]
    short, long = talib.SMA(close, 20), talib.SMA(close, 50)
    above = (short > long)[59:]
    assert [fields["crossover_signal"] for fields in told] == ["bullish" if side else "bearish" for side in above]
    crossed = [fields["crossover_event"] for fields in told]
    assert [event for event in crossed if event] == ["golden"]
    assert crossed.index("golden") == int(above.argmax())
    falling = result_of(part(priced(candles, lambda price: 300 - price), slice(0, 60 + crossed.index("golden"))))
    assert (falling.fields["crossover_signal"], falling.fields["crossover_event"]) == ("bearish", "death")


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M5, Timeframe.M15, H1, Timeframe.H4, Timeframe.D1])
def test_every_timeframe_gives_every_field(timeframe: Timeframe) -> None:
    candles = random_walk(TREND.bars(timeframe), timeframe)
    result = result_of(candles, random_walk(len(candles), timeframe, seed=2), timeframe)
    lacking = {name for name, value in encoded_fields(result).items() if value is None}
    assert lacking <= {"crossover_event"}
    assert result.basis.warmup_complete
    assert result.basis.completeness == 100.0


def test_scaling_the_price_changes_only_what_is_a_price() -> None:
    candles = random_walk(300, H1)
    before, after = result_of(candles), result_of(priced(candles, lambda price: price * 1000))
    for name in ("sma", "sma_50", "ema", "wma", "macd", "macd_signal", "macd_histogram"):
        assert number(after, name) == pytest.approx(number(before, name) * 1000, rel=1e-9)
    for name in ("rate_of_change", "directional_strength", "rsi", "adx", "plus_di", "minus_di"):
        assert number(after, name) == pytest.approx(number(before, name), rel=1e-9)


def test_a_flat_market_has_no_direction() -> None:
    result = result_of(flat(random_walk(300, H1)))
    assert {
        name: number(result, name) for name in ("rsi", "rate_of_change", "macd", "sma", "directional_strength")
    } == {
        "rsi": 50.0,
        "rate_of_change": 0.0,
        "macd": 0.0,
        "sma": 5.0,
        "directional_strength": 0.0,
    }
    for name in ("adx", "plus_di", "minus_di", "rolling_beta"):
        assert math.isnan(number(result, name))
    assert result.fields["crossover_signal"] == "bearish"


@pytest.mark.parametrize("rows", [1, 2, 15, 20, 49])
def test_few_candles_give_what_they_can(rows: int) -> None:
    result = result_of(part(check_series(), slice(0, rows)))
    assert math.isnan(number(result, "sma")) == (rows < 20)
    assert math.isnan(number(result, "rsi")) == (rows < 15)
    assert math.isnan(number(result, "sma_50"))
    assert result.fields["crossover_signal"] is result.fields["crossover_event"] is None
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
