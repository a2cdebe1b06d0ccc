"""Volume of one pair and timeframe."""

from typing import Final

from common.analytics.declaration import Field, Metric, Served
from common.times import DAY_MS

_BASE: Final = "base asset"

VOLUME: Final = Metric(
    name="volume",
    says="Volume, its averages and who traded it",
    method="aggregation",
    window="24h",
    window_ms=DAY_MS,
    window_bars=24,
    minimum_rows=5,
    served=Served.LIST,
    fields=(
        Field("total_volume", _BASE, "Volume of the window.", "Σ V"),
        Field("volume_sma", _BASE, "Mean volume of the last 20 bars.", "Σ V ÷ 20"),
        Field(
            "volume_ema",
            _BASE,
            "Exponential average of the volume, span 20.",
            "e = e₋₁ + (V − e₋₁) · 2/21, from the mean of the first 20",
        ),
        Field("volume_delta", _BASE, "Taker buying minus taker selling.", "Σ(2 V_taker buy − V)"),
        Field(
            "volume_spike_ratio",
            "ratio",
            "Last closed volume over the usual one before it.",
            "V ÷ median of the volumes of the window before it, at least 20",
        ),
        Field("taker_buy_ratio", "share, 0 to 1", "Share of the volume that takers bought.", "Σ V_taker buy ÷ Σ V"),
        Field("vwap", "price", "Volume-weighted average price of the window.", "Σ quote volume ÷ Σ V"),
        Field(
            "obv",
            _BASE,
            "On-balance volume over the rows used; 0 at the first.",
            "running Σ sign(C − C₋₁) · V",
        ),
        Field(
            "amihud_illiquidity",
            "return per quote currency",
            "How far a unit of quote volume moved the price (Amihud 2002).",
            "mean of |r| ÷ quote volume",
        ),
    ),
)
