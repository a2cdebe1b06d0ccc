"""Market regime of one pair and timeframe, by a hidden Markov model."""

from typing import Final

from common.analytics.declaration import Field, Kind, MapOf, Metric, Served
from common.times import DAY_MS

STATES: Final = ("low_volatility", "medium_volatility", "high_volatility")

REGIME_MODEL: Final = Metric(
    name="regime_model",
    says="Market regime by a hidden Markov model with three states of volatility",
    method="hidden_markov",
    window="90d",
    window_ms=90 * DAY_MS,
    minimum_rows=100,
    served=Served.OTHERWISE,
    fields=(
        Field("model_regime", "", "Most probable state of the model.", "argmax P", Kind.TEXT, values=STATES),
        Field("model_probability", "probability", "Of that state.", "max P"),
        Field(
            "state_probabilities",
            "probability",
            "Of each state, from this bar and those before it.",
            "forward filter of a Gaussian hidden Markov model (Rabiner 1989), fitted once a day",
            MapOf(Kind.DECIMAL, "state"),
        ),
        Field("expected_duration_bars", "bars", "How long the state usually lasts.", "1 ÷ (1 − P(stay))"),
    ),
)
