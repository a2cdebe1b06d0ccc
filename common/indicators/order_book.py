"""Order book: spread, depth, what an order of a given size would cost, and how the best queues change.

Everything is computed from the decimals that the exchange wrote, not from doubles: sums, differences and products are
exact, and a quotient is rounded once, to 20 significant digits (half to even). Exact means to 64 digits on the way,
twice what the product of any price and quantity of an exchange has. Quantities are in base units, sizes of orders in
quote currency; what cannot be computed is ``None``. A book has some tens of levels, which the decimals of the standard
library walk as fast as an array could be set up.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from common.indicators.arrays import require_window

QUOTIENT_DIGITS: Final = 20
_HUNDRED: Final = Decimal(100)
_WORKING: Final = Context(prec=64)
_QUOTIENT: Final = Context(prec=QUOTIENT_DIGITS)

# Price and quantity of a level as the exchange wrote them.
LevelText = tuple[str, str]


class Side(StrEnum):
    """Side of a taker's order: buying walks the asks, selling walks the bids."""

    BUY = "buy"
    SELL = "sell"


class Level(NamedTuple):
    """One price, and the base quantity that waits there."""

    price: Decimal
    quantity: Decimal

    @property
    def is_valid(self) -> bool:
        """Whether price and quantity are finite numbers above zero."""
        price, quantity = self
        return price.is_finite() and quantity.is_finite() and price > 0 and quantity > 0


