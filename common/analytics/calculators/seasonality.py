"""Seasonality of one pair and timeframe."""

from typing import Final

from common.analytics.declaration import Field, Kind, ListOf, MapOf, Metric, Record
from common.times import DAY_MS

SLOT_RETURNS: Final = Record(
    "SlotReturns",
    "Log returns of one slot.",
    (
        Field("mean", "log return per bar", "Their mean; null without any.", "Σ r ÷ n"),
        Field("count", "returns", "How many there are.", "n", Kind.INTEGER, always=True),
        Field("t_value", "t-value", "How surely the mean is not zero.", "mean ÷ (s ÷ √n)"),
    ),
)
PEAK: Final = Record(
    "Peak",
    "A peak in the spectrum of the returns.",
    (
        Field("period_bars", "bars", "Its period.", "1 ÷ frequency, interpolated between bins", always=True),
        Field("period_hours", "hours", "Its period.", "period_bars · hours per bar", always=True),
        Field("power_share", "share, 0 to 1", "Its share of all power.", "power ÷ Σ power", always=True),
        Field(
            "significant",
            "",
            "Whether it stands out of an autoregression of first order.",
            "P(χ²) · number of bins < 0.01",
            Kind.FLAG,
            always=True,
        ),
    ),
)
_HOURS: Final = "hour of the day, 0 to 23, UTC"
_DAYS: Final = "weekday, 0 (Monday) to 6, UTC"
_WEEK: Final = "weekday × 24 + hour, 0 to 167, UTC"

SEASONALITY: Final = Metric(
    name="seasonality",
    says="Patterns by hour and weekday (UTC), and cycles",
    method="fourier_analysis",
    window="90d",
    window_ms=90 * DAY_MS,
    minimum_rows=100,
    once_a_candle=True,
    fields=(
        Field("hourly_pattern", "price", "Mean close of each hour.", "mean C", MapOf(Kind.DECIMAL, _HOURS)),
        Field("daily_pattern", "price", "Mean close of each weekday.", "mean C", MapOf(Kind.DECIMAL, _DAYS)),
        Field(
            "seasonal_deviation",
            "%",
            "Distance of the last price from what is usual at its hour.",
            "100 · (e − mean e of the hour), e the residual of the linearly detrended ln C",
        ),
        Field(
            "entropy_index",
            "share, 0 to 1",
            "How evenly the log returns are spread.",
            "−Σ p ln p ÷ ln 50, p the shares of 50 equal bins",
        ),
        Field(
            "dominant_cycle",
            "bars",
            "Period of the cycle that stands out of the prices; null when none does.",
            "largest periodogram of the detrended, windowed ln C over that of an autoregression; Fisher's g < 0.01",
            Kind.INTEGER,
        ),
        Field("dominant_cycle_hours", "hours", "The same in hours.", "period · hours per bar"),
        Field("hourly_return_pattern", "", "Returns of each hour.", shape=MapOf(SLOT_RETURNS, _HOURS)),
        Field("daily_return_pattern", "", "Returns of each weekday.", shape=MapOf(SLOT_RETURNS, _DAYS)),
        Field("weekly_pattern", "", "Returns of each hour of 28 days or more.", shape=MapOf(SLOT_RETURNS, _WEEK)),
        Field(
            "spectral_peaks",
            "",
            "Strongest periods of the returns, at most 5, the strongest first (Welch 1967, 256 bars).",
            shape=ListOf(PEAK),
        ),
        Field(
            "seasonality_strength",
            "share, 0 to 1",
            "How much of the variance around the trend repeats every day (every week on candles of a day).",
            "max(0, 1 − Var(R) ÷ Var(S + R)) (Wang, Smith and Hyndman 2006)",
        ),
    ),
)
