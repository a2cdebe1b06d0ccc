"""The spread document against the book vector, decimal arithmetic on a recorded book, and what gives no document."""

import asyncio
import gzip
import json
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.analytics.calculators.spread import SPREAD
from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.document import Result
from common.analytics.window import Missing
from common.errors import InvalidEvent
from common.events.own import AnalyticsRequested
from common.models.families import Family
from common.models.rows import CandleRow, DepthRow
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from common.times import HOUR_MS, MINUTE_MS, parse_instant
from functions.spread.calculator import compute
from functions.spread.inputs import Book, SpreadInputs, load
from functions.volatility.calculator import compute as volatility
from functions.volatility.inputs import VolatilityInputs
from tests.support import exact_books
from tests.support.calculators import encoded_fields, flat, history_of, number, recorded_until
from tests.support.candles import part, random_walk, recorded_rows, without
from tests.support.watched_store import watched_store

H1 = Timeframe.H1
AS_OF = parse_instant("2025-12-31T23:59:00Z")
NO_HOURS = part(random_walk(1, H1), slice(0, 0))
SIZES = ("10000", "50000", "100000")

Levels = Sequence[tuple[str, str]]


def book(bids: Levels, asks: Levels, time_ms: int = AS_OF) -> Book:
    return Book(time_ms, tuple(bids), tuple(asks))


def vector(scale: int = 1) -> Book:
    """The book of the analytics page, its quantities multiplied."""
    bids = [(str(Decimal(100) - Decimal(j) / 10), str((1 + j) * scale)) for j in range(20)]
    asks = [
        (str(Decimal("100.2") + Decimal(j) / 10), str((Decimal("0.4") + Decimal(j) / 5) * scale)) for j in range(20)
    ]
    return book(bids, asks)


def result_of(*books: Book, hours: CandleColumns = NO_HOURS) -> Result:
    (result,) = compute(SpreadInputs("BTCUSDT", books, hours))
    return result


def decimal(result: Result, name: str) -> Decimal:
    """Return a field that is computed in decimals."""
    value = result.fields[name]
    assert isinstance(value, str), f"{name} was {value!r}"
    return Decimal(value)


def orders(result: Result) -> dict[tuple[str, str], dict[str, Any]]:
    return {(order["quote_size"], order["side"]): order for order in encoded_fields(result)["slippage"]}


def test_the_book_vector_of_the_analytics_page() -> None:
    result = result_of(vector())
    expected = {
        "bid_ask_spread": "0.2",
        "mid_price": "100.1",
        "spread_percentage": "0.19980019980019980020",
        "market_depth_bid": "55",
        "market_depth_ask": "13.0",
        "order_book_imbalance": "0.61764705882352941176",
        "microprice": "100.14285714285714286",
    }
    assert {name: result.fields[name] for name in expected} == expected
    assert result.parameters["depth_levels"] == 20


def test_a_book_that_cannot_fill_an_order_says_what_stays_open() -> None:
    result = result_of(vector())
    buying = orders(result)["10000", "buy"]
    steps = [Decimal(j) / 10 for j in range(20)]
    available = sum((Decimal("100.2") + step) * (Decimal("0.4") + 2 * step) for step in steps)
    assert buying["slippage_percent"] is None
    assert result.fields["slippage_estimate"] is None
    assert Decimal(buying["filled_quote"]) == available
    assert Decimal(buying["filled_quote"]) + Decimal(buying["unfilled_quote"]) == 10_000
    assert result.fields["cost_to_trade_bps"] is None
    selling = orders(result)["10000", "sell"]
    assert (selling["filled_quote"], selling["unfilled_quote"]) == ("10000", "0")
    assert float(selling["slippage_percent"]) > 0


def test_slippage_grows_with_the_size_on_both_sides() -> None:
    result = result_of(vector(scale=100))
    told = orders(result)
    assert list(told) == [(size, side) for size in SIZES for side in ("buy", "sell")]
    for side in ("buy", "sell"):
        percent = [Decimal(told[size, side]["slippage_percent"]) for size in SIZES]
        assert percent == sorted(percent)
        assert all(told[size, side]["unfilled_quote"] == "0" for size in SIZES)
    both = [told["10000", side]["slippage_percent"] for side in ("buy", "sell")]
    assert result.fields["slippage_estimate"] == both[0]
    assert exact_books.is_rounded(result.fields["cost_to_trade_bps"], sum(map(Fraction, both), Fraction()) * 50)


@pytest.mark.parametrize(
    ("bid", "ask", "spread", "mid"),
    [
        ("64302.00", "64302.10", "0.10", "64302.05"),
        ("0.00001233", "0.00001234", "0.00000001", "0.000012335"),
        ("99999999.99999998", "99999999.99999999", "0.00000001", "99999999.999999985"),
        ("1", "1.5", "0.5", "1.25"),
    ],
)
def test_prices_are_exact_to_the_digit(bid: str, ask: str, spread: str, mid: str) -> None:
    result = result_of(book([(bid, "1")], [(ask, "2")]))
    assert (result.fields["bid_ask_spread"], result.fields["mid_price"]) == (spread, mid)
    share = (Decimal(ask) - Decimal(bid)) / ((Decimal(ask) + Decimal(bid)) / 2) * 100
    assert float(decimal(result, "spread_percentage")) == float(share)


