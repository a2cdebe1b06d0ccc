"""What must hold for any candles: causality, invariance under scale, shift, permutation and missing rows."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.indicators import (
    bands,
    breadth,
    correlation,
    momentum,
    moving,
    order_book,
    realized,
    seasonality,
    spectrum,
    statistics,
    volatility,
    volume,
)
from common.indicators.arrays import FloatArray1D
from common.indicators.grid import on_grid
from common.indicators.returns import log_returns
from common.storage.columns import CandleColumns
from tests.support.candle_series import HOUR_MS, head, random_walk

INDICATOR = Callable[[CandleColumns], FloatArray1D]
OTHER = random_walk(99, 400)


def _returns(c: CandleColumns) -> FloatArray1D:
    return log_returns(c.close, c.open_time_ms, HOUR_MS)


def _other_returns(c: CandleColumns) -> FloatArray1D:
    return log_returns(OTHER.close)[: len(c)]


RETURN_LIKE: dict[str, INDICATOR] = {  # without a unit, whatever the price level
    "log_returns": _returns,
    "rolling_std": lambda c: volatility.rolling_std(_returns(c), 20),
    "volatility_of_volatility": lambda c: volatility.volatility_of_volatility(_returns(c), 10),
    "parkinson": lambda c: volatility.parkinson(c.high, c.low, 20),
    "garman_klass": lambda c: volatility.garman_klass(c.open, c.high, c.low, c.close, 20),
    "rogers_satchell": lambda c: volatility.rogers_satchell(c.open, c.high, c.low, c.close, 20),
    "yang_zhang": lambda c: volatility.yang_zhang(
        c.open, c.high, c.low, c.close, 20, open_time_ms=c.open_time_ms, interval_ms=HOUR_MS
    ),
    "ewma_volatility": lambda c: volatility.ewma_volatility(_returns(c)),
    "rate_of_change": lambda c: moving.rate_of_change(c.close, 10),
    "rsi": lambda c: momentum.rsi(c.close),
    "plus_di": lambda c: momentum.directional_movement(c.high, c.low, c.close).plus_di,
    "minus_di": lambda c: momentum.directional_movement(c.high, c.low, c.close).minus_di,
    "adx": lambda c: momentum.directional_movement(c.high, c.low, c.close).adx,
    "directional_strength": lambda c: momentum.directional_strength(c.open, c.close),
    "bollinger_width": lambda c: bands.bollinger_bands(c.close).width,
    "z_score": lambda c: bands.z_score(c.close, 20),
    "range_position": lambda c: bands.range_position(c.close, 20),
    "coefficient_of_variation": lambda c: bands.coefficient_of_variation(c.close, 20),
    "crossover_state": lambda c: moving.crossover_state(moving.sma(c.close, 5), moving.sma(c.close, 12)),
    "crossover_event": lambda c: moving.crossover_event(moving.sma(c.close, 5), moving.sma(c.close, 12)),
    "rolling_correlation": lambda c: correlation.rolling_correlation(_returns(c), _other_returns(c), 30),
    "rolling_beta": lambda c: correlation.rolling_beta(_returns(c), _other_returns(c), 30),
}
PRICE_LIKE: dict[str, INDICATOR] = {  # in the unit of the price
    "sma": lambda c: moving.sma(c.close, 20),
    "ema": lambda c: moving.ema(c.close, 20),
    "wma": lambda c: moving.wma(c.close, 20),
    "macd": lambda c: moving.macd(c.close).line,
    "macd_signal": lambda c: moving.macd(c.close).signal,
    "macd_histogram": lambda c: moving.macd(c.close).histogram,
    "true_range": lambda c: momentum.true_range(c.high, c.low, c.close),
    "atr": lambda c: momentum.atr(c.high, c.low, c.close),
    "bollinger_upper": lambda c: bands.bollinger_bands(c.close).upper,
    "bollinger_lower": lambda c: bands.bollinger_bands(c.close).lower,
}
VOLUME_LIKE: dict[str, INDICATOR] = {
    "on_balance_volume": lambda c: volume.on_balance_volume(c.close, c.volume),
    "volume_spike_ratio": lambda c: volume.volume_spike_ratio(c.volume),
    "volume_ema": lambda c: moving.ema(c.volume, 20),
}
SERIES = {**RETURN_LIKE, **PRICE_LIKE, **VOLUME_LIKE}
SHIFT_FREE = [
    "rsi",
    "plus_di",
    "minus_di",
    "adx",
    "directional_strength",
    "z_score",
    "range_position",
    "crossover_state",
]
SINGLE: dict[str, Callable[[FloatArray1D], float]] = {  # of returns, without a unit
    "skewness": statistics.skewness,
    "excess_kurtosis": statistics.excess_kurtosis,
    "autocorrelation": statistics.autocorrelation,
    "ljung_box_p": lambda r: statistics.ljung_box(r).p_value,
    "variance_ratio": lambda r: statistics.variance_ratio(r).ratio,
    "variance_ratio_z": lambda r: statistics.variance_ratio(r).z,
    "jump_share": realized.jump_share,
    "entropy_index": seasonality.entropy_index,
    "seasonality_strength": lambda r: seasonality.seasonality_strength(r, 24),
    "peak_share": lambda r: spectrum.spectral_peaks(r)[0].power_share,
}


def with_prices(candles: CandleColumns, change: Callable[[FloatArray1D], FloatArray1D]) -> CandleColumns:
    """Candles whose four prices went through ``change``."""
    columns = {field: getattr(candles, field) for field in CandleColumns.__slots__}
    prices = {field: change(columns[field]) for field in ("open", "high", "low", "close")}
    return CandleColumns(**{**columns, **prices})


def with_missing(candles: CandleColumns, rows: list[int]) -> CandleColumns:
    """Candles with rows of NaN put in before the given rows, the times left as they are."""
    columns = {field: getattr(candles, field).astype(np.float64) for field in CandleColumns.__slots__}
    return CandleColumns(**{field: np.insert(column, rows, np.nan) for field, column in columns.items()})


def assert_equal(ours: FloatArray1D, expected: FloatArray1D, scale: float) -> None:
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-11 * scale, equal_nan=True)


# --- causality ---


@pytest.mark.parametrize("name", SERIES)
def test_rows_appended_later_never_change_earlier_values(name: str) -> None:
    candles = random_walk(31, 400)
    candles.close[[40, 200]] = np.nan
    candles.open_time_ms[300:] += HOUR_MS
    whole = SERIES[name](candles)
    assert len(whole) == len(candles)
    for rows in (0, 1, 19, 20, 21, 34, 41, 150, 201, 300, 301, 399):
        np.testing.assert_array_equal(SERIES[name](head(candles, rows)), whole[:rows])


@pytest.mark.parametrize("name", SERIES)
def test_the_future_is_not_looked_at(name: str) -> None:
    """The same past with two different futures."""
    first, second = random_walk(32, 400), random_walk(32, 400)
    for field in ("open", "high", "low", "close", "volume"):
        getattr(second, field)[250:] *= 3
    np.testing.assert_array_equal(SERIES[name](first)[:250], SERIES[name](second)[:250])


# --- invariances ---

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None, derandomize=True)
many = settings(max_examples=100, deadline=None, derandomize=True)


@few
@given(seed=seeds, exponent=st.integers(-12, 12))
def test_scale_of_prices(seed: int, exponent: int) -> None:
    factor = 10.0**exponent
    candles = random_walk(seed, 200)
    scaled = with_prices(candles, lambda price: price * factor)
    for name, indicator in RETURN_LIKE.items():
        assert_equal(indicator(scaled), indicator(candles), 1000 if "di" in name or name == "adx" else 1)
    for indicator in PRICE_LIKE.values():
        assert_equal(indicator(scaled), indicator(candles) * factor, 100 * factor)


@few
@given(seed=seeds, shift=st.floats(1, 1e4))
def test_shift_of_prices(seed: int, shift: float) -> None:
    candles = random_walk(seed, 200)
    shifted = with_prices(candles, lambda price: price + shift)
    for name in SHIFT_FREE:
        np.testing.assert_allclose(
            RETURN_LIKE[name](shifted), RETURN_LIKE[name](candles), rtol=1e-6, atol=1e-6, err_msg=name
        )
    for name in ("sma", "ema", "wma", "bollinger_upper"):
        assert_equal(PRICE_LIKE[name](shifted), PRICE_LIKE[name](candles) + shift, shift)
    for name in ("macd", "true_range", "atr"):
        assert_equal(PRICE_LIKE[name](shifted), PRICE_LIKE[name](candles), shift)


@few
@given(seed=seeds)
def test_a_mirrored_market(seed: int) -> None:
    """Prices upside down: what was a gain is a loss."""
    candles = random_walk(seed, 200)
    top = 2 * candles.high.max()
    high, low, close = top - candles.low, top - candles.high, top - candles.close
    assert_equal(momentum.rsi(close), 100 - momentum.rsi(candles.close), 1000)
    ours = momentum.directional_movement(high, low, close)
    expected = momentum.directional_movement(candles.high, candles.low, candles.close)
    assert_equal(ours.plus_di, expected.minus_di, 1000)
    assert_equal(ours.adx, expected.adx, 1000)
    assert_equal(bands.z_score(close, 20), -bands.z_score(candles.close, 20), 1000)


@few
@given(seed=seeds, rows=st.lists(st.integers(0, 120), min_size=1, max_size=8))
def test_missing_rows_count_as_not_there(seed: int, rows: list[int]) -> None:
    candles = random_walk(seed, 120)
    holed = with_missing(candles, rows)
    there = np.isfinite(holed.close)
    untimed = [name for name in SERIES if "return" not in name and "corr" not in name and "beta" not in name]
    for name in untimed:
        if name not in {"rolling_std", "volatility_of_volatility", "ewma_volatility", "yang_zhang"}:
            np.testing.assert_array_equal(SERIES[name](holed)[there], SERIES[name](candles), err_msg=name)
    returns = _returns(candles)
    np.testing.assert_array_equal(
        volatility.rolling_std(np.insert(returns, rows, np.inf), 20)[there], volatility.rolling_std(returns, 20)
    )


@few
@given(seed=seeds, exponent=st.integers(-100, 100), sign=st.sampled_from([1, -1]))
def test_scale_of_returns(seed: int, exponent: int, sign: int) -> None:
    returns = np.random.default_rng(seed).standard_t(4, 300)
    for name, measure in SINGLE.items():
        odd = name == "skewness" and sign < 0
        if name == "entropy_index" and sign < 0:
            continue  # bins are closed on one side
        expected = -measure(returns) if odd else measure(returns)
        assert measure(returns * (sign * 2.0**exponent)) == pytest.approx(expected, rel=1e-9, abs=1e-12), name


@few
@given(seed=seeds)
def test_order_of_symbols(seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(0, 0.01, (7, 60)) + rng.normal(0, 0.01, 60)
    returns[2, :5] = np.nan
    returns[5] = 0.25
    order = rng.permutation(7)
    matrix = correlation.correlation_matrix(returns)
    np.testing.assert_allclose(correlation.correlation_matrix(returns[order]), matrix[np.ix_(order, order)], rtol=1e-12)
    share = correlation.first_component_share(matrix)
    assert correlation.first_component_share(matrix[np.ix_(order, order)]) == pytest.approx(share, rel=1e-12)
    last, before = returns[:, -1], returns[:, -2]
    assert breadth.share_above(last[order], before[order]) == breadth.share_above(last, before)
    assert breadth.advance_decline(last[order], before[order]) == breadth.advance_decline(last, before)


@many
@given(
    values=arrays(
        np.float64, st.integers(0, 60), elements=st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
    )
)
def test_any_numbers_at_all_give_numbers_or_nan(values: FloatArray1D) -> None:
    """Nothing raises, nothing warns, nothing is infinite, and what has bounds keeps them."""
    candles = CandleColumns(OTHER.open_time_ms[: len(values)], *[values] * 8)
    for name, indicator in SERIES.items():
        result = indicator(candles)
        assert result.shape == values.shape, name
        assert not np.isinf(result).any(), name
    for name, low, high in [("rsi", 0, 100), ("adx", 0, 100), ("range_position", 0, 1), ("rolling_correlation", -1, 1)]:
        result = SERIES[name](candles)
        assert ((result >= low - 1e-9) & (result <= high + 1e-9) | np.isnan(result)).all(), name
    for name, measure in SINGLE.items():
        if name != "peak_share":
            assert not np.isinf(measure(values)), name
    spectrum.spectral_peaks(values)
    assert not np.isinf(spectrum.dominant_cycle(values))
    correlation.lag_correlation(values, values[::-1], min_rows=3)
    correlation.volatility_correlation(values, values[::-1], 3)
    volume.amihud_illiquidity(values, values[::-1])
    volume.vwap(values, values[::-1])


@few
@given(seed=seeds)
def test_order_of_book_levels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bids = [(f"{100 - step / 10:.1f}", f"{size:.3f}") for step, size in enumerate(rng.uniform(0.1, 5, 20))]
    asks = [(f"{100.1 + step / 10:.1f}", f"{size:.3f}") for step, size in enumerate(rng.uniform(0.1, 5, 20))]
    first = order_book.order_book(bids, asks)
    second = order_book.order_book(*([side[place] for place in rng.permutation(20)] for side in (bids, asks)))
    assert order_book.cost_to_trade_bps(first, Decimal(1500)) == order_book.cost_to_trade_bps(second, Decimal(1500))
    assert order_book.microprice(first) == order_book.microprice(second)
    assert order_book.order_book_imbalance(first) == order_book.order_book_imbalance(second)


@few
@given(seed=seeds, kept=st.sets(st.integers(1, 99), min_size=5))
def test_a_grid_shows_every_gap(seed: int, kept: set[int]) -> None:
    rows = np.array([0, *sorted(kept)])
    values = np.random.default_rng(seed).normal(size=len(rows))
    grid = on_grid(values, OTHER.open_time_ms[rows], HOUR_MS)
    assert len(grid) == rows[-1] + 1
    np.testing.assert_array_equal(grid[rows], values)
    assert np.count_nonzero(np.isfinite(grid)) == len(rows)
