"""Spread and liquidity of one pair, from order books."""

from typing import Final

from common.analytics.declaration import Field, Kind, ListOf, Metric, Record, Scope, Source
from common.models.families import Family
from common.timeframes import Timeframe

_BASE: Final = "base asset"
_QUOTE: Final = "quote currency"

ORDER: Final = Record(
    "Order",
    "What a market order of one size would meet.",
    (
        Field("quote_size", _QUOTE, "Size of the order.", always=True),
        Field("side", "", "Of the order.", shape=Kind.TEXT, values=("buy", "sell"), always=True),
        Field(
            "slippage_percent",
            "%",
            "Distance of its average price from the mid price; null when the book cannot fill it.",
            "100 · (average − mid) ÷ mid of a buy, 100 · (mid − average) ÷ mid of a sell",
        ),
        Field("filled_quote", _QUOTE, "What the book fills.", always=True),
        Field("unfilled_quote", _QUOTE, "What it does not.", always=True),
    ),
)

SPREAD: Final = Metric(
    name="spread",
    says="Spread, depth and what trading would cost, from the newest order book",
    method="order_book_analysis",
    window="snapshot",
    window_bars=0,
    scope=Scope.SYMBOL,
    source=Source(Family.DEPTH),
    fields=(
        Field("bid_ask_spread", "price", "Best ask minus best bid.", "ask − bid"),
        Field("spread_percentage", "%", "Spread over the mid price.", "100 · (ask − bid) ÷ mid"),
        Field("market_depth_bid", _BASE, "Bids within 1 % of the mid price.", "Σ quantity at prices ≥ 0.99 mid"),
        Field("market_depth_ask", _BASE, "Asks within 1 % of the mid price.", "Σ quantity at prices ≤ 1.01 mid"),
        Field(
            "liquidity_ratio",
            _QUOTE,
            "Volume of a day over the hourly volatility.",
            "Σ quote volume of 24 hours ÷ sample deviation of the last 20 hourly log returns",
            sources=(Source(timeframe=Timeframe.H1),),
        ),
        Field(
            "slippage_estimate",
            "%",
            "Slippage of a market order that buys for 10 000 of quote currency.",
            "100 · (average − mid) ÷ mid",
        ),
        Field("mid_price", "price", "Mean of best bid and best ask.", "(bid + ask) ÷ 2"),
        Field(
            "microprice",
            "price",
            "Mid price weighted by the opposite queues.",
            "(ask · Q_bid + bid · Q_ask) ÷ (Q_bid + Q_ask)",
        ),
        Field(
            "order_book_imbalance",
            "ratio, −1 to 1",
            "On which side more stands, over the 10 best levels.",
            "(ΣQ_bid − ΣQ_ask) ÷ (ΣQ_bid + ΣQ_ask)",
        ),
        Field(
            "order_flow_imbalance",
            _BASE,
            "What joined the best queues less what left them, over the books of the last 60 s (Cont, Kukanov and "
            "Stoikov 2014); above 0 for buying pressure.",
            "Σ change of the best bid's queue − Σ change of the best ask's",
        ),
        Field("slippage", "", "Market orders for 10 000, 50 000 and 100 000, both sides.", shape=ListOf(ORDER)),
        Field("cost_to_trade_bps", "bps", "Mean slippage of a buy and a sell for 10 000.", "(buy + sell) ÷ 2"),
    ),
)
