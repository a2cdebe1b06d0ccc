"""Deviation of one pair and timeframe."""

from typing import Final

from common.analytics.declaration import Field, Metric
from common.times import DAY_MS

_PRICE: Final = "price"
_RATIO: Final = "ratio"

DEVIATION: Final = Metric(
    name="deviation",
    says="Deviation of the price from its last closes, and the shape of its returns",
    method="statistical_analysis",
    window="30d",
    window_ms=30 * DAY_MS,
    minimum_rows=20,
    fields=(
        Field("standard_deviation", _PRICE, "Sample deviation of the last 20 closes.", "s = √(Σ(C − C̄)² ÷ 19)"),
        Field("variance", "price²", "Its square.", "s²"),
        Field("z_score", _RATIO, "Distance of the last close from their mean.", "(C − C̄) ÷ σ, σ² = Σ(C − C̄)² ÷ 20"),
        Field("bollinger_upper", _PRICE, "Upper Bollinger band.", "C̄ + 2σ"),
        Field("bollinger_lower", _PRICE, "Lower Bollinger band.", "C̄ − 2σ"),
        Field(
            "price_range_index",
            "share, 0 to 1",
            "Place of the last close between the lowest and the highest; 0.5 when all are equal.",
            "(C − min C) ÷ (max C − min C)",
        ),
        Field(
            "autocorrelation",
            "ratio, −1 to 1",
            "Whether a log return tells of the next, over the window.",
            "Σ(r − r̄)(r₋₁ − r̄) ÷ Σ(r − r̄)²",
        ),
        Field("bollinger_middle", _PRICE, "Mean of the last 20 closes.", "C̄"),
        Field("bollinger_width", _RATIO, "Width of the bands over their middle.", "4σ ÷ C̄"),
        Field("coefficient_of_variation", _RATIO, "Deviation over the mean.", "s ÷ C̄"),
        Field(
            "skewness",
            _RATIO,
            "Skewness of the log returns of the window, bias corrected.",
            "n ÷ ((n−1)(n−2)) · Σ((r − r̄)/s)³",
        ),
        Field(
            "kurtosis",
            _RATIO,
            "Excess kurtosis of the log returns of the window, bias corrected; 0 of a normal distribution.",
            "n(n+1) ÷ ((n−1)(n−2)(n−3)) · Σ((r − r̄)/s)⁴ − 3(n−1)² ÷ ((n−2)(n−3))",
        ),
        Field(
            "ljung_box_p",
            "probability",
            "Of autocorrelations as large as those of the first 10 lags, if there were none (Ljung and Box 1978).",
            "P(χ²₁₀ > n(n+2) Σ ρₖ² ÷ (n−k))",
        ),
        Field(
            "variance_ratio",
            _RATIO,
            "Variance of 5 bars over 5 times that of one: above 1 for trends, below for reversals (Lo and MacKinlay "
            "1988).",
            "σ²₅ ÷ σ²₁, overlapping, unbiased",
        ),
        Field(
            "variance_ratio_z",
            "standard normal",
            "Test value of the variance ratio, robust to changing volatility.",
            "√n (variance_ratio − 1) ÷ √θ",
        ),
    ),
)
