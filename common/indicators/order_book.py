"""Order book: spread, depth, what an order of a given size would cost, and how the best queues change.

Quantities are in base units, sizes of orders in quote currency. Floats carry these measures; prices that are stored or
shown as prices stay decimal text elsewhere.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from common.indicators.arrays import NAN, FloatArray1D, FloatArray2D, all_positive, require_series, require_window


class Side(StrEnum):
    """Side of a taker's order: buying walks the asks, selling walks the bids."""

    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True)
class OrderBook:
    """Levels of a book, best first, each column of shape ``(levels,)``; made by `order_book`."""

    bid_price: FloatArray1D
    bid_quantity: FloatArray1D
    ask_price: FloatArray1D
    ask_quantity: FloatArray1D

    @property
    def is_tradable(self) -> bool:
        """Whether both sides have levels and the best bid is below the best ask."""
        return len(self.bid_price) > 0 and len(self.ask_price) > 0 and bool(self.bid_price[0] < self.ask_price[0])


class DepthWithin(NamedTuple):
    """Base quantity near the mid price, per side."""

    bid: float
    ask: float


class Slippage(NamedTuple):
    """What a market order of ``quote_size`` would meet; ``slippage_percent`` is NaN when the book cannot fill it."""

    quote_size: float
    side: Side
    slippage_percent: float
    filled_quote: float
    unfilled_quote: float


def order_book(bids: FloatArray2D, asks: FloatArray2D) -> OrderBook:
    """Return the book of two lists of levels, sorted best first.

    Args:
        bids: price and quantity of each level, shape ``(levels, 2)``, in any order; shape ``(0,)`` counts as none.
        asks: the same for the other side.

    Returns:
        The book, without levels whose price or quantity is not a finite number above zero.

    Raises:
        ValueError: the shape is another one.
    """
    bid_price, bid_quantity = _levels(bids, descending=True)
    ask_price, ask_quantity = _levels(asks, descending=False)
    return OrderBook(bid_price, bid_quantity, ask_price, ask_quantity)


def _levels(levels: FloatArray2D, *, descending: bool) -> tuple[FloatArray1D, FloatArray1D]:
    if levels.size and (levels.ndim != 2 or levels.shape[1] != 2):
        raise ValueError(f"levels must have shape (levels, 2), was {levels.shape}")
    price, quantity = levels.reshape(-1, 2).T
    valid = all_positive(price, quantity)
    price, quantity = price[valid], quantity[valid]
    order = np.argsort(-price if descending else price, kind="stable")
    return price[order], quantity[order]


def spread(book: OrderBook) -> float:
    """Best ask minus best bid, in price; negative when crossed, NaN when a side is empty."""
    return float(book.ask_price[0] - book.bid_price[0]) if _has_both(book) else NAN


def mid_price(book: OrderBook) -> float:
    """Mean of best bid and best ask; NaN when a side is empty."""
    return float(book.bid_price[0] / 2 + book.ask_price[0] / 2) if _has_both(book) else NAN


def spread_percent(book: OrderBook) -> float:
    """Spread ÷ mid price · 100; NaN when a side is empty."""
    return spread(book) / mid_price(book) * 100


def microprice(book: OrderBook) -> float:
    """Mid price weighted by the opposite queues: (ask · bid quantity + bid · ask quantity) ÷ (sum of both quantities).

    It lies nearer to the side with the shorter queue, where the next trade is likelier (Stoikov 2018 calls it the
    weighted mid price). NaN when a side is empty.
    """
    if not _has_both(book):
        return NAN
    bid_share = 1 / (1 + book.ask_quantity[0] / book.bid_quantity[0])
    return float(book.bid_price[0] + (book.ask_price[0] - book.bid_price[0]) * bid_share)


def depth_within(book: OrderBook, share: float = 0.01) -> DepthWithin:
    """Base quantity of the bids at or above mid · (1 − share) and of the asks at or below mid · (1 + share).

    Args:
        book: the book; 20 levels of a liquid one span far less than 1 %, so this is a lower bound there.
        share: distance from the mid price.

    Returns:
        Both sums; NaN when a side is empty.
    """
    mid = mid_price(book)
    if not np.isfinite(mid):
        return DepthWithin(NAN, NAN)
    bid = book.bid_quantity[book.bid_price >= mid * (1 - share)]
    ask = book.ask_quantity[book.ask_price <= mid * (1 + share)]
    return DepthWithin(float(bid.sum()), float(ask.sum()))


