"""Volatility of one pair and timeframe."""

from typing import Final

from common.analytics.declaration import Field, Metric, Served, Source
from common.timeframes import Timeframe
from common.times import DAY_MS

_PER_BAR: Final = "per bar"
_PER_YEAR: Final = "per year"
_VARIANCE: Final = "variance of a day"
_MINUTES: Final = (Source(timeframe=Timeframe.M1),)
_HOURS: Final = (Source(timeframe=Timeframe.H1),)

VOLATILITY: Final = Metric(
    name="volatility",
    says="Volatility, per bar unless the name says annualised",
    method="rolling_stddev",
    window="30d",
    window_ms=30 * DAY_MS,
    minimum_rows=20,
    served=Served.LIST,
    fields=(
        Field("rolling_stddev", _PER_BAR, "Sample deviation of the last 20 log returns.", "√(Σ(r − r̄)² ÷ 19)"),
        Field(
            "annualized",
            _PER_YEAR,
            "The same for a year of 365 days.",
            "rolling_stddev · √(bars per year)",
            stored="annualized_volatility",
        ),
        Field("parkinson", _PER_BAR, "Volatility from high and low (Parkinson 1980).", "√(mean ln(H/L)² ÷ (4 ln 2))"),
        Field(
            "garman_klass",
            _PER_BAR,
            "Volatility from open, high, low and close (Garman and Klass 1980).",
            "√(mean(½ ln(H/L)² − (2 ln 2 − 1) ln(C/O)²))",
        ),
        Field(
            "vov",
            _PER_BAR,
            "How much the volatility itself moves.",
            "sample deviation of the last 20 values of rolling_stddev",
            stored="volatility_of_volatility",
        ),
        Field("parkinson_annualized", _PER_YEAR, "Parkinson's volatility for a year.", "parkinson · √(bars per year)"),
        Field(
            "garman_klass_annualized",
            _PER_YEAR,
            "Garman and Klass's volatility for a year.",
            "garman_klass · √(bars per year)",
        ),
        Field(
            "rogers_satchell",
            _PER_BAR,
            "Range volatility that is right under any drift (Rogers and Satchell 1991).",
            "√(mean(ln(H/C) ln(H/O) + ln(L/C) ln(L/O)))",
        ),
        Field(
            "yang_zhang",
            _PER_BAR,
            "Range volatility that is right under drift and jumps between bars (Yang and Zhang 2000).",
            "√(s²(ln O/C₋₁) + k s²(ln C/O) + (1 − k) rogers_satchell²), k = 0.34 ÷ (1.34 + (w + 1)/(w − 1))",
        ),
        Field(
            "ewma_volatility",
            _PER_BAR,
            "Exponentially weighted volatility (RiskMetrics 1996).",
            "σ² = 0.94 σ²₋₁ + 0.06 r²",
        ),
        Field("atr", "price", "Average true range, 14 bars (Wilder).", "(13 ATR₋₁ + TR) ÷ 14"),
        Field("atr_percent", "%", "Average true range over the last close.", "100 · atr ÷ C"),
        Field(
            "realized_variance",
            _VARIANCE,
            "Realised variance of the last 24 hours, from minutes.",
            "Σ r²",
            sources=_MINUTES,
        ),
        Field(
            "bipower_variation",
            _VARIANCE,
            "The part of it that moved continuously (Barndorff-Nielsen and Shephard 2004).",
            "(π/2) (n/p) Σ|r| |r₋₁|, n returns, p neighbouring pairs",
            sources=_MINUTES,
        ),
        Field(
            "jump_share",
            "share, 0 to 1",
            "The part of it that came as jumps.",
            "max(0, 1 − bipower_variation ÷ realized_variance)",
            sources=_MINUTES,
        ),
        Field(
            "volatility_forecast",
            _PER_YEAR,
            "Volatility expected of the next 24 hours.",
            "√(365 · exp(forecast of ln v + half of the variance of its residuals)); least squares of ln v of a day on "
            "its means over the 1, 7 and 30 days before, 120 days, at least 90 (Corsi 2009)",
            sources=_HOURS,
        ),
    ),
)
