"""The metrics of which the newest document is served, one declaration each (spec/data-api.md §3, spec/analytics.md §9).

To serve another one, declare it here: its route, parameters, answers and OpenAPI entry follow from the declaration.
"""

from typing import Final, Literal

from common.analytics import metrics
from functions.api_analysis.listings import Listing, same
from functions.api_analysis.models import Answer


class Order(Answer):
    """What a market order of one size would meet."""

    quote_size: str
    side: Literal["buy", "sell"]
    slippage_percent: str | None
    filled_quote: str
    unfilled_quote: str


class SlotReturns(Answer):
    """Log returns of one slot: their mean per bar, and how surely it is not zero."""

    mean: str | None
    count: int
    t_value: str | None


class Peak(Answer):
    """A peak in the spectrum of the returns."""

    period_bars: str
    period_hours: str
    power_share: str
    significant: bool


Prices = dict[str, str | None]
Returns = dict[str, SlotReturns]

SPREAD: Final = Listing(
    metrics.SPREAD,
    "Spread, depth and what trading would cost, from the newest order book",
    fields=same(
        "bid_ask_spread",
        "spread_percentage",
        "market_depth_bid",
        "market_depth_ask",
        "liquidity_ratio",
        "slippage_estimate",
        "mid_price",
        "microprice",
        "order_book_imbalance",
        "order_flow_imbalance",
        "slippage",
        "cost_to_trade_bps",
    ),
    windows=(metrics.SPREAD.window,),
    types={"slippage": list[Order] | None},
)

DEVIATION: Final = Listing(
    metrics.DEVIATION,
    "Deviation of the price from its last closes, and the shape of its returns",
    fields=same(
        "standard_deviation",
        "variance",
        "z_score",
        "bollinger_upper",
        "bollinger_lower",
        "price_range_index",
        "autocorrelation",
        "bollinger_middle",
        "bollinger_width",
        "coefficient_of_variation",
        "skewness",
        "kurtosis",
        "ljung_box_p",
        "variance_ratio",
        "variance_ratio_z",
    ),
    windows=(metrics.DEVIATION.window,),
)

SEASONALITY: Final = Listing(
    metrics.SEASONALITY,
    "Patterns by hour and weekday (UTC), and cycles",
    fields=same(
        "hourly_pattern",
        "daily_pattern",
        "seasonal_deviation",
        "entropy_index",
        "dominant_cycle",
        "dominant_cycle_hours",
        "hourly_return_pattern",
        "daily_return_pattern",
        "weekly_pattern",
        "spectral_peaks",
        "seasonality_strength",
    ),
    windows=(metrics.SEASONALITY.window,),
    types={
        "hourly_pattern": Prices | None,
        "daily_pattern": Prices | None,
        "dominant_cycle": int | None,
        "hourly_return_pattern": Returns | None,
        "daily_return_pattern": Returns | None,
        "weekly_pattern": Returns | None,
        "spectral_peaks": list[Peak] | None,
    },
)

SINGLES: Final = (SPREAD, DEVIATION, SEASONALITY)
