"""Order-book measures as exact fractions, one level at a time: the naive twins of ``common.indicators.order_book``."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

Levels = Sequence[tuple[str, str]]
SIGNIFICANT_DIGITS = 20


def numbers(levels: Levels) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(price), Fraction(quantity)) for price, quantity in levels]


def mid_price(bids: Levels, asks: Levels) -> Fraction:
    return (Fraction(bids[0][0]) + Fraction(asks[0][0])) / 2


def depth_within(bids: Levels, asks: Levels, share: Fraction) -> tuple[Fraction, Fraction]:
    mid = mid_price(bids, asks)
    bid = sum((quantity for price, quantity in numbers(bids) if price >= mid - mid * share), Fraction())
    ask = sum((quantity for price, quantity in numbers(asks) if price <= mid + mid * share), Fraction())
    return bid, ask


def imbalance(bids: Levels, asks: Levels, levels: int) -> Fraction:
    bid = sum((quantity for _, quantity in numbers(bids)[:levels]), Fraction())
    ask = sum((quantity for _, quantity in numbers(asks)[:levels]), Fraction())
    return (bid - ask) / (bid + ask)


def microprice(bids: Levels, asks: Levels) -> Fraction:
    (bid, bid_quantity), (ask, ask_quantity) = numbers(bids)[0], numbers(asks)[0]
    share = bid_quantity / (bid_quantity + ask_quantity)
    return bid + (ask - bid) * share


class Walk(NamedTuple):
    """Slippage in percent (none when not filled), and the filled and unfilled part."""

    percent: Fraction | None
    filled: Fraction
    unfilled: Fraction


def walk(bids: Levels, asks: Levels, side: str, quote_size: str) -> Walk:
    mid, size = mid_price(bids, asks), Fraction(quote_size)
    left, base = size, Fraction()
    for price, quantity in numbers(asks if side == "buy" else bids):
        taken = min(left, price * quantity)
        base += taken / price
        left -= taken
    if left:
        return Walk(None, size - left, left)
    difference = size / base - mid if side == "buy" else mid - size / base
    return Walk(difference / mid * 100, size, left)


def cost_bps(bids: Levels, asks: Levels, quote_size: str) -> Fraction | None:
    buy, sell = (walk(bids, asks, side, quote_size).percent for side in ("buy", "sell"))
    return None if buy is None or sell is None else (buy + sell) * 50


def order_flow(books: Sequence[tuple[Levels, Levels]]) -> Fraction:
    """Cont, Kukanov and Stoikov (2014), one pair of books after the other."""
    total = Fraction()
    best = [(numbers(bids)[0], numbers(asks)[0]) for bids, asks in books]
    for ((bid0, bids0), (ask0, asks0)), ((bid1, bids1), (ask1, asks1)) in pairwise(best):
        total += bids1 * (bid1 >= bid0) - bids0 * (bid1 <= bid0) - asks1 * (ask1 <= ask0) + asks0 * (ask1 >= ask0)
    return total


def is_rounded(text: object, exact: Fraction) -> bool:
    """Tell whether a decimal is an exact quotient rounded to 20 significant digits."""
    told = Decimal(str(text))
    if exact == 0:
        return told == 0
    half_a_digit = Fraction(10) ** (Decimal(told).adjusted() - SIGNIFICANT_DIGITS + 1) / 2
    return len(told.as_tuple().digits) <= SIGNIFICANT_DIGITS and abs(Fraction(told) - exact) <= half_a_digit