def recorded_books(recorded_data: Path) -> Iterator[Book]:
    """Yield the snapshots of each recording, the best 20 levels of a side."""
    for path in sorted((recorded_data / "ws").glob("*_live_*.ndjson.gz")):
        with gzip.open(path, "rt") as lines:
            for line in lines:
                if '"src":"rest"' in line.replace(" ", "")[:200]:
                    message = json.loads(line)["msg"]
                    bids, asks = (tuple((p, q) for p, q in message[side][:20]) for side in ("bids", "asks"))
                    yield book(bids, asks)


def assert_decimals(real: Book) -> None:
    """Compare the document of a book with exact fractions: sums to the last digit, quotients rounded once."""
    result = result_of(real)
    bids, asks = real.bids, real.asks
    assert Fraction(decimal(result, "mid_price")) == exact_books.mid_price(bids, asks)
    near = (decimal(result, "market_depth_bid"), decimal(result, "market_depth_ask"))
    assert tuple(map(Fraction, near)) == exact_books.depth_within(bids, asks, Fraction(1, 100))
    assert exact_books.is_rounded(result.fields["order_book_imbalance"], exact_books.imbalance(bids, asks, 10))
    assert exact_books.is_rounded(result.fields["microprice"], exact_books.microprice(bids, asks))
    for (size, side), order in orders(result).items():
        exact = exact_books.walk(bids, asks, side, size)
        assert (Fraction(order["filled_quote"]), Fraction(order["unfilled_quote"])) == (exact.filled, exact.unfilled)
        assert (order["slippage_percent"] is None) == (exact.percent is None)
        if exact.percent is not None:
            assert exact_books.is_rounded(order["slippage_percent"], exact.percent)


def test_recorded_books_agree_with_fractions(recorded_data: Path) -> None:
    books = list(recorded_books(recorded_data))
    assert len(books) >= 10
    for real in books:
        assert_decimals(real)


def test_a_depth_that_doubles_get_wrong_has_the_digits_of_its_quantities() -> None:
    sizes = ("261.4", "0.1", "0.2", "0.02")
    bids = [(f"{100 - place / 100}", size) for place, size in enumerate(sizes)]
    assert str(sum(map(float, sizes))) != "261.72"
    assert result_of(book(bids, [("100.5", "1")])).fields["market_depth_bid"] == "261.72"


def test_order_flow_is_that_of_the_best_quotes_one_after_the_other() -> None:
    """Cont, Kukanov and Stoikov (2014), example by hand."""
    books = [
        book([("100", "5")], [("101", "4")]),
        book([("100", "7")], [("101", "4")]),  # + 2: more bids
        book([("100", "7")], [("101", "1")]),  # + 3: fewer asks
        book([("100.5", "2")], [("101", "1")]),  # + 2: a better bid
        book([("100.5", "2")], [("100.9", "6")]),  # − 6: a better ask
        book([("100.4", "9")], [("100.9", "6")]),  # − 2: the bid fell
        book([("100.4", "9")], [("101", "8")]),  # + 6: the ask rose
    ]
    assert decimal(result_of(*books), "order_flow_imbalance") == 2 + 3 + 2 - 6 - 2 + 6
    assert result_of(*books).basis.rows_used == 7
    assert result_of(books[0]).fields["order_flow_imbalance"] is None


def test_liquidity_is_the_volume_of_a_day_over_hourly_volatility(recorded_data: Path) -> None:
    hours = recorded_until(recorded_data, "um_1h_ETHUSDT_2025-09_2025-12", "2025-10-11T12:00:00Z", 26)
    returns = pd.Series(np.log(hours.close)).diff()
    expected = hours.quote_volume[-24:].sum() / returns.rolling(20).std().iloc[-1]
    assert number(result_of(vector(), hours=hours), "liquidity_ratio") == pytest.approx(expected, rel=1e-10)


def test_its_volatility_is_that_of_the_volatility_document() -> None:
    candles = random_walk(300, H1)
    (other,) = volatility(VolatilityInputs(history_of(VOLATILITY, candles), NO_HOURS, NO_HOURS))
    day = part(candles, slice(-26, None))
    expected = candles.quote_volume[-24:].sum() / number(other, "rolling_stddev")
    assert number(result_of(vector(), hours=day), "liquidity_ratio") == pytest.approx(expected, rel=1e-12)


def test_without_a_whole_day_or_without_volatility_there_is_no_liquidity() -> None:
    hours = random_walk(26, H1)
    without_quotes = random_walk(26, H1)
    without_quotes.quote_volume[-5] = np.nan
    for lacking in (NO_HOURS, part(hours, slice(3, None)), without(hours, 4, 3), flat(hours), without_quotes):
        assert math.isnan(number(result_of(vector(), hours=lacking), "liquidity_ratio"))
    for sufficient in (part(hours, slice(2, None)), without(hours, 4)):
        assert number(result_of(vector(), hours=sufficient), "liquidity_ratio") > 0


