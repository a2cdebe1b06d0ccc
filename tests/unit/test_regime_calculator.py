"""The regime document: every rule reached, confidence, hysteresis, and agreement with what its inputs say elsewhere."""

import math
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.analytics.calculators.regime import REGIME, Regime
from common.analytics.document import Result
from common.analytics.window import History, window_of
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.regime import rules
from functions.regime.calculator import WALK_BARS, Walk, compute, stable_regime, walk_of
from functions.regime.hysteresis import stable_level
from functions.regime.rules import RULES, Measures, Scale, rule_for, strength
from tests.support.candles import columns_of, part, random_walk, recorded_rows, without

H1 = Timeframe.H1
VALUES = {
    "volatility": {"low": 0.1, "medium": 0.3, "high": 0.9},
    "volume": {"low": 0.5, "medium": 1.0, "high": 2.0},
    "trend": {"bearish": -3.0, "neutral": 0.0, "bullish": 3.0},
}
# The table of the analytics page, with the accelerations before the breakout.
TABLE = {
    ("high", "low"): "turbulent_illiquidity",
    ("low", "high"): "stable_accumulation",
    ("low", "low"): "consolidation",
    ("medium", "medium"): "balanced_market",
    ("high", "high", "bullish"): "bullish_acceleration",
    ("high", "high", "bearish"): "bearish_acceleration",
    ("high", "high", "neutral"): "breakout_phase",
}


def history_of(candles: CandleColumns, timeframe: Timeframe = H1) -> History:
    end_ms = int(candles.open_time_ms[-1]) + timeframe.duration_ms
    return History("BTCUSDT", window_of(REGIME, timeframe, end_ms), candles)


def result_of(candles: CandleColumns, timeframe: Timeframe = H1) -> Result:
    (result,) = compute(history_of(candles, timeframe))
    return result


def fields_of(result: Result) -> dict[str, Any]:
    return dict(result.fields)


def market(volatility: str, volume: str, trend: str, rows: int = 200) -> CandleColumns:
    """Candles whose last bars have the levels asked for."""
    per_bar = VALUES["volatility"][volatility] / math.sqrt(H1.bars_per_year)
    # Steps up and down by turns have that deviation and no trend; a tilt over ten bars is a trend and no deviation.
    steps = np.where(np.arange(rows) % 2, per_bar, -per_bar) + VALUES["trend"][trend] / 1000
    traded = np.full(rows, 10.0)
    traded[-1] *= VALUES["volume"][volume]
    return replace(random_walk(rows, H1), close=100 * np.exp(steps.cumsum()), volume=traded)


@pytest.fixture(scope="module")
def recorded(recorded_data: Path) -> CandleColumns:
    path = recorded_data / "klines" / "um_1h_SOLUSDT_2025-09_2025-12.csv.gz"
    return columns_of(recorded_rows(path, "SOLUSDT", H1))


@pytest.mark.parametrize(("volatility", "volume", "trend"), list(product(*(VALUES[name] for name in VALUES))))
def test_every_cell_of_the_table_from_candles(volatility: str, volume: str, trend: str) -> None:
    fields = fields_of(result_of(market(volatility, volume, trend)))
    assert (fields["volatility_level"], fields["volume_level"], fields["trend_direction"]) == (
        volatility,
        volume,
        trend,
    )
    expected = TABLE.get((volatility, volume, trend)) or TABLE.get((volatility, volume)) or "transitional"
    assert fields["regime"] == expected


def test_all_eight_regimes_are_reached() -> None:
    every = product(VALUES["volatility"], VALUES["volume"], VALUES["trend"])
    reached = {fields_of(result_of(market(*levels, rows=200)))["regime"] for levels in every}
    assert reached == {regime.value for regime in Regime}


def test_the_recorded_market_goes_through_most_regimes(recorded: CandleColumns) -> None:
    reached = {
        fields_of(result_of(part(recorded, slice(end - 200, end))))["regime"] for end in range(200, len(recorded), 7)
    }
    assert len(reached) >= 6


