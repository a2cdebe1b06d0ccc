"""The rule table of the regimes (spec/analytics.md §8): levels from thresholds, a regime from levels, a confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Regime(StrEnum):
    """What the rules call a market."""

    TURBULENT_ILLIQUIDITY = "turbulent_illiquidity"
    STABLE_ACCUMULATION = "stable_accumulation"
    BULLISH_ACCELERATION = "bullish_acceleration"
    BEARISH_ACCELERATION = "bearish_acceleration"
    BREAKOUT_PHASE = "breakout_phase"
    CONSOLIDATION = "consolidation"
    BALANCED_MARKET = "balanced_market"
    TRANSITIONAL = "transitional"


@dataclass(frozen=True, slots=True)
class Scale:
    """A measure cut into three levels.

    Attributes:
        names: of the levels, the lowest first.
        lower: below it lies the lowest level.
        upper: above it lies the highest level.
    """

    names: tuple[str, str, str]
    lower: float
    upper: float

    def level(self, value: float) -> int:
        """Return the number of the level of ``value``, 0 to 2; a value on a threshold is in the middle."""
        return int(value >= self.lower) + int(value > self.upper)

    def distance(self, value: float) -> float:
        """Return how far a value lies from the threshold nearest to it, relative to that threshold, at most 1."""
        nearest = min((self.lower, self.upper), key=lambda threshold: abs(value - threshold))
        return min(1.0, abs(value - nearest) / abs(nearest))


_AMOUNTS: Final = ("low", "medium", "high")
VOLATILITY: Final = Scale(_AMOUNTS, 0.2, 0.5)
VOLUME: Final = Scale(_AMOUNTS, 0.7, 1.5)
TREND: Final = Scale(("bearish", "neutral", "bullish"), -2.0, 2.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table; a level that is not named may be any.

    Attributes:
        regime: what it says.
        confidence: when every level used lies far from its threshold.
        volatility: level of volatility.
        volume: level of volume.
        trend: direction of the trend.
    """

    regime: Regime
    confidence: float
    volatility: str | None = None
    volume: str | None = None
    trend: str | None = None

    def holds(self, levels: "Levels") -> bool:
        """Tell whether the rule applies."""
        pairs = (self.volatility, levels.volatility), (self.volume, levels.volume), (self.trend, levels.trend)
        return all(wanted in (None, found) for wanted, found in pairs)


@dataclass(frozen=True, slots=True)
class Levels:
    """The three levels of a market, by name."""

    volatility: str
    volume: str
    trend: str


@dataclass(frozen=True, slots=True)
class Measures:
    """What the levels are read from; finite numbers.

    Attributes:
        volatility: annualised.
        volume_ratio: last volume over the usual one.
        change_percent: rate of change of the price.
    """

    volatility: float
    volume_ratio: float
    change_percent: float

    @property
    def levels(self) -> Levels:
        """The level of each measure."""
        return Levels(
            VOLATILITY.names[VOLATILITY.level(self.volatility)],
            VOLUME.names[VOLUME.level(self.volume_ratio)],
            TREND.names[TREND.level(self.change_percent)],
        )


# The first that holds decides: the accelerations stand before the breakout that they are cases of.
RULES: Final = (
    Rule(Regime.TURBULENT_ILLIQUIDITY, 0.80, "high", "low"),
    Rule(Regime.STABLE_ACCUMULATION, 0.85, "low", "high"),
    Rule(Regime.BULLISH_ACCELERATION, 0.85, "high", "high", "bullish"),
    Rule(Regime.BEARISH_ACCELERATION, 0.85, "high", "high", "bearish"),
    Rule(Regime.BREAKOUT_PHASE, 0.90, "high", "high"),
    Rule(Regime.CONSOLIDATION, 0.75, "low", "low"),
    Rule(Regime.BALANCED_MARKET, 0.70, "medium", "medium"),
    Rule(Regime.TRANSITIONAL, 0.60),
)


def rule_for(levels: Levels) -> Rule:
    """Return the rule that decides."""
    return next(rule for rule in RULES if rule.holds(levels))


def confidence(rule: Rule, measures: Measures) -> float:
    """Return how sure a rule is: its constant · (0.5 + 0.5 d), d the mean distance of the levels used.

    Volatility and volume are always used, the trend by the rules that name one.

    Args:
        rule: which decided.
        measures: on what.

    Returns:
        Half of the constant (on the thresholds) to the whole of it (far from them).
    """
    distances = [VOLATILITY.distance(measures.volatility), VOLUME.distance(measures.volume_ratio)]
    if rule.trend is not None:
        distances.append(TREND.distance(measures.change_percent))
    return rule.confidence * (0.5 + 0.5 * _mean(distances))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