def order_book_imbalance(book: OrderBook, levels: int = 10) -> float:
    """(ΣB − ΣA) ÷ (ΣB + ΣA) of the quantities of the best levels.

    Args:
        book: the book.
        levels: levels per side; all where there are fewer.

    Returns:
        −1 (asks only) to 1 (bids only); NaN for an empty book.

    Raises:
        ValueError: ``levels`` is below 1.
    """
    require_window(levels)
    bid, ask = float(book.bid_quantity[:levels].sum()), float(book.ask_quantity[:levels].sum())
    return (bid - ask) / (bid + ask) if bid + ask > 0 else NAN


def slippage(book: OrderBook, side: Side, quote_size: float) -> Slippage:
    """Distance of the average price of a market order from the mid price.

    A buy spends ``quote_size`` on the asks, a sell takes ``quote_size`` out of the bids, level by level. Slippage is
    (average − mid) ÷ mid · 100 for a buy and (mid − average) ÷ mid · 100 for a sell.

    Args:
        book: the book.
        side: of the order.
        quote_size: size in quote currency, above 0.

    Returns:
        Slippage in percent and the filled and unfilled part; without a mid price nothing is filled.

    Raises:
        ValueError: the size is not a finite number above 0.
    """
    if not 0 < quote_size < float("inf"):
        raise ValueError(f"quote_size must be a finite number above 0, was {quote_size}")
    mid = mid_price(book)
    if not np.isfinite(mid):
        return Slippage(quote_size, side, NAN, 0.0, quote_size)
    price, quantity = (book.ask_price, book.ask_quantity) if side is Side.BUY else (book.bid_price, book.bid_quantity)
    available = np.cumsum(price * quantity)
    if quote_size > available[-1]:
        filled = float(available[-1])
        return Slippage(quote_size, side, NAN, filled, quote_size - filled)
    average = quote_size / _base_quantity(price, quantity, available, quote_size)
    distance = average - mid if side is Side.BUY else mid - average
    return Slippage(quote_size, side, distance / mid * 100, quote_size, 0.0)


def _base_quantity(price: FloatArray1D, quantity: FloatArray1D, available: FloatArray1D, quote_size: float) -> float:
    """Base quantity that ``quote_size`` trades for, when the levels can fill it."""
    last = int(np.searchsorted(available, quote_size))
    spent = float(available[last - 1]) if last else 0.0
    return float(quantity[:last].sum()) + (quote_size - spent) / float(price[last])


def cost_to_trade_bps(book: OrderBook, quote_size: float) -> float:
    """Mean slippage of a buy and a sell of ``quote_size`` in basis points; NaN when either side cannot fill it.

    Raises:
        ValueError: the size is not a finite number above 0.
    """
    both = [slippage(book, side, quote_size).slippage_percent for side in Side]
    return sum(both) / len(both) * 100


def order_flow_imbalance(
    bid_price: FloatArray1D, bid_quantity: FloatArray1D, ask_price: FloatArray1D, ask_quantity: FloatArray1D
) -> float:
    """Order-flow imbalance of Cont, Kukanov and Stoikov (2014) over a run of best quotes.

    Σ over consecutive books of: + bid quantity now if the bid did not fall, − bid quantity before if it did not rise,
    − ask quantity now if the ask did not rise, + ask quantity before if it did not fall. While prices stand still this
    is the change of the bid queue minus that of the ask queue.

    Args:
        bid_price: best bids, oldest first, shape ``(n,)``.
        bid_quantity: their quantities, shape ``(n,)``.
        ask_price: best asks, shape ``(n,)``.
        ask_quantity: their quantities, shape ``(n,)``.

    Returns:
        Base units, positive for buying pressure; books with a missing value are left out, NaN with fewer than two.

    Raises:
        ValueError: the shapes differ.
    """
    require_series(bid_price, bid_quantity, ask_price, ask_quantity)
    valid = all_positive(bid_price, bid_quantity, ask_price, ask_quantity)
    if np.count_nonzero(valid) < 2:
        return NAN
    bid_step, ask_step = np.diff(bid_price[valid]), np.diff(ask_price[valid])
    bid, ask = bid_quantity[valid], ask_quantity[valid]
    bids = np.where(bid_step >= 0, bid[1:], 0.0) - np.where(bid_step <= 0, bid[:-1], 0.0)
    asks = np.where(ask_step <= 0, ask[1:], 0.0) - np.where(ask_step >= 0, ask[:-1], 0.0)
    return float((bids - asks).sum())


def _has_both(book: OrderBook) -> bool:
    return len(book.bid_price) > 0 and len(book.ask_price) > 0