def test_the_inputs_agree_with_pandas(recorded: CandleColumns) -> None:
    candles = part(recorded, slice(-720, None))
    inputs = fields_of(result_of(candles))["inputs"]
    close, volume = pd.Series(candles.close), pd.Series(candles.volume)
    deviation = pd.Series(np.log(candles.close)).diff().rolling(20).std().iloc[-1]
    assert inputs["annualized_volatility"] == pytest.approx(deviation * math.sqrt(8760), rel=1e-10)
    assert inputs["volume_spike_ratio"] == pytest.approx(volume.iloc[-1] / volume.iloc[-25:-1].median(), rel=1e-12)
    assert inputs["rate_of_change"] == pytest.approx(close.pct_change(10).iloc[-1] * 100, rel=1e-10)


def test_confidence_is_the_constant_of_the_rule(recorded: CandleColumns) -> None:
    """Programs compare it with 0.80 and 0.70: a factor of any kind would take it below."""
    constants = {rule.regime.value: rule.confidence for rule in RULES}
    for end in range(1000, 1200, 5):
        fields = fields_of(result_of(part(recorded, slice(end - 120, end))))
        assert fields["confidence"] == constants[fields["regime"]]
    assert sorted(constants.values()) == [0.60, 0.70, 0.75, 0.80, 0.85, 0.85, 0.85, 0.90]


def test_strength_is_the_distance_from_the_thresholds() -> None:
    def of(*values: float) -> float:
        measures = Measures(*values)
        return strength(rule_for(measures.levels), measures)

    assert of(0.5 + 1e-12, 1.5 + 1e-12, 0.0) == pytest.approx(0, abs=1e-9)  # breakout, on both thresholds
    assert of(1.0, 3.0, 0.0) == pytest.approx(1)
    assert of(50.0, 30.0, 0.0) == pytest.approx(1), "never above 1"
    assert of(0.75, 1.5 + 1e-12, 0.0) == pytest.approx(0.25)
    assert of(1.0, 3.0, 3.0) == pytest.approx(2.5 / 3), "the trend counts where a rule names it"
    # Medium: 0.3 is nearest to 0.2, 1.2 to 1.5.
    assert of(0.3, 1.2, 9.0) == pytest.approx((0.5 + 0.2) / 2)
    assert of(0.0, 0.0, 0.0) == pytest.approx(1)


def test_a_value_on_a_threshold_is_in_the_middle() -> None:
    for scale in (rules.VOLATILITY, rules.VOLUME, rules.TREND):
        assert scale.level(scale.lower) == scale.level(scale.upper) == 1
        assert scale.level(math.nextafter(scale.lower, -math.inf)) == 0
        assert scale.level(math.nextafter(scale.upper, math.inf)) == 2


SCALE = Scale(("low", "medium", "high"), 1.0, 2.0)


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ([1.5], 1),
        ([1.5] * 5 + [2.09], 1),  # passed by less than 5 %
        ([1.5] * 5 + [2.11], 2),
        ([2.11] * 5 + [1.91], 2),
        ([2.11] * 5 + [1.89], 1),
        ([0.5] * 5 + [1.04], 0),
        ([0.5] * 5 + [2.2], 2),  # two thresholds at once
        ([2.5] * 5 + [0.5], 0),
        ([2.5] * 5 + [0.97], 1),  # below the upper one clearly, below the lower one not
        ([1.5] * 5 + [2.5, 1.5], 2),  # a level is kept for three bars
        ([1.5] * 5 + [2.5, 1.5, 1.5], 2),
        ([1.5] * 5 + [2.5, 1.5, 1.5, 1.5], 1),
        ([1.5, 2.5, 2.5], 1),
        ([1.5, 2.5, 2.5, 2.5], 2),
        ([2.5] * 4 + [math.nan, math.nan], 2),
        ([math.nan, 0.5], 0),
        ([math.nan], None),
        ([], None),
    ],
)
def test_hysteresis(values: list[float], level: int | None) -> None:
    assert stable_level(SCALE, values) == level


def test_thresholds_below_zero_have_the_same_margin() -> None:
    assert stable_level(rules.TREND, [0.0] * 4 + [-2.09]) == 1
    assert stable_level(rules.TREND, [0.0] * 4 + [-2.11]) == 0
    assert stable_level(rules.TREND, [-3.0] * 4 + [-1.91]) == 0
    assert stable_level(rules.TREND, [-3.0] * 4 + [-1.89]) == 1


