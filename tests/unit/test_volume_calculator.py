"""The volume document against the check vectors, pandas and TA-Lib on recorded candles, and missing columns."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib

from common.analytics.calculators.regime import REGIME
from common.analytics.calculators.volume import VOLUME
from common.analytics.document import Result
from common.analytics.window import History, window_of
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.regime.calculator import compute as compute_regime
from functions.volume.calculator import compute
from tests.support.calculators import history_of
from tests.support.candles import check_series, columns_of, part, random_walk, recorded_rows, without

H1 = Timeframe.H1


def result_of(candles: CandleColumns, timeframe: Timeframe = H1) -> Result:
    as_of_ms = int(candles.open_time_ms[-1]) + timeframe.duration_ms
    (result,) = compute(History("BTCUSDT", window_of(VOLUME, timeframe, as_of_ms), candles))
    return result


def field(result: Result, name: str) -> float:
    value = result.fields[name]
    assert isinstance(value, float)
    return value


@pytest.fixture(scope="module")
def recorded(recorded_data: Path) -> CandleColumns:
    """Candles of twelve columns: with the volume that takers bought."""
    path = recorded_data / "klines" / "um_5m_BTCUSDT_2025-10.csv.gz"
    rows = recorded_rows(path, "BTCUSDT", Timeframe.M5)
    # They end in the middle of the crash of 2025-10-10.
    end = next(index for index, row in enumerate(rows) if row.time_ms >= 1_760_131_200_000 + 5 * 60_000 * 16)
    return columns_of(rows[end - 300 : end])


def test_the_check_vectors_of_the_analytics_page() -> None:
    result = result_of(check_series())
    expected = {
        "total_volume": 31400.0,
        "volume_sma": 1310.0,
        "volume_ema": 1307.34917119129,
        "volume_spike_ratio": 0.740740740740741,
    }
    assert {name: field(result, name) for name in expected} == pytest.approx(expected, rel=1e-12)
    assert result.parameters == {"sma_window": 20, "window_bars": 24}
    short = result_of(part(check_series(), slice(-24, None)))
    assert field(short, "volume_ema") == pytest.approx(1316.57434402332, rel=1e-12)


def test_recorded_candles_agree_with_pandas_and_talib(recorded: CandleColumns) -> None:
    result = result_of(recorded, Timeframe.M5)
    frame = pd.DataFrame({name: getattr(recorded, name) for name in CandleColumns.__slots__})
    day = frame.tail(288)
    returns = pd.Series(np.log(recorded.close)).diff().tail(288)
    expected = {
        "total_volume": day.volume.sum(),
        "volume_sma": talib.SMA(recorded.volume, 20)[-1],
        "volume_ema": talib.EMA(recorded.volume, 20)[-1],
        "volume_delta": (2 * day.taker_buy_volume - day.volume).sum(),
        "taker_buy_ratio": day.taker_buy_volume.sum() / day.volume.sum(),
        "vwap": day.quote_volume.sum() / day.volume.sum(),
        "obv": talib.OBV(recorded.close, recorded.volume)[-1] - recorded.volume[0],
        "amihud_illiquidity": (returns.abs() / day.quote_volume).mean(),
        "volume_spike_ratio": frame.volume.iloc[-1] / frame.volume.iloc[-289:-1].median(),
    }
    assert {name: field(result, name) for name in result.fields} == pytest.approx(expected, rel=1e-9)
    assert day.low.min() < field(result, "vwap") < day.high.max()


def test_without_taker_volume_its_fields_are_missing_and_the_others_are_not() -> None:
    candles = random_walk(300, H1)
    complete = result_of(candles)
    lacking = result_of(replace(candles, taker_buy_volume=np.full(300, np.nan)))
    for name in complete.fields:
        if name in {"volume_delta", "taker_buy_ratio"}:
            assert math.isnan(field(lacking, name))
        else:
            assert field(lacking, name) == field(complete, name)


def test_without_quote_volume_no_price_is_guessed() -> None:
    result = result_of(check_series())
    assert math.isnan(field(result, "vwap"))
    assert math.isnan(field(result, "amihud_illiquidity"))


def test_one_missing_taker_volume_in_the_window_is_no_zero() -> None:
    candles = random_walk(300, H1)
    candles.taker_buy_volume[-5] = np.nan
    assert math.isnan(field(result_of(candles), "volume_delta"))
    candles = random_walk(300, H1)
    candles.taker_buy_volume[-25] = np.nan
    assert not math.isnan(field(result_of(candles), "volume_delta"))


def test_a_day_without_trades_is_zero_not_missing() -> None:
    candles = random_walk(60, H1)
    silent = replace(
        candles, volume=np.zeros(60), quote_volume=np.zeros(60), taker_buy_volume=np.zeros(60), close=np.full(60, 5.0)
    )
    result = result_of(silent)
    assert {
        name: field(result, name) for name in ("total_volume", "volume_sma", "volume_ema", "volume_delta", "obv")
    } == {
        "total_volume": 0.0,
        "volume_sma": 0.0,
        "volume_ema": 0.0,
        "volume_delta": 0.0,
        "obv": 0.0,
    }
    assert all(math.isnan(field(result, name)) for name in ("taker_buy_ratio", "vwap", "volume_spike_ratio"))


def test_the_window_is_a_day_whatever_is_missing_in_it() -> None:
    candles = random_walk(300, H1)
    result = result_of(without(candles, 290, 4))
    assert result.basis.completeness == round(100 * 20 / 24, 2)
    expected = float(candles.volume[276:290].sum() + candles.volume[294:].sum())
    assert field(result, "total_volume") == pytest.approx(expected, rel=1e-12)


def test_daily_candles_have_a_window_of_24_bars() -> None:
    candles = random_walk(250, Timeframe.D1)
    result = result_of(candles, Timeframe.D1)
    assert field(result, "total_volume") == pytest.approx(float(candles.volume[-24:].sum()), rel=1e-12)
    assert result.basis.warmup_complete


def test_a_spike_needs_twenty_candles_to_stand_out_from() -> None:
    assert math.isnan(field(result_of(part(random_walk(300, H1), slice(0, 20))), "volume_spike_ratio"))
    candles = part(random_walk(300, H1), slice(0, 21))
    expected = candles.volume[-1] / np.median(candles.volume[:-1])
    assert field(result_of(candles), "volume_spike_ratio") == pytest.approx(expected, rel=1e-12)


def test_a_missing_volume_leaves_a_window_of_as_many_candles_that_regime_sees_too() -> None:
    candles = random_walk(300, H1)
    candles.volume[-5] = math.nan
    expected = candles.volume[-1] / np.median(candles.volume[[*range(274, 295), *range(296, 299)]])
    spike = field(result_of(candles), "volume_spike_ratio")
    assert spike == pytest.approx(expected, rel=1e-12)
    (regime,) = compute_regime(history_of(REGIME, candles))
    assert regime.fields["inputs"]["volume_spike_ratio"] == spike  # type: ignore[call-overload,index] # a map


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e308])
def test_a_bad_volume_never_raises(bad: float) -> None:
    candles = random_walk(100, H1)
    candles.volume[-2] = bad
    assert set(result_of(candles).fields) == set(result_of(random_walk(100, H1)).fields)
