"""The published check vectors: 120 candles with a daily cycle, their follower three bars behind, and one book."""

from decimal import Decimal

import numpy as np
import pytest

from common.indicators import (
    bands,
    correlation,
    momentum,
    moving,
    order_book,
    seasonality,
    spectrum,
    statistics,
    volatility,
    volume,
)
from common.indicators.returns import log_returns
from tests.support.candle_series import HOUR_MS, check_vector, check_vector_follower

C = check_vector()
R = log_returns(C.close, C.open_time_ms, HOUR_MS)
FOLLOWER = log_returns(check_vector_follower())
BARS_PER_YEAR = 8760.0


def close_to(expected: float, digits: float = 1e-12) -> object:
    return pytest.approx(expected, rel=digits, abs=0)


def test_the_vector_itself_is_the_published_one() -> None:
    assert C.close[-1] == close_to(103.36180954897478, 1e-15)


def test_volatility_of_the_vector() -> None:
    rolling = volatility.rolling_std(R, 20)[-1]
    parkinson = volatility.parkinson(C.high, C.low, 20)[-1]
    garman_klass = volatility.garman_klass(C.open, C.high, C.low, C.close, 20)[-1]
    assert rolling == close_to(0.0161505298944374)
    assert volatility.annualized(rolling, BARS_PER_YEAR) == close_to(1.51160677262011)
    assert parkinson == close_to(0.0151162798904734)
    assert volatility.annualized(parkinson, BARS_PER_YEAR) == close_to(1.41480627624056)
    assert garman_klass == close_to(0.0146559692002047)
    assert volatility.annualized(garman_klass, BARS_PER_YEAR) == close_to(1.37172355626371)
    assert volatility.volatility_of_volatility(R, 20)[-1] == close_to(0.0014359314791096)


def test_trend_of_the_vector() -> None:
    short, long = moving.sma(C.close, 20), moving.sma(C.close, 50)
    assert short[-1] == close_to(104.742037086855)
    assert long[-1] == close_to(104.573236190980)
    assert moving.crossover_state(short, long)[-1] == 1
    assert moving.ema(C.close, 20)[-1] == close_to(101.990076510615)
    assert moving.wma(C.close, 20)[-1] == close_to(101.341361368453)
    assert moving.rate_of_change(C.close, 10)[-1] == close_to(0.486089056951577)


def test_momentum_of_the_vector() -> None:
    movement = momentum.directional_movement(C.high, C.low, C.close)
    assert momentum.directional_strength(C.open, C.close, 20)[-1] == 40.0
    assert momentum.rsi(C.close)[-1] == close_to(51.8201607461142)
    assert movement.adx[-1] == close_to(25.5864247426944)
    assert movement.plus_di[-1] == close_to(31.3236701318837)
    assert movement.minus_di[-1] == close_to(29.4910401944378)


def test_deviation_of_the_vector() -> None:
    middle, upper, lower, width = (series[-1] for series in bands.bollinger_bands(C.close))
    sample = volatility.rolling_std(C.close, 20)[-1]
    assert sample == close_to(7.37877427940530)
    assert sample**2 == close_to(54.4463098664131)
    assert volatility.rolling_std(C.close, 20, ddof=0)[-1] == close_to(7.19193954181295)
    assert (upper, lower) == (close_to(119.125916170481), close_to(90.3581580032296))
    assert (middle, width) == (close_to(104.742037086855), close_to(0.274653414878657))
    assert bands.z_score(C.close, 20)[-1] == close_to(-0.191913117436019)
    assert bands.range_position(C.close, 20)[-1] == close_to(0.394938636545090)
    assert bands.coefficient_of_variation(C.close, 20)[-1] == close_to(0.0704471144979412)


def test_sample_shape_of_the_vector() -> None:
    assert statistics.autocorrelation(R) == close_to(0.949043009408204)
    assert statistics.skewness(R) == close_to(0.0125583156949067)
    assert statistics.excess_kurtosis(R) == close_to(-1.50382399953427)


def test_seasonality_of_the_vector() -> None:
    hours = seasonality.slot_profile(C.close, seasonality.hour_of_day(C.open_time_ms), 24)
    days = seasonality.slot_profile(C.close, seasonality.day_of_week(C.open_time_ms), 7)
    assert hours.means[[0, 6, 18]] == pytest.approx([102.4, 112.7, 93.3], rel=1e-12)
    assert hours.counts.tolist() == [5] * 24
    assert days.means[2:] == pytest.approx([100.575, 101.775, 102.975, 104.175, 105.375], rel=1e-12)
    assert np.isnan(days.means[:2]).all()
    assert days.counts[:2].tolist() == [0, 0]
    assert seasonality.entropy_index(R) == close_to(0.855365856975644)
    assert spectrum.dominant_cycle(np.log(C.close)) == 24.0


def test_correlation_of_the_vector_with_its_follower() -> None:
    assert correlation.correlation(R, FOLLOWER) == close_to(0.702545292775199)
    assert correlation.rolling_correlation(R, FOLLOWER, 30)[-1] == close_to(0.644603538711971)
    assert correlation.volatility_correlation(R, FOLLOWER) == close_to(0.0609096043083897)
    lag = correlation.lag_correlation(R, FOLLOWER, 11)
    assert lag.lag == 3
    assert lag.correlation == pytest.approx(0.9988591, abs=5e-8)


def test_the_full_cycle_earlier_lag_is_a_little_weaker() -> None:
    early = correlation.correlation(R[21:], FOLLOWER[: len(R) - 21])
    assert early == pytest.approx(0.9988507, abs=5e-8)
    assert correlation.lag_correlation(R, FOLLOWER).lag == 3


def test_volume_of_the_vector() -> None:
    day = C.volume[-24:]
    assert day.sum() == 31400
    assert moving.sma(day, 20)[-1] == close_to(1310)
    assert volume.volume_spike_ratio(C.volume, 24)[-1] == close_to(0.740740740740741)
    assert moving.ema(C.volume, 20)[-1] == close_to(1307.34917119129)
    assert moving.ema(day, 20)[-1] == close_to(1316.57434402332)


def test_book_of_the_vector() -> None:
    steps = [Decimal(j) / 10 for j in range(20)]
    book = order_book.order_book(
        [(str(100 - step), str(1 + 10 * step)) for step in steps],
        [(str(Decimal("100.2") + step), str(Decimal("0.4") + 2 * step)) for step in steps],
    )
    assert order_book.spread(book) == Decimal("0.2")
    assert order_book.mid_price(book) == Decimal("100.1")
    assert order_book.spread_percent(book) == Decimal("0.19980019980019980020")
    assert order_book.depth_within(book) == (Decimal(55), Decimal(13))
    assert order_book.order_book_imbalance(book) == Decimal("0.61764705882352941176")
    one_unit = Decimal("0.4") * Decimal("100.2") + Decimal("0.6") * Decimal("100.3")
    buy = order_book.slippage(book, order_book.Side.BUY, one_unit)
    sell = order_book.slippage(book, order_book.Side.SELL, Decimal(100))
    assert str(buy.slippage_percent).startswith("0.15984015984")
    assert str(sell.slippage_percent).startswith("0.09990009990")