@given(values=st.lists(st.floats(0, 4), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_level_lasts_at_least_three_bars_and_is_never_clearly_wrong(values: list[float]) -> None:
    levels = [stable_level(SCALE, values[: end + 1]) for end in range(len(values))]
    changes = [bar for bar in range(1, len(levels)) if levels[bar] != levels[bar - 1]]
    assert all(later - earlier >= 3 for earlier, later in zip([0, *changes], changes, strict=False))
    if len(set(levels[-4:])) == 1 and len(levels) > 3 and levels[-1] is not None:
        assert abs(levels[-1] - SCALE.level(values[-1])) <= 1 or values[-1] in (1.0, 2.0)


def test_stable_regime_changes_less_often_than_the_plain_one(recorded: CandleColumns) -> None:
    documents = [fields_of(result_of(part(recorded, slice(end - 120, end)))) for end in range(1000, 1200)]
    plain = [fields["regime"] for fields in documents]
    stable = [fields["stable_regime"] for fields in documents]
    assert set(stable) <= {regime.value for regime in Regime}

    def changes(names: list[str]) -> int:
        return sum(one != other for one, other in pairwise(names))

    assert changes(stable) < 0.8 * changes(plain)


def test_the_walk_is_what_each_bar_said_when_it_was_the_last(recorded: CandleColumns) -> None:
    """Causality: bars that came later change nothing in the measures of a bar."""
    candles = part(recorded, slice(-400, None))
    walk = walk_of(history_of(candles))
    assert len(walk.volume_ratio) == WALK_BARS
    for back in (1, 7, 30):
        earlier = fields_of(result_of(part(candles, slice(0, 400 - back))))["inputs"]
        assert earlier["annualized_volatility"] == walk.volatility[-1 - back]
        assert earlier["volume_spike_ratio"] == walk.volume_ratio[-1 - back]
        assert earlier["rate_of_change"] == walk.change_percent[-1 - back]


def test_stable_regime_is_a_function_of_the_last_bars_alone(recorded: CandleColumns) -> None:
    long, short = (walk_of(history_of(part(recorded, slice(-rows, None)))) for rows in (720, 300))
    assert stable_regime(long) == stable_regime(short)


def test_without_a_trend_it_is_neutral() -> None:
    missing = np.full(5, math.nan)
    walk = Walk(np.full(5, 0.9), np.full(5, 2.0), missing)
    assert walk.last == Measures(0.9, 2.0, 0.0)
    assert stable_regime(walk) is Regime.BREAKOUT_PHASE


def test_without_volume_or_volatility_there_is_no_document() -> None:
    candles = random_walk(200, H1)
    assert compute(history_of(replace(candles, volume=np.zeros(200)))) == []
    assert compute(history_of(replace(candles, volume=np.full(200, math.nan)))) == []
    assert compute(history_of(replace(candles, close=np.full(200, math.nan)))) == []
    apart = part(without(candles, 1, 0), slice(None, None, 2))
    assert compute(history_of(apart)) == [], "not one return between neighbours"


def test_a_flat_market_has_low_volatility() -> None:
    fields = fields_of(result_of(replace(random_walk(200, H1), close=np.full(200, 7.0))))
    assert (fields["volatility_level"], fields["trend_direction"]) == ("low", "neutral")
    assert fields["inputs"]["annualized_volatility"] == 0


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M15, Timeframe.H4, Timeframe.D1])
def test_every_timeframe_has_a_regime(timeframe: Timeframe) -> None:
    result = result_of(random_walk(300, timeframe), timeframe)
    assert set(fields_of(result)) == {
        *(
            "regime",
            "volatility_level",
            "volume_level",
            "trend_direction",
            "confidence",
            "strength",
            "stable_regime",
            "inputs",
        )
    }
    assert result.parameters["volume_window"] == {"1m": 1440, "15m": 96}.get(timeframe, 24)


@given(
    bad=st.sampled_from([0.0, -1.0, math.nan, math.inf, 1e-308, 1e308]),
    row=st.integers(0, 199),
    column=st.sampled_from(["close", "volume"]),
)
@settings(max_examples=40, deadline=None)
def test_a_bad_value_never_raises(bad: float, row: int, column: str) -> None:
    candles = random_walk(200, H1)
    getattr(candles, column)[row] = bad
    for result in compute(history_of(candles)):
        assert 0 <= fields_of(result)["confidence"] <= 0.9
