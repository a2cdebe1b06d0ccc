"""Order-book measures against exact fractions, exhaustive walks of small books, and hand-worked events."""

import random
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.indicators import order_book
from common.indicators.order_book import Level, OrderBook, Side
from tests.support import exact_books

Levels = list[tuple[str, str]]
SHARE = Decimal("0.01")


def book(bids: Levels, asks: Levels) -> OrderBook:
    return order_book.order_book(bids, asks)


def assert_exact(bids: Levels, asks: Levels, sizes: tuple[str, ...]) -> None:
    """Compare every measure of a book with its naive twin: sums to the last digit, quotients rounded once."""
    told = book(bids, asks)
    gap, mid = order_book.spread(told), order_book.mid_price(told)
    assert gap == Decimal(asks[0][0]) - Decimal(bids[0][0])
    assert mid is not None
    assert Fraction(mid) == exact_books.mid_price(bids, asks)
    assert gap is not None
    assert exact_books.is_rounded(order_book.spread_percent(told), Fraction(gap) / Fraction(mid) * 100)
    assert exact_books.is_rounded(order_book.microprice(told), exact_books.microprice(bids, asks))
    near = order_book.depth_within(told, SHARE)
    assert near.bid is not None
    assert near.ask is not None
    assert (Fraction(near.bid), Fraction(near.ask)) == exact_books.depth_within(bids, asks, Fraction(1, 100))
    for levels in (1, 3, 10, 50):
        expected = exact_books.imbalance(bids, asks, levels)
        assert exact_books.is_rounded(order_book.order_book_imbalance(told, levels), expected)
    for size in sizes:
        assert_walks(told, bids, asks, size)


def assert_walks(told: OrderBook, bids: Levels, asks: Levels, size: str) -> None:
    for side in Side:
        ours, exact = order_book.slippage(told, side, Decimal(size)), exact_books.walk(bids, asks, side, size)
        assert (ours.side, ours.quote_size) == (side, Decimal(size))
        assert Fraction(ours.filled_quote) == exact.filled
        assert Fraction(ours.unfilled_quote) == exact.unfilled
        assert (ours.slippage_percent is None) == (exact.percent is None)
        if exact.percent is not None:
            assert exact_books.is_rounded(ours.slippage_percent, exact.percent)
    cost = exact_books.cost_bps(bids, asks, size)
    ours_bps = order_book.cost_to_trade_bps(told, Decimal(size))
    assert (ours_bps is None) == (cost is None)
    if cost is not None:
        assert abs(Fraction(str(ours_bps)) - cost) <= cost / 10**19


def generated_book(seed: int, tick: Decimal, lot: Decimal, first: int, levels: int) -> tuple[Levels, Levels]:
    """Return a book on a grid of ticks and lots, with gaps between its levels."""
    chance = random.Random(seed)
    bid = first
    ask = bid + chance.randint(1, 3)
    bids, asks = [], []
    for _ in range(levels):
        bids.append((str(bid * tick), str(chance.randint(1, 10**6) * lot)))
        asks.append((str(ask * tick), str(chance.randint(1, 10**6) * lot)))
        bid, ask = bid - chance.randint(1, 5), ask + chance.randint(1, 5)
    return bids, asks


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    tick=st.sampled_from(["0.1", "0.01", "0.00000001", "1", "100"]),
    lot=st.sampled_from(["0.001", "0.00000001", "1", "1000"]),
    first=st.integers(200, 10**12),
    levels=st.integers(1, 20),
)
def test_generated_books_agree_with_fractions(seed: int, tick: str, lot: str, first: int, levels: int) -> None:
    bids, asks = generated_book(seed, Decimal(tick), Decimal(lot), first, levels)
    assert_exact(bids, asks, ("0.01", "10000", "50000", "100000", "1e15"))


@pytest.mark.parametrize("quantities", list(product(["0.25", "1", "3.5"], repeat=3)))
def test_slippage_of_all_small_books(quantities: tuple[str, ...]) -> None:
    asks = list(zip(["100.2", "100.3", "100.7"], quantities, strict=True))
    bids = list(zip(["100", "99.9", "99.1"], quantities, strict=True))
    assert_exact(bids, asks, ("1", "24.9", "25.05", "50", "100.2", "300", "1100", "5000"))


def test_a_sum_that_doubles_get_wrong_is_exact() -> None:
    tenths = [(f"{100 - level}.5", "0.1") for level in range(1, 11)]
    told = book(tenths, [("100.5", "0.7"), ("100.6", "0.1"), ("100.7", "0.3")])
    near = order_book.depth_within(told, Decimal("0.1"))
    assert sum([0.7, 0.1, 0.3]) != 1.1
    assert (str(near.bid), str(near.ask)) == ("1.0", "1.1")


def test_a_level_at_exactly_one_percent_counts_and_one_beyond_does_not() -> None:
    told = book(
        [("100.9", "1"), ("99.99", "2"), ("99.98999999", "4")], [("101.1", "1"), ("102.01", "2"), ("102.01000001", "4")]
    )
    assert order_book.mid_price(told) == 101
    assert order_book.depth_within(told) == (Decimal(3), Decimal(3))


def test_an_order_that_takes_the_whole_book_is_filled() -> None:
    whole = order_book.slippage(book([("100", "1")], [("101", "2")]), Side.BUY, Decimal(202))
    assert whole.unfilled_quote == 0
    assert exact_books.is_rounded(whole.slippage_percent, Fraction(100) / 201)