def row(age_ms: int, bids: Levels = (("100", "1"),), asks: Levels = (("101", "1"),)) -> DepthRow:
    return DepthRow("BTCUSDT", AS_OF - age_ms, 1_000_000 - age_ms, json.dumps(bids), json.dumps(asks))


def loaded(*rows: DepthRow, candles: Sequence[CandleRow] = (), **changes: Any) -> SpreadInputs | Missing:
    request = {"metric": "spread", "symbols": ("BTCUSDT",), "as_of_ms": AS_OF, **changes}
    with watched_store() as store:
        store.put(Family.DEPTH, rows)
        store.put(Family.CANDLES, candles)
        return asyncio.run(load(store, SPREAD, AnalyticsRequested.model_validate(request)))


def test_the_books_of_the_last_minute_are_read_oldest_first() -> None:
    inputs = loaded(*(row(age_ms) for age_ms in (-1, 0, 250, 59_000, 60_000, 60_001, HOUR_MS)))
    assert isinstance(inputs, SpreadInputs)
    assert [AS_OF - one.time_ms for one in inputs.books] == [60_000, 59_000, 250, 0], "nothing from after the instant"
    (result,) = compute(inputs)
    assert result.basis.data_until_ms == AS_OF
    assert result.basis.completeness == 100.0


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], Missing.STALE),
        ([row(60_001)], Missing.STALE),
        ([row(-1)], Missing.STALE),
        ([row(10, bids=[])], Missing.UNUSABLE_BOOK),
        ([row(10, asks=[])], Missing.UNUSABLE_BOOK),
        ([row(10, bids=[("101", "1")])], Missing.UNUSABLE_BOOK),
        ([row(500), row(10, bids=[("102", "1")])], Missing.UNUSABLE_BOOK),
    ],
    ids=["none", "old", "future", "no bids", "no asks", "locked", "crossed"],
)
def test_without_a_usable_book_there_is_no_document(rows: list[DepthRow], reason: Missing) -> None:
    assert loaded(*rows) is reason


def test_books_that_nobody_can_trade_on_have_no_part_in_the_flow() -> None:
    inputs = loaded(row(900), row(600, bids=[("105", "1")]), row(300, asks=[]), row(0, bids=[("100", "4")]))
    assert isinstance(inputs, SpreadInputs)
    assert len(inputs.books) == 2
    assert compute(inputs)[0].fields["order_flow_imbalance"] == "3"


def test_prices_that_doubles_cannot_tell_apart_are_no_locked_book() -> None:
    assert float("99999999.99999998") == float("99999999.99999999")
    inputs = loaded(row(0, bids=[("99999999.99999998", "1")], asks=[("99999999.99999999", "1")]))
    assert isinstance(inputs, SpreadInputs)


def test_a_day_of_closed_hours_is_read_with_room_for_two(recorded_data: Path) -> None:
    rows = recorded_rows(recorded_data / "klines" / "um_1h_BTCUSDT_2025-09_2025-12.csv.gz", "BTCUSDT", H1)
    inputs = loaded(row(0), candles=rows)
    assert isinstance(inputs, SpreadInputs)
    assert len(inputs.hours) == 26
    assert int(inputs.hours.open_time_ms[-1]) + HOUR_MS == AS_OF - 59 * MINUTE_MS


@pytest.mark.parametrize(
    ("changes", "field"), [({"timeframe": "1h"}, "timeframe"), ({"symbols": ("BTCUSDT", "ETHUSDT")}, "symbols")]
)
def test_a_request_that_makes_no_sense_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        loaded(row(0), **changes)
    assert refused.value.field == field


def test_scaling_prices_changes_only_what_is_a_price() -> None:
    wide = vector(scale=1000)
    bids, asks = ([(str(Decimal(p) * 8), str(Decimal(q) / 8)) for p, q in side] for side in (wide.bids, wide.asks))
    scaled = book(bids, asks)
    before, after = result_of(wide), result_of(scaled)
    for name in ("spread_percentage", "order_book_imbalance", "slippage_estimate", "cost_to_trade_bps"):
        assert decimal(after, name) == decimal(before, name)
    assert Decimal(str(after.fields["bid_ask_spread"])) == 8 * Decimal(str(before.fields["bid_ask_spread"]))
    assert float(decimal(after, "microprice")) == pytest.approx(8 * float(decimal(before, "microprice")), rel=1e-15)


@pytest.mark.parametrize("level", [("1e-8", "1e-8"), ("99999999999", "99999999999"), ("0.1", "1e-300")])
def test_extreme_levels_never_raise(level: tuple[str, str]) -> None:
    ask = (str(Decimal(level[0]) * 2), level[1])
    result = result_of(book([level], [ask]), book([level], [ask]))
    assert set(result.fields) == set(result_of(vector()).fields)
    assert encoded_fields(result)["bid_ask_spread"] == format(Decimal(level[0]), "f")
