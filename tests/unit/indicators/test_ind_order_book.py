"""Order-book measures against exact fractions, exhaustive walks of small books, and hand-worked events."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from common.indicators import order_book
from common.indicators.order_book import OrderBook, Side

Levels = list[tuple[str, str]]
NO_LEVELS = np.empty((0, 2))


def book(bids: Levels, asks: Levels) -> OrderBook:
    return order_book.order_book(*(np.array(side, dtype=np.float64).reshape(-1, 2) for side in (bids, asks)))


def exact_slippage(levels: Levels, mid: Fraction, quote_size: Fraction, side: Side) -> tuple[Fraction | None, Fraction]:
    """Slippage in percent (none when not filled) and the unfilled part, level by level."""
    left, base = quote_size, Fraction(0)
    for price, quantity in ((Fraction(p), Fraction(q)) for p, q in levels):
        taken = min(left, price * quantity)
        base += taken / price
        left -= taken
    if left:
        return None, left
    average = quote_size / base
    return ((average - mid) if side is Side.BUY else (mid - average)) / mid * 100, left


@pytest.mark.parametrize("quantities", list(product(["0.25", "1", "3.5"], repeat=3)))
def test_slippage_of_all_small_books(quantities: tuple[str, ...]) -> None:
    asks = list(zip(["100.2", "100.3", "100.7"], quantities, strict=True))
    bids = list(zip(["100", "99.9", "99.1"], quantities, strict=True))
    mid = Fraction("100.1")
    for size in ("1", "24.9", "25.05", "50", "100.2", "300", "1100", "5000"):
        for side, levels in ((Side.BUY, asks), (Side.SELL, bids)):
            expected, unfilled = exact_slippage(levels, mid, Fraction(size), side)
            ours = order_book.slippage(book(bids, asks), side, float(size))
            assert ours.unfilled_quote == pytest.approx(float(unfilled), rel=1e-12, abs=1e-12)
            assert ours.filled_quote == pytest.approx(float(size) - float(unfilled), rel=1e-12)
            assert (ours.quote_size, ours.side) == (float(size), side)
            if expected is None:
                assert math.isnan(ours.slippage_percent)
            else:
                assert ours.slippage_percent == pytest.approx(float(expected), rel=1e-9)


def test_an_order_that_takes_the_whole_book_is_filled() -> None:
    whole = order_book.slippage(book([("100", "1")], [("101", "2")]), Side.BUY, 202.0)
    assert whole.unfilled_quote == 0
    assert whole.slippage_percent == pytest.approx(0.5 / 100.5 * 100)


def test_cost_to_trade_is_the_mean_of_both_sides() -> None:
    b = book([("100", "1"), ("99", "100")], [("101", "1"), ("102", "100")])
    buy, sell = (order_book.slippage(b, side, 500).slippage_percent for side in Side)
    assert order_book.cost_to_trade_bps(b, 500) == pytest.approx((buy + sell) / 2 * 100)
    assert math.isnan(order_book.cost_to_trade_bps(b, 1e6))


def test_small_orders_cost_half_the_spread() -> None:
    b = book([("99.5", "10")], [("100.5", "10")])
    assert order_book.cost_to_trade_bps(b, 1.0) == pytest.approx(50)


def test_microprice_leans_to_the_short_queue() -> None:
    assert order_book.microprice(book([("100", "3")], [("101", "1")])) == 100.75
    assert order_book.microprice(book([("100", "1")], [("101", "3")])) == 100.25
    assert order_book.microprice(book([("100", "2")], [("101", "2")])) == 100.5


def test_levels_that_are_none_are_left_out_and_the_rest_is_sorted() -> None:
    b = book(
        [("99", "1"), ("100", "2"), ("nan", "1"), ("98", "0"), ("-1", "5"), ("100.4", "inf")],
        [("102", "1"), ("101", "4")],
    )
    assert b.bid_price.tolist() == [100, 99]
    assert b.ask_price.tolist() == [101, 102]
    assert b.ask_quantity.tolist() == [4, 1]
    assert b.is_tradable


def test_one_sided_and_crossed_books() -> None:
    empty, one_sided = book([], []), book([("100", "1")], [])
    crossed = book([("101", "1")], [("100", "1")])
    assert not any(b.is_tradable for b in (empty, one_sided, crossed, book([("1", "1")], [("1", "1")])))
    assert order_book.spread(crossed) == -1
    for b in (empty, one_sided):
        assert math.isnan(order_book.spread(b))
        assert math.isnan(order_book.mid_price(b))
        assert math.isnan(order_book.spread_percent(b))
        assert math.isnan(order_book.microprice(b))
        assert all(math.isnan(x) for x in order_book.depth_within(b))
        assert math.isnan(order_book.cost_to_trade_bps(b, 10))
        assert order_book.slippage(b, Side.SELL, 10).unfilled_quote == 10
    assert math.isnan(order_book.order_book_imbalance(empty))
    assert order_book.order_book_imbalance(one_sided) == 1


def test_shapes_and_sizes_that_are_mistakes() -> None:
    with pytest.raises(ValueError, match="levels must have shape"):
        order_book.order_book(np.zeros((3, 3)), NO_LEVELS)
    with pytest.raises(ValueError, match="quote_size must be"):
        order_book.slippage(book([("1", "1")], [("2", "1")]), Side.BUY, 0)
    with pytest.raises(ValueError, match="window must be at least"):
        order_book.order_book_imbalance(book([], []), 0)
    assert order_book.order_book(np.array([]), NO_LEVELS).bid_price.shape == (0,)


# --- order flow: one event a time, worked by hand ---

EVENTS = [
    ("bid queue grows", (100, 5, 101, 4), (100, 8, 101, 4), 3),
    ("bid queue shrinks", (100, 5, 101, 4), (100, 2, 101, 4), -3),
    ("bid rises: all of the new queue", (100, 5, 102, 4), (101, 7, 102, 4), 7),
    ("bid falls: all of the old queue", (100, 5, 101, 4), (99, 9, 101, 4), -5),
    ("ask queue grows", (100, 5, 101, 4), (100, 5, 101, 6), -2),
    ("ask queue shrinks", (100, 5, 101, 4), (100, 5, 101, 1), 3),
    ("ask falls: all of the new queue", (100, 5, 102, 4), (100, 5, 101, 6), -6),
    ("ask rises: all of the old queue", (100, 5, 101, 4), (100, 5, 102, 9), 4),
    ("both move up", (100, 5, 101, 4), (101, 2, 102, 3), 2 + 4),
    ("nothing happens", (100, 5, 101, 4), (100, 5, 101, 4), 0),
]


@pytest.mark.parametrize(("before", "after", "expected"), [event[1:] for event in EVENTS], ids=[e[0] for e in EVENTS])
def test_order_flow_of_one_event(before: tuple[int, ...], after: tuple[int, ...], expected: float) -> None:
    quotes = np.array([before, after], dtype=np.float64).T
    assert order_book.order_flow_imbalance(*quotes) == expected


def test_order_flow_at_constant_prices_is_the_change_of_the_queues() -> None:
    rng = np.random.default_rng(1)
    bid, ask = rng.uniform(1, 9, 50), rng.uniform(1, 9, 50)
    flow = order_book.order_flow_imbalance(np.full(50, 100.0), bid, np.full(50, 101.0), ask)
    assert flow == pytest.approx((bid[-1] - bid[0]) - (ask[-1] - ask[0]), abs=1e-12)


def test_order_flow_leaves_missing_books_out() -> None:
    quotes = np.array([[100, 5, 101, 4], [np.nan, 5, 101, 4], [100, 8, 101, 4]], dtype=np.float64).T
    assert order_book.order_flow_imbalance(*quotes) == 3
    assert math.isnan(order_book.order_flow_imbalance(*quotes[:, :1]))