@dataclass(frozen=True, slots=True)
class OrderBook:
    """Levels of a book, best first; made by `order_book`."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    @property
    def has_both_sides(self) -> bool:
        """Whether there are bids and asks."""
        return bool(self.bids and self.asks)

    @property
    def is_tradable(self) -> bool:
        """Whether both sides have levels and the best bid is below the best ask."""
        return self.has_both_sides and self.bids[0].price < self.asks[0].price


class DepthWithin(NamedTuple):
    """Base quantity near the mid price, per side."""

    bid: Decimal | None
    ask: Decimal | None


class Fill(NamedTuple):
    """What a market order meets in a book.

    Attributes:
        average_price: of the part that is filled, in quote per base, to 64 digits; none when nothing is.
        filled_quote: how much of the size is filled, in quote currency.
        unfilled_quote: how much is not, because the book ends before.
    """

    average_price: Decimal | None
    filled_quote: Decimal
    unfilled_quote: Decimal


class Slippage(NamedTuple):
    """What a market order of ``quote_size`` would meet; ``slippage_percent`` is none when the book cannot fill it."""

    quote_size: Decimal
    side: Side
    slippage_percent: Decimal | None
    filled_quote: Decimal
    unfilled_quote: Decimal


@contextmanager
def _exact() -> Iterator[None]:
    """Compute with as many digits as sums and products of prices and quantities can have."""
    with localcontext(_WORKING):
        yield


def order_book(bids: Iterable[LevelText], asks: Iterable[LevelText]) -> OrderBook:
    """Return the book of two lists of levels, sorted best first.

    Args:
        bids: price and quantity of each level as decimal text, in any order.
        asks: the same for the other side.

    Returns:
        The book, without levels whose price or quantity is not a finite number above zero.

    Raises:
        decimal.InvalidOperation: a text is no number.
    """
    return OrderBook(_levels(bids, best_is_high=True), _levels(asks, best_is_high=False))


def _levels(levels: Iterable[LevelText], *, best_is_high: bool) -> tuple[Level, ...]:
    read = (Level(Decimal(price), Decimal(quantity)) for price, quantity in levels)
    valid = [level for level in read if level.is_valid]
    return tuple(sorted(valid, key=lambda level: level.price, reverse=best_is_high))


@_exact()
def spread(book: OrderBook) -> Decimal | None:
    """Best ask minus best bid, in price, exact; negative when crossed, none when a side is empty."""
    return book.asks[0].price - book.bids[0].price if book.has_both_sides else None


@_exact()
def mid_price(book: OrderBook) -> Decimal | None:
    """Mean of best bid and best ask, exact; none when a side is empty."""
    return (book.bids[0].price + book.asks[0].price) / 2 if book.has_both_sides else None


@_exact()
def spread_percent(book: OrderBook) -> Decimal | None:
    """Spread ÷ mid price · 100; none when a side is empty."""
    gap, mid = spread(book), mid_price(book)
    return None if gap is None or mid is None else _rounded(_HUNDRED * gap / mid)


@_exact()
def microprice(book: OrderBook) -> Decimal | None:
    """Mid price weighted by the opposite queues: (ask · bid quantity + bid · ask quantity) ÷ (sum of both quantities).

    It lies nearer to the side with the shorter queue, where the next trade is likelier (Stoikov 2018 calls it the
    weighted mid price). None when a side is empty.
    """
    if not book.has_both_sides:
        return None
    bid, ask = book.bids[0], book.asks[0]
    return _rounded((ask.price * bid.quantity + bid.price * ask.quantity) / (bid.quantity + ask.quantity))


@_exact()
def depth_within(book: OrderBook, share: Decimal = Decimal("0.01")) -> DepthWithin:
    """Base quantity of the bids at or above mid · (1 − share) and of the asks at or below mid · (1 + share), exact.

    Args:
        book: the book; 20 levels of a liquid one span far less than 1 %, so this is a lower bound there.
        share: distance from the mid price.

    Returns:
        Both sums; none when a side is empty.
    """
    mid = mid_price(book)
    if mid is None:
        return DepthWithin(None, None)
    lowest, highest = mid * (1 - share), mid * (1 + share)
    return DepthWithin(
        _quantity(level for level in book.bids if level.price >= lowest),
        _quantity(level for level in book.asks if level.price <= highest),
    )


@_exact()
def order_book_imbalance(book: OrderBook, levels: int = 10) -> Decimal | None:
    """(ΣB − ΣA) ÷ (ΣB + ΣA) of the quantities of the best levels.

    Args:
        book: the book.
        levels: levels per side; all where there are fewer.

    Returns:
        −1 (asks only) to 1 (bids only); none for an empty book.

    Raises:
        ValueError: ``levels`` is below 1.
    """
    require_window(levels)
    bid, ask = _quantity(book.bids[:levels]), _quantity(book.asks[:levels])
    return _rounded((bid - ask) / (bid + ask)) if bid + ask else None


@_exact()
def fill(levels: Sequence[Level], quote_size: Decimal) -> Fill:
    """Return what a market order of a size in quote currency meets, level by level.

    Args:
        levels: the side that it takes from, best first.
        quote_size: size in quote currency, above 0.

    Returns:
        Average price and the filled and unfilled part, which add up to the size.

    Raises:
        ValueError: the size is not a finite number above 0.
    """
    if not (quote_size.is_finite() and quote_size > 0):
        raise ValueError(f"quote_size must be a finite number above 0, was {quote_size}")
    left, base = quote_size, Decimal()
    for price, quantity in levels:
        if left <= price * quantity:
            return Fill(quote_size / (base + left / price), quote_size, Decimal())
        left -= price * quantity
        base += quantity
    filled = quote_size - left
    return Fill(filled / base if base else None, filled, left)


@_exact()
def slippage(book: OrderBook, side: Side, quote_size: Decimal) -> Slippage:
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
    mid = mid_price(book)
    taken = () if mid is None else book.asks if side is Side.BUY else book.bids
    average, filled, unfilled = fill(taken, quote_size)
    if mid is None or average is None or unfilled:
        return Slippage(quote_size, side, None, filled, unfilled)
    distance = average - mid if side is Side.BUY else mid - average
    return Slippage(quote_size, side, _rounded(_HUNDRED * distance / mid), filled, unfilled)


@_exact()
def cost_to_trade_bps(book: OrderBook, quote_size: Decimal) -> Decimal | None:
    """Mean slippage of a buy and a sell of ``quote_size`` in basis points; none when either side cannot fill it.

    Raises:
        ValueError: the size is not a finite number above 0.
    """
    both = [slippage(book, side, quote_size).slippage_percent for side in Side]
    known = [percent for percent in both if percent is not None]
    return _rounded(_HUNDRED * sum(known) / len(both)) if len(known) == len(both) else None


@_exact()
def order_flow_imbalance(best: Sequence[tuple[Level, Level]]) -> Decimal | None:
    """Order-flow imbalance of Cont, Kukanov and Stoikov (2014) over a run of best quotes, exact.

    Σ over consecutive books of: + bid quantity now if the bid did not fall, − bid quantity before if it did not rise,
    − ask quantity now if the ask did not rise, + ask quantity before if it did not fall. While prices stand still this
    is the change of the bid queue minus that of the ask queue.

    Args:
        best: best bid and best ask of each book, oldest first.

    Returns:
        Base units, positive for buying pressure; books with an invalid level are left out, none with fewer than two.
    """
    valid = [(bid, ask) for bid, ask in best if bid.is_valid and ask.is_valid]
    if len(valid) < 2:
        return None
    bids, asks = zip(*valid, strict=True)
    return _queue_change(bids, operator.ge) - _queue_change(asks, operator.le)


def _queue_change(best: Sequence[Level], is_as_good: Callable[[Decimal, Decimal], bool]) -> Decimal:
    """Sum what joined a best queue less what left it; the price that ``is_as_good`` prefers is the better one."""
    total = Decimal()
    for before, now in pairwise(best):
        if is_as_good(now.price, before.price):
            total += now.quantity
        if is_as_good(before.price, now.price):
            total -= before.quantity
    return total


def _quantity(levels: Iterable[Level]) -> Decimal:
    return sum((level.quantity for level in levels), Decimal())


def _rounded(quotient: Decimal) -> Decimal:
    return _QUOTIENT.plus(quotient)