def test_the_average_price_of_a_part_that_is_filled() -> None:
    asks = book([], [("100", "1"), ("110", "3")]).asks
    part = order_book.fill(asks, Decimal(1000))
    assert part == (Decimal("107.5"), Decimal(430), Decimal(570))
    assert order_book.fill((), Decimal(5)) == (None, Decimal(0), Decimal(5))


def test_cost_to_trade_is_the_mean_of_both_sides() -> None:
    b = book([("100", "1"), ("99", "100")], [("101", "1"), ("102", "100")])
    buy, sell = (order_book.slippage(b, side, Decimal(500)).slippage_percent for side in Side)
    assert buy is not None
    assert sell is not None
    assert float(order_book.cost_to_trade_bps(b, Decimal(500)) or 0) == pytest.approx(float(buy + sell) * 50)
    assert order_book.cost_to_trade_bps(b, Decimal(10_200)) is None, "the asks have 10 301, the bids 10 000"
    assert order_book.cost_to_trade_bps(b, Decimal(1_000_000)) is None


def test_small_orders_cost_half_the_spread() -> None:
    b = book([("99.5", "10")], [("100.5", "10")])
    assert order_book.cost_to_trade_bps(b, Decimal(1)) == 50


def test_microprice_leans_to_the_short_queue() -> None:
    assert order_book.microprice(book([("100", "3")], [("101", "1")])) == Decimal("100.75")
    assert order_book.microprice(book([("100", "1")], [("101", "3")])) == Decimal("100.25")
    assert order_book.microprice(book([("100", "2")], [("101", "2")])) == Decimal("100.5")


def test_levels_that_are_none_are_left_out_and_the_rest_is_sorted() -> None:
    b = book(
        [("99", "1"), ("100", "2"), ("nan", "1"), ("98", "0"), ("-1", "5"), ("100.4", "inf")],
        [("102", "1"), ("101", "4")],
    )
    assert [level.price for level in b.bids] == [100, 99]
    assert b.asks == (Level(Decimal(101), Decimal(4)), Level(Decimal(102), Decimal(1)))
    assert b.is_tradable


def test_one_sided_and_crossed_books() -> None:
    empty, one_sided = book([], []), book([("100", "1")], [])
    crossed, ten = book([("101", "1")], [("100", "1")]), Decimal(10)
    assert not any(b.is_tradable for b in (empty, one_sided, crossed, book([("1", "1")], [("1", "1")])))
    assert order_book.spread(crossed) == -1
    for b in (empty, one_sided):
        measures = (order_book.spread, order_book.mid_price, order_book.spread_percent, order_book.microprice)
        assert [measure(b) for measure in measures] == [None] * 4
        assert order_book.depth_within(b) == (None, None)
        assert order_book.cost_to_trade_bps(b, ten) is None
        assert order_book.slippage(b, Side.SELL, ten) == (ten, Side.SELL, None, Decimal(0), ten)
    assert order_book.order_book_imbalance(empty) is None
    assert order_book.order_book_imbalance(one_sided) == 1


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf"])
def test_a_size_that_is_none_is_a_mistake(size: str) -> None:
    with pytest.raises(ValueError, match="quote_size must be"):
        order_book.slippage(book([("1", "1")], [("2", "1")]), Side.BUY, Decimal(size))


def test_other_mistakes() -> None:
    with pytest.raises(InvalidOperation):
        order_book.order_book([("a price", "1")], [])
    with pytest.raises(ValueError, match="window must be at least"):
        order_book.order_book_imbalance(book([], []), 0)


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


def quotes(*rows: tuple[int | str, ...]) -> list[tuple[Level, Level]]:
    """Return best quotes of bid, bid quantity, ask, ask quantity."""
    decimals = [[Decimal(number) for number in row] for row in rows]
    return [(Level(*row[:2]), Level(*row[2:])) for row in decimals]


@pytest.mark.parametrize(("before", "after", "expected"), [event[1:] for event in EVENTS], ids=[e[0] for e in EVENTS])
def test_order_flow_of_one_event(before: tuple[int, ...], after: tuple[int, ...], expected: int) -> None:
    assert order_book.order_flow_imbalance(quotes(before, after)) == expected


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), books=st.integers(2, 40))
def test_order_flow_agrees_with_fractions(seed: int, books: int) -> None:
    chance = random.Random(seed)
    run = [generated_book(chance.randrange(10**9), Decimal("0.1"), Decimal("0.001"), 1000, 1) for _ in range(books)]
    best = [(book(*one).bids[0], book(*one).asks[0]) for one in run]
    assert Fraction(order_book.order_flow_imbalance(best) or 0) == exact_books.order_flow(run)


def test_order_flow_at_constant_prices_is_the_change_of_the_queues() -> None:
    chance = random.Random(1)
    rows = [("100", f"{chance.uniform(1, 9):.3f}", "101", f"{chance.uniform(1, 9):.3f}") for _ in range(50)]
    change = [Decimal(rows[-1][place]) - Decimal(rows[0][place]) for place in (1, 3)]
    assert order_book.order_flow_imbalance(quotes(*rows)) == change[0] - change[1]


def test_order_flow_leaves_books_with_an_invalid_level_out() -> None:
    run = quotes((100, 5, 101, 4), ("nan", 5, 101, 4), (100, 0, 101, 4), (100, 8, 101, 4))
    assert order_book.order_flow_imbalance(run) == 3
    assert order_book.order_flow_imbalance(run[:2]) is None
