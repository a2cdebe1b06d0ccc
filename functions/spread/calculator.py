"""The spread document (spec/analytics.md §3, §9), from order books and hourly candles.

Prices made of the best bid and the best ask are exact to the digit; what is summed over levels is computed in floats.
What cannot be computed is NaN, which the document turns into null.
"""

from decimal import Decimal
from typing import Final

import numpy as np

from common.analytics.document import Basis, Result, Value
from common.indicators.arrays import NAN, FloatArray1D, FloatArray2D
from common.indicators.order_book import (
    OrderBook,
    Side,
    cost_to_trade_bps,
    depth_within,
    microprice,
    order_book,
    order_book_imbalance,
    order_flow_imbalance,
    slippage,
)
from common.indicators.returns import log_returns
from common.indicators.volatility import rolling_std
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.spread.inputs import BOOK_AGE_MS, HOURS_PER_DAY, Book, Level, SpreadInputs

DEPTH_SHARE: Final = 0.01
IMBALANCE_LEVELS: Final = 10
# Sizes of orders in quote currency; the first is that of the estimate and of the cost to trade.
QUOTE_SIZES: Final = (10_000.0, 50_000.0, 100_000.0)
VOLATILITY_WINDOW: Final = 20


def compute(inputs: SpreadInputs) -> list[Result]:
    """Return the one result of a pair."""
    newest = inputs.books[-1]
    book = order_book(_array(newest.bids), _array(newest.asks))
    fields = {
        **of_best(newest),
        **of_levels(book),
        **of_orders(book),
        "order_flow_imbalance": flow_imbalance(inputs.books),
        "liquidity_ratio": liquidity_ratio(inputs.hours),
    }
    basis = Basis(newest.time_ms, len(inputs.books), window_rows=0, window_slots=0, warmup_complete=True)
    parameters = {
        "depth_levels": len(newest.bids),
        "depth_percent": 100 * DEPTH_SHARE,
        "imbalance_levels": IMBALANCE_LEVELS,
        "slippage_quote_size": QUOTE_SIZES[0],
        "order_flow_ms": BOOK_AGE_MS,
        "volatility_window": VOLATILITY_WINDOW,
    }
    return [Result(inputs.symbol, fields, basis, parameters)]


def of_best(book: Book) -> dict[str, Value]:
    """Return spread and mid price as exact decimals, and the spread in percent of the mid price."""
    bid, ask = Decimal(book.bids[0][0]), Decimal(book.asks[0][0])
    spread, mid = ask - bid, (bid + ask) / 2
    return {
        "bid_ask_spread": format(spread, "f"),
        "mid_price": format(mid, "f"),
        "spread_percentage": float(spread / mid * 100),
    }


def of_levels(book: OrderBook) -> dict[str, Value]:
    """Return how much stands near the mid price, and on which side more."""
    near = depth_within(book, DEPTH_SHARE)
    return {
        "market_depth_bid": near.bid,
        "market_depth_ask": near.ask,
        "order_book_imbalance": order_book_imbalance(book, IMBALANCE_LEVELS),
        "microprice": microprice(book),
    }


def of_orders(book: OrderBook) -> dict[str, Value]:
    """Return what market orders of several sizes would cost against the mid price, and what would stay unfilled."""
    orders = [slippage(book, side, size)._asdict() for size in QUOTE_SIZES for side in Side]
    return {
        "slippage": orders,
        "slippage_estimate": slippage(book, Side.BUY, QUOTE_SIZES[0]).slippage_percent,
        "cost_to_trade_bps": cost_to_trade_bps(book, QUOTE_SIZES[0]),
    }


def flow_imbalance(books: tuple[Book, ...]) -> float:
    """Return the order-flow imbalance over a run of books, in base units."""
    bids, asks = _array([book.bids[0] for book in books]), _array([book.asks[0] for book in books])
    return order_flow_imbalance(bids[:, 0], bids[:, 1], asks[:, 0], asks[:, 1])


def liquidity_ratio(hours: CandleColumns) -> float:
    """Return the quote volume of a day over the hourly volatility; NaN without a whole day or without volatility."""
    day: FloatArray1D = hours.quote_volume[-HOURS_PER_DAY:]
    returns = log_returns(hours.close, hours.open_time_ms, Timeframe.H1.duration_ms)
    if len(day) < HOURS_PER_DAY:
        return NAN
    volatility = float(rolling_std(returns, VOLATILITY_WINDOW)[-1])
    return float(day.sum()) / volatility if volatility > 0 else NAN


def _array(levels: tuple[Level, ...] | list[Level]) -> FloatArray2D:
    return np.array(levels, dtype=np.float64)
