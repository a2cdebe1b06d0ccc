"""Trend and momentum of one pair and timeframe."""

from typing import Final

from common.analytics.declaration import BENCHMARK, OWN_CANDLES, Field, Kind, Metric, Served, Source
from common.times import DAY_MS

_PRICE: Final = "price"
_INDEX: Final = "index, 0 to 100"

TREND: Final = Metric(
    name="trend",
    says="Trend: averages, crossovers, momentum, direction and beta",
    method="moving_averages",
    window="30d",
    aliases=("20",),
    window_ms=30 * DAY_MS,
    minimum_rows=50,
    served=Served.LIST,
    fields=(
        Field("sma", _PRICE, "Simple average of the last 20 closes.", "Σ C ÷ 20"),
        Field(
            "ema",
            _PRICE,
            "Exponential average of the closes, span 20.",
            "e = e₋₁ + (C − e₋₁) · 2/21, from the mean of the first 20",
        ),
        Field("wma", _PRICE, "Linearly weighted average of the last 20 closes.", "Σ i·Cᵢ ÷ Σ i, i = 20 the newest"),
        Field("rate_of_change", "%", "Change of the close over 10 bars.", "100 · (C ÷ C₋₁₀ − 1)"),
        Field("directional_strength", "%", "Share of the last 20 bars that rose.", "100 · count(C > O) ÷ 20"),
        Field(
            "crossover_signal",
            "",
            "On which side of the long average the short one is.",
            "bullish when SMA 20 > SMA 50",
            Kind.TEXT,
            values=("bullish", "bearish"),
        ),
        Field(
            "crossover_event",
            "",
            "Crossing of the two averages on the last bar; null without one.",
            "golden when SMA 20 rises above SMA 50, death when it falls below",
            Kind.TEXT,
            values=("golden", "death"),
        ),
        Field("sma_50", _PRICE, "Simple average of the last 50 closes.", "Σ C ÷ 50"),
        Field(
            "rsi",
            _INDEX,
            "Relative strength index, 14 bars (Wilder).",
            "100 − 100 ÷ (1 + average gain ÷ average loss), averages (13 a₋₁ + x) ÷ 14",
        ),
        Field(
            "adx",
            _INDEX,
            "Strength of the direction, whichever it is, 14 bars (Wilder).",
            "average of 100 · |+DI − −DI| ÷ (+DI + −DI)",
        ),
        Field("plus_di", _INDEX, "Directional index of rises.", "100 · S(+DM) ÷ S(TR), Wilder's sums"),
        Field("minus_di", _INDEX, "Directional index of falls.", "100 · S(−DM) ÷ S(TR)"),
        Field(
            "rolling_beta",
            "ratio",
            f"Sensitivity of the returns to those of {BENCHMARK}, over the common rows of the window, at least 30.",
            "cov(r, r_benchmark) ÷ var(r_benchmark)",
            sources=(OWN_CANDLES, Source(symbol=BENCHMARK)),
        ),
        Field("macd", _PRICE, "Convergence and divergence of two averages (Appel).", "EMA 12 − EMA 26"),
        Field("macd_signal", _PRICE, "Its own average.", "EMA 9 of macd"),
        Field("macd_histogram", _PRICE, "Distance of the two.", "macd − macd_signal"),
    ),
)
