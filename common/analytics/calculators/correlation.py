"""Correlation of all pairs: one document of each beside the benchmark, one of the market."""

from dataclasses import replace
from typing import Final

from common.analytics.declaration import Field, Kind, MapOf, Metric, Record, Scope, Served
from common.times import DAY_MS

_RHO: Final = "correlation, −1 to 1"
_SHARE: Final = "share, 0 to 1"
_OTHERS: Final = "symbol of the other pair"

COINTEGRATION: Final = Record(
    "Cointegration",
    "Engle-Granger test of a pair on the benchmark, in logarithms of prices.",
    (
        Field("beta", "ratio", "Slope of the pair on the benchmark.", "ln y = a + β ln x + e"),
        Field("adf_t", "t-value", "Test value of the residuals.", "augmented Dickey-Fuller t of e, lags by AIC"),
        Field("p_value", "probability", "Of a lower one without cointegration.", "MacKinnon (1994), two variables"),
        Field(
            "half_life_bars",
            "bars",
            "In which a deviation halves; null when it does not revert.",
            "−ln 2 ÷ λ, Δe = λ e₋₁",
        ),
    ),
)
BREADTH: Final = Record(
    "Breadth",
    "Which share of the pairs of the stored matrix takes part in a move.",
    (
        Field("above_sma20", _SHARE, "Pairs above their SMA 20.", "count(C > SMA 20) ÷ count"),
        Field("above_sma50", _SHARE, "Pairs above their SMA 50.", "count(C > SMA 50) ÷ count"),
        Field("advance_decline", "ratio, −1 to 1", "How many more rose than fell.", "(up − down) ÷ count"),
    ),
)

CORRELATION: Final = Metric(
    name="correlation",
    says="Correlation of pairs with each other and with the benchmark",
    method="pearson_correlation",
    window="30d",
    window_ms=30 * DAY_MS,
    minimum_rows=21,
    scope=Scope.MARKET,
    served=Served.OTHERWISE,
    fields=(
        Field(
            "correlation_matrix",
            _RHO,
            "Correlation of the log returns with those of every pair, over the bars that both have.",
            "Σ(x − x̄)(y − ȳ) ÷ √(Σ(x − x̄)² Σ(y − ȳ)²)",
            MapOf(Kind.DECIMAL, _OTHERS),
        ),
        Field("rolling_correlation", _RHO, "With the benchmark over 30 days, at least 30 bars.", "the same"),
        Field(
            "cross_correlation_lag",
            "bars",
            "Lag of the largest correlation; above 0 when the pair follows the benchmark.",
            "argmax over |k| ≤ 24 of ρ(x, y₊ₖ)",
            Kind.INTEGER,
        ),
        Field("cross_correlation_at_lag", _RHO, "Correlation at that lag.", "max over |k| ≤ 24 of ρ(x, y₊ₖ)"),
        Field(
            "volatility_correlation",
            _RHO,
            "Correlation of the volatilities.",
            "ρ of the rolling deviations of 20 log returns",
        ),
        Field(
            "correlation_stability",
            _SHARE,
            "Steadiness of the rolling correlation: 0 changes a lot, 1 is constant.",
            "1 − min(1, sample deviation of atanh ρ, daily)",
        ),
        Field("cointegration", "", "Whether the pair and the benchmark share one random walk.", shape=COINTEGRATION),
    ),
)

CORRELATION_MATRIX: Final = replace(
    CORRELATION,
    name="correlation_matrix",
    says="What all pairs have in common",
    calculator=CORRELATION.name,
    fields=(
        Field(
            "correlation_matrix",
            _RHO,
            "Correlation of every two pairs.",
            "as in the documents of the pairs",
            MapOf(MapOf(Kind.DECIMAL, _OTHERS), "symbol of the pair"),
            stored="matrix",
        ),
        Field("market_breadth", "", "How many pairs take part in a move.", shape=BREADTH),
        Field(
            "first_component_share",
            _SHARE,
            "Share of the common movement.",
            "largest eigenvalue of the matrix ÷ sum of its eigenvalues",
        ),
    ),
)
