"""Indicators against TA-Lib and pandas on recorded and generated candles; a test says where TA-Lib does otherwise.

Tolerance: 1e-10 relative, from the first value on where the start is the same and after the warm-up where it is not.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib

from common.indicators import bands, momentum, moving, volatility, volume
from common.indicators.arrays import FloatArray1D
from common.indicators.returns import log_returns
from common.storage.columns import CandleColumns
from tests.support.candle_series import HOUR_MS, random_walk, recorded

TOLERANCE = 1e-10
RECORDED = [
    "um_1h_BTCUSDT_2025-09_2025-12",
    "um_1h_ADAUSDT_2025-09_2025-12",
    "um_1d_SOLUSDT_2024-01_2025-12",
    "um_5m_SOLUSDT_2025-10",  # holds the crash of 2025-10-10
    "spot_1h_ETHUSDT_2022-07_2023-06",  # holds the halt of 2023-03-24
    "spot_1m_BTCUSDT_2021-04-15_2021-04-30",  # holds halts of 150 and 284 minutes
]


@pytest.fixture(params=[*RECORDED, "generated"])
def candles(request: pytest.FixtureRequest) -> CandleColumns:
    if request.param == "generated":
        return random_walk(7, 2160)
    folder: Path = request.getfixturevalue("recorded_data")
    return recorded(folder, request.param, 3000)


def assert_same(ours: FloatArray1D, theirs: FloatArray1D, *, start: int = 0, tolerance: float = TOLERANCE) -> None:
    """From ``start`` on, the same values, missing where the other is missing."""
    np.testing.assert_allclose(ours[start:], theirs[start:], rtol=tolerance, atol=0, equal_nan=True)


def test_moving_averages(candles: CandleColumns) -> None:
    close = candles.close
    assert_same(moving.sma(close, 20), talib.SMA(close, 20))
    assert_same(moving.sma(close, 50), pd.Series(close).rolling(50).mean().to_numpy())
    assert_same(moving.ema(close, 20), talib.EMA(close, 20), tolerance=1e-12)
    assert_same(moving.wma(close, 20), talib.WMA(close, 20))
    assert_same(moving.rate_of_change(close, 10), talib.ROC(close, 10), tolerance=1e-8)  # both lose digits near 0
    np.testing.assert_allclose(moving.rate_of_change(close, 10), talib.ROC(close, 10), rtol=1e-10, atol=1e-12)


def test_moving_average_of_volume(candles: CandleColumns) -> None:
    assert_same(moving.sma(candles.volume, 20), talib.SMA(candles.volume, 20), tolerance=1e-8)  # its running sum drifts
    expected = pd.DataFrame({lag: pd.Series(candles.volume).shift(lag) for lag in range(20)}).mean(axis=1, skipna=False)
    assert_same(moving.sma(candles.volume, 20), expected.to_numpy(), tolerance=1e-12)


def test_rsi_and_average_true_range(candles: CandleColumns) -> None:
    assert_same(momentum.rsi(candles.close), talib.RSI(candles.close, 14))
    ours = momentum.atr(candles.high, candles.low, candles.close)
    assert_same(ours, talib.ATR(candles.high, candles.low, candles.close, 14))
    assert_same(
        momentum.true_range(candles.high, candles.low, candles.close),
        talib.TRANGE(candles.high, candles.low, candles.close),
        tolerance=1e-8,
    )


def test_directional_movement_after_the_different_start(candles: CandleColumns) -> None:
    """TA-Lib starts its sums with 13 values: the distance to ours shrinks by 1/14 a bar."""
    prices = candles.high, candles.low, candles.close
    ours = momentum.directional_movement(*prices)
    theirs = talib.PLUS_DI(*prices, 14), talib.MINUS_DI(*prices, 14), talib.ADX(*prices, 14)
    for own, other in zip(ours, theirs, strict=True):
        assert_same(own, other, start=400)
        np.testing.assert_allclose(own[250:], other[250:], rtol=1e-6)
    assert [int(np.isnan(series).sum()) for series in ours] == [14, 14, 27]
    assert [int(np.isnan(series).sum()) for series in theirs] == [14, 14, 27]


def test_macd_after_the_different_start(candles: CandleColumns) -> None:
    """TA-Lib starts the fast average at the row of the slow one; ours is the difference of two whole EMAs."""
    ours, theirs = moving.macd(candles.close), talib.MACD(candles.close)
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own[150:], other[150:], rtol=0, atol=TOLERANCE * candles.close.max())
    assert_same(ours.line, talib.EMA(candles.close, 12) - talib.EMA(candles.close, 26), tolerance=1e-6)
    assert [int(np.isnan(series).sum()) for series in ours] == [25, 33, 33]


def test_bands(candles: CandleColumns) -> None:
    """TA-Lib's variance is a difference of running sums: it is the one that drifts, so its bound is wider."""
    ours = bands.bollinger_bands(candles.close, 20, 2.0)
    upper, middle, lower = talib.BBANDS(candles.close, 20, 2.0, 2.0)
    assert_same(ours.middle, middle)
    assert_same(ours.upper, upper, tolerance=1e-7)
    assert_same(ours.lower, lower, tolerance=1e-7)
    rows = np.lib.stride_tricks.sliding_window_view(candles.close, 20)
    population, sample = rows.std(axis=1), rows.std(axis=1, ddof=1)
    assert_same(ours.upper[19:], rows.mean(axis=1) + 2 * population)
    assert_same(bands.z_score(candles.close, 20)[19:], (rows[:, -1] - rows.mean(axis=1)) / population, tolerance=1e-7)
    assert_same(volatility.rolling_std(candles.close, 20)[19:], sample, tolerance=1e-9)
    assert_same(bands.coefficient_of_variation(candles.close, 20)[19:], sample / rows.mean(axis=1), tolerance=1e-9)


