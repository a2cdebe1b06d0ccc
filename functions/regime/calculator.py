"""The regime document (infra/docs/fields.md), from closed candles alone.

Volatility, volume and trend are measured with the indicators that their own documents are made of, on the same
candles, so that one instant holds for all of them. ``regime`` is the rule table on the last bar; ``stable_regime`` is
the table on levels with hysteresis, found by walking the last 50 bars.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from common.analytics.calculators.regime import Regime
from common.analytics.calculators.volume import VOLUME as VOLUME_METRIC
from common.analytics.document import Result, Value
from common.analytics.window import History
from common.indicators.arrays import FloatArray1D
from common.indicators.moving import rate_of_change
from common.indicators.returns import log_returns
from common.indicators.volatility import annualized, rolling_std
from common.indicators.volume import volume_spike_ratio
from functions.regime import rules
from functions.regime.hysteresis import stable_level
from functions.regime.rules import Levels, Measures, rule_for, strength

WALK_BARS: Final = 50
VOLATILITY_WINDOW: Final = 20
CHANGE_BARS: Final = 10


@dataclass(frozen=True, slots=True)
class Walk:
    """The three measures on the last bars, oldest first, each of shape ``(bars,)``, NaN where one is missing."""

    volatility: FloatArray1D
    volume_ratio: FloatArray1D
    change_percent: FloatArray1D

    @property
    def last(self) -> Measures | None:
        """The measures of the last bar, None without volatility or volume; a change that is missing is none."""
        volatility, ratio, change = (
            float(one[-1]) for one in (self.volatility, self.volume_ratio, self.change_percent)
        )
        if not (math.isfinite(volatility) and math.isfinite(ratio)):
            return None
        return Measures(volatility, ratio, change if math.isfinite(change) else 0.0)


def compute(history: History) -> list[Result]:
    """Return the one result of a pair and timeframe; none when volatility or volume of the last bar is missing."""
    walk = walk_of(history)
    measures = walk.last
    if measures is None:
        return []
    levels = measures.levels
    rule = rule_for(levels)
    fields: dict[str, Value] = {
        "regime": rule.regime.value,
        "volatility_level": levels.volatility,
        "volume_level": levels.volume,
        "trend_direction": levels.trend,
        "confidence": rule.confidence,
        "strength": strength(rule, measures),
        "stable_regime": stable_regime(walk).value,
        "inputs": {
            "annualized_volatility": float(walk.volatility[-1]),
            "volume_spike_ratio": float(walk.volume_ratio[-1]),
            "rate_of_change": float(walk.change_percent[-1]),
        },
    }
    return [Result(history.symbol, fields, history.basis, parameters_of(history))]


def parameters_of(history: History) -> dict[str, int | float | str]:
    """Return ``metadata.parameters``."""
    return {
        "vol_high_threshold": rules.VOLATILITY.upper,
        "vol_low_threshold": rules.VOLATILITY.lower,
        "volume_high_threshold": rules.VOLUME.upper,
        "volume_low_threshold": rules.VOLUME.lower,
        "trend_bullish_threshold": rules.TREND.upper,
        "trend_bearish_threshold": rules.TREND.lower,
        "volatility_window": VOLATILITY_WINDOW,
        "volume_window": VOLUME_METRIC.bars(history.window.timeframe),
        "change_bars": CHANGE_BARS,
    }


def walk_of(history: History) -> Walk:
    """Measure each of the last 50 bars, with the candles up to that bar."""
    candles, timeframe = history.candles, history.window.timeframe
    newest = slice(-WALK_BARS, None)
    returns = log_returns(candles.close, candles.open_time_ms, timeframe.duration_ms)
    deviation = rolling_std(returns, VOLATILITY_WINDOW)[newest]
    return Walk(
        np.array([annualized(float(value), timeframe.bars_per_year) for value in deviation]),
        volume_spike_ratio(candles.volume, VOLUME_METRIC.bars(timeframe), WALK_BARS),
        rate_of_change(candles.close, CHANGE_BARS)[newest],
    )


def stable_regime(walk: Walk) -> Regime:
    """Return the regime of the levels with hysteresis after the last bar of a walk.

    Args:
        walk: with finite volatility and volume ratio on at least one bar.
    """
    levels = (
        stable_level(rules.VOLATILITY, walk.volatility.tolist()),
        stable_level(rules.VOLUME, walk.volume_ratio.tolist()),
        stable_level(rules.TREND, walk.change_percent.tolist()),
    )
    volatility, volume, trend = (1 if level is None else level for level in levels)  # without a trend it is neutral
    return rule_for(
        Levels(rules.VOLATILITY.names[volatility], rules.VOLUME.names[volume], rules.TREND.names[trend])
    ).regime
