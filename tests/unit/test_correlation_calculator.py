"""The correlation documents against the check vectors, pandas, statsmodels, and what must hold for any candles."""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.stattools import coint

from common.analytics.calculators.correlation import CORRELATION
from common.analytics.declaration import MARKET
from common.analytics.document import Result
from common.analytics.window import BarWindow, History, window_of
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.correlation import calculator
from functions.correlation.calculator import (
    beside_benchmark,
    column_of,
    compute,
    daily_correlations,
    market_breadth,
)
from functions.correlation.inputs import CorrelationInputs, rolling_bars
from tests.support.candle_series import check_vector_follower
from tests.support.candles import CHECK_ROWS, check_series, columns_of, part, random_walk, recorded_rows, without

H1 = Timeframe.H1
PAIRS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT")


def window_at(end_ms: int, timeframe: Timeframe = H1, bars: int | None = None) -> BarWindow:
    own = window_of(CORRELATION, timeframe, end_ms)
    bars = own.bars if bars is None else bars
    return BarWindow(timeframe, end_ms, bars, bars + rolling_bars(timeframe) + 1)


def inputs_of(candles: dict[str, CandleColumns], timeframe: Timeframe = H1) -> CorrelationInputs:
    end_ms = max(int(one.open_time_ms[-1]) for one in candles.values()) + timeframe.duration_ms
    window = window_at(end_ms, timeframe)
    loaded = {symbol: part(one, slice(-window.loaded_bars, None)) for symbol, one in candles.items()}
    return CorrelationInputs(window, tuple(History(symbol, window, one) for symbol, one in loaded.items()))


def results_of(candles: dict[str, CandleColumns], timeframe: Timeframe = H1) -> dict[str, Result]:
    return {result.symbol: result for result in compute(inputs_of(candles, timeframe))}


def of(result: Result, name: str) -> Any:
    return result.fields[name]


