"""Market regime of one pair and timeframe, by rules."""

from enum import StrEnum
from typing import Final

from common.analytics.declaration import Field, Kind, Metric, Record, Served
from common.times import DAY_MS


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


# Levels of volatility and volume, and directions of the trend; the lowest first.
AMOUNTS: Final = ("low", "medium", "high")
DIRECTIONS: Final = ("bearish", "neutral", "bullish")

INPUTS: Final = Record(
    "Inputs",
    "What the levels of a regime were read from.",
    (
        Field("annualized_volatility", "per year", "Volatility.", "as in the volatility document"),
        Field("volume_spike_ratio", "ratio", "Last volume over the usual one.", "as in the volume document"),
        Field("rate_of_change", "%", "Change of the close over 10 bars.", "as in the trend document"),
    ),
)

REGIME: Final = Metric(
    name="regime",
    says="Market regime: by rules, by rules with hysteresis, and by a model",
    method="threshold_classification",
    window="latest",
    window_ms=30 * DAY_MS,
    minimum_rows=50,
    served=Served.OTHERWISE,
    fields=(
        Field(
            "regime", "", "Regime of the last bar.", "first of eight rules that holds", Kind.TEXT, values=tuple(Regime)
        ),
        Field(
            "volatility_level",
            "",
            "Level of the annualised volatility.",
            "low < 0.2, high > 0.5",
            Kind.TEXT,
            values=AMOUNTS,
        ),
        Field("volume_level", "", "Level of the spike ratio.", "low < 0.7, high > 1.5", Kind.TEXT, values=AMOUNTS),
        Field(
            "trend_direction",
            "",
            "Level of the rate of change.",
            "bearish < −2 %, bullish > 2 %",
            Kind.TEXT,
            values=DIRECTIONS,
        ),
        Field("confidence", "share, 0 to 1", "How sure the rule is.", "constant of the rule, 0.60 to 0.90"),
        Field(
            "strength",
            "share, 0 to 1",
            "How far the values are from where another rule would hold.",
            "mean over the levels used of min(1, |value − threshold| ÷ threshold)",
        ),
        Field(
            "stable_regime",
            "",
            "Regime by levels with hysteresis.",
            "thresholds passed by 5 %, levels kept for 3 bars, over the last 50 bars",
            Kind.TEXT,
            values=tuple(Regime),
        ),
        Field("inputs", "", "What the levels were read from.", shape=INPUTS),
    ),
)