def test_range_position_is_the_stochastic_of_closes(candles: CandleColumns) -> None:
    close = candles.close
    fast_k, _ = talib.STOCHF(close, close, close, 20, 1)
    moved = talib.MAX(close, 20) != talib.MIN(close, 20)
    np.testing.assert_allclose(bands.range_position(close, 20)[moved] * 100, fast_k[moved], rtol=1e-9, atol=1e-9)


def test_rolling_volatility_of_returns(candles: CandleColumns) -> None:
    returns = log_returns(candles.close)
    assert_same(returns[1:], np.diff(np.log(candles.close)), tolerance=1e-7)
    np.testing.assert_allclose(returns[1:], np.diff(np.log(candles.close)), rtol=0, atol=4e-15)
    expected = np.lib.stride_tricks.sliding_window_view(returns[1:], 20).std(axis=1, ddof=1)
    assert_same(volatility.rolling_std(returns, 20)[20:], expected, tolerance=1e-9)


def test_exponentially_weighted_volatility(candles: CandleColumns) -> None:
    returns = log_returns(candles.close)
    seed = (returns[1:21] ** 2).mean()
    squares = pd.Series(np.concatenate(([seed], returns[21:] ** 2)))
    expected = np.sqrt(squares.ewm(alpha=0.06, adjust=False).mean().to_numpy())
    assert_same(volatility.ewma_volatility(returns)[20:], expected)


def test_balance_volume_starts_at_zero(candles: CandleColumns) -> None:
    """TA-Lib starts with the first volume."""
    theirs = talib.OBV(candles.close, candles.volume) - candles.volume[0]
    ours = volume.on_balance_volume(candles.close, candles.volume)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * candles.volume.max())
    assert ours[0] == 0


def test_spike_ratio(candles: CandleColumns) -> None:
    series = pd.Series(candles.volume)
    expected = (series / series.shift(1).rolling(20).median()).to_numpy()
    assert_same(volume.volume_spike_ratio(candles.volume, 20), expected)


def test_gaps_of_recorded_halts_have_no_return(recorded_data: Path) -> None:
    candles = recorded(recorded_data, "spot_1m_BTCUSDT_2021-04-15_2021-04-30")
    returns = log_returns(candles.close, candles.open_time_ms, 60_000)
    after_gap = np.flatnonzero(np.diff(candles.open_time_ms) != 60_000) + 1
    assert len(after_gap) == 2
    assert np.flatnonzero(np.isnan(returns)).tolist() == [0, *after_gap.tolist()]
    rolling = volatility.rolling_std(returns, 20)
    assert np.isfinite(rolling[21:]).all()
    assert rolling[after_gap].tolist() == rolling[after_gap - 1].tolist()


def test_the_halted_hour_counts_as_missing(recorded_data: Path) -> None:
    candles = recorded(recorded_data, "spot_1h_BTCUSDT_2022-07_2023-06")
    returns = log_returns(candles.close, candles.open_time_ms, HOUR_MS)
    assert np.count_nonzero(np.isnan(returns)) == 2  # the first row, and the one after the missing hour
    spikes = volume.volume_spike_ratio(candles.volume, 20)
    assert spikes[np.flatnonzero(candles.volume == 0)].tolist() == [0.0]


def test_talib_is_not_followed_where_it_makes_numbers_up() -> None:
    """Pinned facts about TA-Lib: if one of these changes, the notes in the docstrings do too."""
    flat = np.full(60, 100.0)
    assert talib.RSI(flat, 14)[-1] == 0
    assert momentum.rsi(flat)[-1] == 50
    assert talib.ADX(flat, flat, flat, 14)[-1] == 0
    assert np.isnan(momentum.directional_movement(flat, flat, flat).adx).all()
    broken = np.arange(100.0, 200.0)
    broken[50] = np.nan
    assert np.isnan(talib.EMA(broken, 10)[50:]).all()
    assert np.isfinite(moving.ema(broken, 10)[50:]).all()
    spiked = np.full(60, 0.001)
    spiked[10] = 1e12
    assert abs(talib.SMA(spiked, 20)[-1] - 0.001) > 1e-6
    assert moving.sma(spiked, 20)[-1] == 0.001