def with_closes(candles: CandleColumns, close: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> CandleColumns:
    return replace(candles, close=close, open=close, high=close, low=close)


def market_of(rows: int, symbols: Sequence[str], *, seed: int = 1) -> dict[str, CandleColumns]:
    """Pairs that share half of their movement."""
    random = np.random.default_rng(seed)
    common = random.normal(0, 0.01, rows)
    own = random.normal(0, 0.01, (len(symbols), rows))
    return {
        symbol: with_closes(random_walk(rows, H1), 100 * np.exp((common + steps).cumsum()))
        for symbol, steps in zip(symbols, own, strict=True)
    }


@pytest.fixture(scope="module")
def recorded(recorded_data: Path) -> dict[str, CandleColumns]:
    return {
        pair: columns_of(recorded_rows(recorded_data / "klines" / f"um_1h_{pair}_2025-09_2025-12.csv.gz", pair, H1))
        for pair in PAIRS
    }


@pytest.fixture(scope="module")
def results(recorded: dict[str, CandleColumns]) -> dict[str, Result]:
    return results_of(recorded)


@pytest.fixture(scope="module")
def returns(recorded: dict[str, CandleColumns]) -> pd.DataFrame:
    closes = {pair: pd.Series(one.close, index=one.open_time_ms) for pair, one in recorded.items()}
    return pd.DataFrame(closes).apply(np.log).diff()


def test_the_check_vectors_of_the_analytics_page() -> None:
    first = check_series()
    inputs = inputs_of({"BTCUSDT": first, "ETHUSDT": with_closes(first, check_vector_follower())})
    results = {result.symbol: result for result in compute(inputs)}
    assert of(results["ETHUSDT"], "correlation_matrix")["BTCUSDT"] == pytest.approx(0.702545292775199, rel=1e-11)
    assert of(results["ETHUSDT"], "volatility_correlation") == pytest.approx(0.0609096043083897, rel=1e-9)
    # Thirty bars of it, and lags up to 11: the vectors state a shorter rolling window than thirty days.
    btc, eth = (column_of(one) for one in inputs.histories)
    own, base = eth.returns[-30:], btc.returns[-30:]
    assert np.corrcoef(own, base)[0, 1] == pytest.approx(0.644603538711971, rel=1e-11)
    assert of(results["ETHUSDT"], "rolling_correlation") == of(results["ETHUSDT"], "correlation_matrix")["BTCUSDT"]


def test_one_quantity_has_one_value(results: dict[str, Result]) -> None:
    """Over 30 days of hours the rolling correlation is the cell of the matrix, and so is the one at lag 0."""
    matrix = of(results[MARKET], "matrix")
    for pair in PAIRS[1:]:
        cell = of(results[pair], "correlation_matrix")["BTCUSDT"]
        assert cell == of(results[pair], "rolling_correlation") == of(results[pair], "cross_correlation_at_lag")
        assert cell == matrix[pair]["BTCUSDT"] == matrix["BTCUSDT"][pair]
    assert all(matrix[one][other] == matrix[other][one] for one in PAIRS for other in PAIRS)


def test_a_series_delayed_by_three_bars_follows_by_three() -> None:
    leader = random_walk(903, H1)
    follower = replace(part(leader, slice(3, None)), close=leader.close[:-3] * 7)
    results = results_of({"BTCUSDT": part(leader, slice(3, None)), "ETHUSDT": follower})
    assert of(results["ETHUSDT"], "cross_correlation_lag") == 3
    assert of(results["ETHUSDT"], "cross_correlation_at_lag") == pytest.approx(1, abs=1e-9)
    swapped = results_of({"AAAUSDT": follower, "ETHUSDT": part(leader, slice(3, None))})
    assert of(swapped["ETHUSDT"], "cross_correlation_lag") == -3, "the first pair is the benchmark where BTCUSDT is not"


def test_the_matrix_agrees_with_pandas(results: dict[str, Result], returns: pd.DataFrame) -> None:
    expected = returns.iloc[-720:].corr()
    for pair in PAIRS:
        cells = of(results[pair], "correlation_matrix")
        assert cells == pytest.approx(expected[pair].to_dict(), rel=1e-10)
        assert of(results[MARKET], "matrix")[pair] == cells


def test_what_stands_beside_the_benchmark_agrees_with_pandas(results: dict[str, Result], returns: pd.DataFrame) -> None:
    newest = returns.iloc[-720:]
    volatility = newest.rolling(20).std()
    daily = returns.rolling(720).corr(returns["BTCUSDT"]).iloc[::-24].iloc[:31]
    for pair in PAIRS[1:]:
        result = results[pair]
        assert of(result, "rolling_correlation") == pytest.approx(newest[pair].corr(newest["BTCUSDT"]), rel=1e-10)
        assert of(result, "volatility_correlation") == pytest.approx(
            volatility[pair].corr(volatility["BTCUSDT"]), rel=1e-8
        )
        assert of(result, "cross_correlation_lag") == 0
        assert of(result, "correlation_stability") == pytest.approx(1 - np.arctanh(daily[pair]).std(), abs=1e-9)


def test_cointegration_agrees_with_statsmodels(results: dict[str, Result], recorded: dict[str, CandleColumns]) -> None:
    logs = {pair: np.log(one.close[-720:]) for pair, one in recorded.items()}
    for pair in PAIRS[1:]:
        statistic, p_value, _ = coint(logs[pair], logs["BTCUSDT"], trend="c", autolag="aic")
        found = of(results[pair], "cointegration")
        assert found["adf_t"] == pytest.approx(statistic, rel=1e-6)
        assert found["p_value"] == pytest.approx(p_value, rel=1e-4)
        assert found["beta"] == pytest.approx(np.polyfit(logs["BTCUSDT"], logs[pair], 1)[0], rel=1e-8)


def test_the_market_agrees_with_pandas_and_numpy(
    results: dict[str, Result], recorded: dict[str, CandleColumns], returns: pd.DataFrame
) -> None:
    eigenvalues = np.linalg.eigvalsh(returns.iloc[-720:].corr().to_numpy())
    assert of(results[MARKET], "first_component_share") == pytest.approx(eigenvalues[-1] / 5, rel=1e-10)
    breadth = of(results[MARKET], "market_breadth")
    closes = pd.DataFrame({pair: one.close[-100:] for pair, one in recorded.items()})
    assert breadth["above_sma20"] == (closes.iloc[-1] > closes.rolling(20).mean().iloc[-1]).mean()
    assert breadth["above_sma50"] == (closes.iloc[-1] > closes.rolling(50).mean().iloc[-1]).mean()
    assert breadth["advance_decline"] == np.sign(closes.diff().iloc[-1]).mean()
    assert results[MARKET].metric == "correlation_matrix"
    assert results[MARKET].basis.rows_used == 5 * 1441
    assert results[MARKET].basis.completeness == 100


def test_the_benchmark_moves_with_itself(results: dict[str, Result]) -> None:
    fields = results["BTCUSDT"].fields
    assert (fields["rolling_correlation"], of(results["BTCUSDT"], "correlation_matrix")["BTCUSDT"]) == (1.0, 1.0)
    others = ("cross_correlation_lag", "volatility_correlation", "correlation_stability", "cointegration")
    assert all(fields[name] is None for name in others)
    assert set(fields) == set(results["ETHUSDT"].fields)
    assert results["BTCUSDT"].parameters["benchmark"] == "BTCUSDT"


def test_a_constant_price_is_null_and_harms_nobody() -> None:
    candles = market_of(800, PAIRS)
    before = results_of(candles)
    candles["ADAUSDT"] = with_closes(candles["ADAUSDT"], np.full(800, 0.5))
    after = results_of(candles)
    flat = of(after["ADAUSDT"], "correlation_matrix")
    assert all(math.isnan(cell) for cell in flat.values())
    assert math.isnan(of(after["ADAUSDT"], "rolling_correlation"))
    assert of(after["ADAUSDT"], "cross_correlation_lag") is None
    for pair in set(PAIRS) - {"ADAUSDT"}:
        cells = of(before[pair], "correlation_matrix") | {"ADAUSDT": pytest.approx(math.nan, nan_ok=True)}
        assert of(after[pair], "correlation_matrix") == cells
        assert {**after[pair].fields, "correlation_matrix": 0} == {**before[pair].fields, "correlation_matrix": 0}
    assert 0 < of(after[MARKET], "first_component_share") < 1
    assert math.isfinite(of(after[MARKET], "market_breadth")["advance_decline"])


def test_a_constant_benchmark_leaves_the_matrix_of_the_others() -> None:
    candles = market_of(800, PAIRS)
    candles["BTCUSDT"] = with_closes(candles["BTCUSDT"], np.full(800, 5.0))
    results = results_of(candles)
    assert math.isnan(of(results["ETHUSDT"], "rolling_correlation"))
    assert math.isnan(of(results["ETHUSDT"], "correlation_matrix")["BTCUSDT"])
    assert 0.2 < of(results["ETHUSDT"], "correlation_matrix")["SOLUSDT"] < 0.8


def test_a_sparse_pair_does_not_shrink_the_sample_of_the_others() -> None:
    candles = market_of(800, PAIRS)
    whole = results_of(candles)
    candles["SOLUSDT"] = without(candles["SOLUSDT"], 10, 700)
    sparse = results_of(candles)
    for pair in set(PAIRS) - {"SOLUSDT"}:
        ours, before = of(sparse[pair], "correlation_matrix"), of(whole[pair], "correlation_matrix")
        assert {name: cell for name, cell in ours.items() if name != "SOLUSDT"} == {
            name: pytest.approx(cell, rel=1e-12) for name, cell in before.items() if name != "SOLUSDT"
        }
    assert math.isfinite(of(sparse["SOLUSDT"], "rolling_correlation")), "its own 89 returns are enough for that"
    assert math.isnan(of(sparse["SOLUSDT"], "correlation_stability"))
    assert sparse["SOLUSDT"].basis.completeness < 15
    assert sparse["ETHUSDT"].basis.completeness == 100


def test_two_pairs_are_a_market() -> None:
    results = results_of(market_of(300, ("AAAUSDT", "BBBUSDT")))
    rho = of(results["AAAUSDT"], "correlation_matrix")["BBBUSDT"]
    assert results["AAAUSDT"].parameters["benchmark"] == "AAAUSDT"
    assert of(results[MARKET], "first_component_share") == pytest.approx((1 + rho) / 2)


def test_a_bar_that_is_missing_before_the_last_counts_neither_up_nor_down() -> None:
    candles = market_of(300, ("AAAUSDT", "BBBUSDT"))
    up = candles["AAAUSDT"]
    up.close[-2:] = [1.0, 2.0]
    gapped = without(candles["BBBUSDT"], 298)
    inputs = inputs_of({"AAAUSDT": up, "BBBUSDT": gapped})
    assert market_breadth(inputs.histories)["advance_decline"] == 1.0


def test_steadiness_needs_whole_months() -> None:
    candles = market_of(760, ("BTCUSDT", "ETHUSDT"))
    inputs = inputs_of(candles)
    btc, eth = (column_of(one) for one in inputs.histories)
    assert np.isfinite(daily_correlations(eth, btc, inputs.window)).sum() == 17, "half of a month is there on 17 days"
    alone = inputs_of({pair: part(one, slice(-350, None)) for pair, one in candles.items()})
    columns = [column_of(one) for one in alone.histories]
    assert math.isnan(beside_benchmark(columns[1], columns[0], alone.window, 0.5)["correlation_stability"])  # type: ignore[arg-type] # a float


@pytest.mark.parametrize("timeframe", [Timeframe.M15, Timeframe.H4, Timeframe.D1])
def test_every_timeframe_has_every_field(timeframe: Timeframe) -> None:
    rows = window_at(0, timeframe).loaded_bars
    candles = {pair: random_walk(rows, timeframe, seed=seed) for seed, pair in enumerate(PAIRS[:2])}
    result = results_of(candles, timeframe)["ETHUSDT"]
    assert all(math.isfinite(value) for value in result.fields.values() if isinstance(value, (int, float)))
    assert result.basis.completeness == 100


@given(order=st.permutations(PAIRS))
@settings(max_examples=8, deadline=None)
def test_the_order_of_the_pairs_does_not_matter(order: list[str]) -> None:
    candles = market_of(400, PAIRS)
    before = results_of(candles)
    after = results_of({pair: candles[pair] for pair in order})
    for pair in PAIRS:
        ours, theirs = dict(after[pair].fields), dict(before[pair].fields)
        assert ours.pop("correlation_matrix") == pytest.approx(theirs.pop("correlation_matrix"), rel=1e-12)
        assert repr(ours) == repr(theirs)


@given(bad=st.sampled_from([0.0, -1.0, math.nan, math.inf, 1e-308, 1e308]), row=st.integers(0, 399))
@settings(max_examples=25, deadline=None)
def test_a_bad_price_of_one_pair_never_raises_and_harms_nobody(bad: float, row: int) -> None:
    candles = market_of(400, PAIRS[:3])
    before = results_of(candles)
    candles["BNBUSDT"].close[row] = bad
    after = results_of(candles)
    assert repr({**after["ETHUSDT"].fields, "correlation_matrix": 0}) == repr(
        {**before["ETHUSDT"].fields, "correlation_matrix": 0}
    )
    assert of(after["ETHUSDT"], "correlation_matrix")["BTCUSDT"] == pytest.approx(
        of(before["ETHUSDT"], "correlation_matrix")["BTCUSDT"], rel=1e-12
    )


@given(scale=st.floats(1e-6, 1e6))
@settings(max_examples=10, deadline=None)
def test_a_price_in_another_unit_changes_nothing(scale: float) -> None:
    candles = market_of(400, PAIRS[:2])
    before = results_of(candles)["ETHUSDT"]
    candles["ETHUSDT"] = with_closes(candles["ETHUSDT"], candles["ETHUSDT"].close * scale)
    after = results_of(candles)["ETHUSDT"]
    for name in ("rolling_correlation", "volatility_correlation", "cross_correlation_at_lag"):
        assert of(after, name) == pytest.approx(of(before, name), abs=1e-9)


def test_the_check_series_has_a_return_for_every_bar_but_the_first() -> None:
    inputs = inputs_of({"BTCUSDT": check_series(), "ETHUSDT": check_series()})
    assert int(np.isfinite(column_of(inputs.histories[0]).returns).sum()) == CHECK_ROWS - 1


def calls_of(pairs: int) -> int:
    """Return how many Python functions one computation calls."""
    inputs = inputs_of(market_of(1441, names_of(pairs)))
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        compute(inputs)
    finally:
        sys.setprofile(before)
    return calls


def names_of(pairs: int) -> tuple[str, ...]:
    return ("BTCUSDT", *(f"PAIR{number}USDT" for number in range(1, pairs)))


def test_work_grows_with_the_pairs_and_not_with_their_square() -> None:
    """What is done for two pairs at a time is a few matrix products, whatever their number."""
    few, more, many = (calls_of(pairs) for pairs in (15, 30, 60))
    assert many - more <= 2.05 * (more - few)


@pytest.mark.parametrize("test", ["engle_granger", "lag_correlation", "spaced_correlations", "volatility_correlation"])
def test_each_pair_is_tested_against_the_benchmark_alone(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dear computations: one for each pair, never one for two of them."""
    done = Mock(side_effect=getattr(calculator, test))
    monkeypatch.setattr(calculator, test, done)
    compute(inputs_of(market_of(800, names_of(60))))
    assert done.call_count == 59


def test_documents_of_a_pair_beside_the_benchmark_do_not_depend_on_the_other_pairs() -> None:
    candles = market_of(1441, names_of(12))
    two = results_of({pair: candles[pair] for pair in names_of(2)})["PAIR1USDT"]
    twelve = results_of(candles)["PAIR1USDT"]
    assert repr({**two.fields, "correlation_matrix": 0}) == repr({**twelve.fields, "correlation_matrix": 0})
    assert of(twelve, "correlation_matrix")["BTCUSDT"] == pytest.approx(
        of(two, "correlation_matrix")["BTCUSDT"], rel=1e-12
    )
