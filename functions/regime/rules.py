"""The rule table of the regimes: levels from thresholds, a regime from levels, how sure."""

from dataclasses import dataclass
from typing import Final

from common.analytics.calculators.regime import AMOUNTS, DIRECTIONS, Regime


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


VOLATILITY: Final = Scale(AMOUNTS, 0.2, 0.5)
VOLUME: Final = Scale(AMOUNTS, 0.7, 1.5)
TREND: Final = Scale(DIRECTIONS, -2.0, 2.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table; a level that is not named may be any.

    Attributes:
        regime: what it says.
        confidence: how sure it is; programs that read it compare with 0.80 and 0.70.
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


def strength(rule: Rule, measures: Measures) -> float:
    """Return how far the measures are from where another rule would hold: the mean distance of the levels used.

    Volatility and volume are always used, the trend by the rules that name one.

    Args:
        rule: which decided.
        measures: on what.

    Returns:
        0 (on the thresholds) to 1 (far from them).
    """
    distances = [VOLATILITY.distance(measures.volatility), VOLUME.distance(measures.volume_ratio)]
    if rule.trend is not None:
        distances.append(TREND.distance(measures.change_percent))
    return sum(distances) / len(distances)
