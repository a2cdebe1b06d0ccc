"""The spread document (infra/docs/fields.md), from order books and hourly candles.

What is made of the book is computed in decimals: sums and differences are exact to the digit, quotients have 20
significant digits. The liquidity ratio, made of candles, is a float. What cannot be computed is null in the document.
"""

from decimal import Decimal
from typing import Final

from common.analytics.document import Basis, Result, Value
from common.indicators import order_book
from common.indicators.arrays import NAN, FloatArray1D
from common.indicators.order_book import Level, OrderBook, Side, Slippage
from common.indicators.returns import log_returns
from common.indicators.volatility import rolling_std
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.spread.inputs import BOOK_AGE_MS, HOURS_PER_DAY, Book, SpreadInputs

DEPTH_PERCENT: Final = 1
IMBALANCE_LEVELS: Final = 10
# Sizes of orders in quote currency; the first is that of the estimate and of the cost to trade.
QUOTE_SIZES: Final = (10_000, 50_000, 100_000)
VOLATILITY_WINDOW: Final = 20


def compute(inputs: SpreadInputs) -> list[Result]:
    """Return the one result of a pair."""
    newest = inputs.books[-1]
    book = order_book.order_book(newest.bids, newest.asks)
    fields = {
        **of_best(book),
        **of_levels(book),
        **of_orders(book),
        "order_flow_imbalance": flow_imbalance(inputs.books),
        "liquidity_ratio": liquidity_ratio(inputs.hours),
    }
    basis = Basis(newest.time_ms, len(inputs.books), window_rows=0, window_slots=0, warmup_complete=True)
    parameters = {
        "depth_levels": len(newest.bids),
        "depth_percent": DEPTH_PERCENT,
        "imbalance_levels": IMBALANCE_LEVELS,
        "slippage_quote_size": QUOTE_SIZES[0],
        "order_flow_ms": BOOK_AGE_MS,
        "volatility_window": VOLATILITY_WINDOW,
    }
    return [Result(inputs.symbol, fields, basis, parameters)]


def of_best(book: OrderBook) -> dict[str, Value]:
    """Return what the best bid and the best ask say: spread, mid price, and the price weighted by their queues."""
    return {
        "bid_ask_spread": _text(order_book.spread(book)),
        "mid_price": _text(order_book.mid_price(book)),
        "spread_percentage": _text(order_book.spread_percent(book)),
        "microprice": _text(order_book.microprice(book)),
    }


def of_levels(book: OrderBook) -> dict[str, Value]:
    """Return how much stands near the mid price, and on which side more."""
    near = order_book.depth_within(book, Decimal(DEPTH_PERCENT) / 100)
    return {
        "market_depth_bid": _text(near.bid),
        "market_depth_ask": _text(near.ask),
        "order_book_imbalance": _text(order_book.order_book_imbalance(book, IMBALANCE_LEVELS)),
    }


def of_orders(book: OrderBook) -> dict[str, Value]:
    """Return what market orders of several sizes would cost against the mid price, and what would stay unfilled."""
    orders = [order_book.slippage(book, side, Decimal(size)) for size in QUOTE_SIZES for side in Side]
    estimate = next(order for order in orders if order.side is Side.BUY)
    return {
        "slippage": [_order(order) for order in orders],
        "slippage_estimate": _text(estimate.slippage_percent),
        "cost_to_trade_bps": _text(order_book.cost_to_trade_bps(book, Decimal(QUOTE_SIZES[0]))),
    }


def flow_imbalance(books: tuple[Book, ...]) -> str | None:
    """Return the order-flow imbalance over a run of books, in base units."""
    return _text(order_book.order_flow_imbalance([_best(book) for book in books]))


def liquidity_ratio(hours: CandleColumns) -> float:
    """Return the quote volume of a day over the hourly volatility; NaN without a whole day or without volatility."""
    day: FloatArray1D = hours.quote_volume[-HOURS_PER_DAY:]
    returns = log_returns(hours.close, hours.open_time_ms, Timeframe.H1.duration_ms)
    if len(day) < HOURS_PER_DAY:
        return NAN
    volatility = float(rolling_std(returns, VOLATILITY_WINDOW)[-1])
    return float(day.sum()) / volatility if volatility > 0 else NAN


def _best(book: Book) -> tuple[Level, Level]:
    bid, ask = (Level(Decimal(price), Decimal(quantity)) for price, quantity in (book.bids[0], book.asks[0]))
    return bid, ask


def _order(order: Slippage) -> dict[str, Value]:
    return {
        "quote_size": _text(order.quote_size),
        "side": order.side,
        "slippage_percent": _text(order.slippage_percent),
        "filled_quote": _text(order.filled_quote),
        "unfilled_quote": _text(order.unfilled_quote),
    }


def _text(number: Decimal | None) -> str | None:
    """Return every digit of a number, without exponent."""
    return None if number is None else format(number, "f")
