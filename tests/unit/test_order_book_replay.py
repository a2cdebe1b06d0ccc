"""The local order book against a naive twin and against recorded quotes."""

import gzip
import json
import random
from bisect import bisect_right
from pathlib import Path
from typing import Any

import msgspec
import pytest

from triggers.feeds.order_book import Difference, Level, OrderBook, Outcome, PartialBooks, Snapshot


def diff(first: int, last: int, previous: int | None, *, time_ms: int = 0, b: list[Level] | None = None) -> Difference:
    return Difference(time_ms, "X", first, last, b or [], [], time_ms, previous)


def loaded(last_id: int) -> OrderBook:
    book = OrderBook()
    book.load(Snapshot(last_id, [("10", "1")], [("11", "1")]))
    return book


@pytest.mark.parametrize("seed", range(20))
def test_a_long_run_of_differences_equals_a_naive_book(seed: int) -> None:
    rng = random.Random(seed)
    sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}

    def level(side: str) -> Level:
        price = rng.randint(900, 999) if side == "b" else rng.randint(1000, 1099)
        return (f"{price / 10:.2f}", rng.choice(["0", "0.000", f"{rng.randint(1, 9999) / 1000:.3f}"]))

    def naive(side: str) -> list[Level]:
        ordered = sorted(sides[side].items(), key=lambda item: float(item[0]), reverse=side == "b")
        return ordered[:20]

    for side in "ba":
        sides[side] = {price: "1.5" for price, _ in (level(side) for _ in range(60))}
    book = OrderBook()
    book.load(Snapshot(0, list(sides["b"].items()), list(sides["a"].items())))
    for update in range(1, 200):
        changes = {side: [level(side) for _ in range(rng.randint(0, 5))] for side in "ba"}
        for side in "ba":
            for price, quantity in changes[side]:
                if float(quantity):
                    sides[side][price] = quantity
                else:
                    sides[side].pop(price, None)
        change = Difference(0, "X", update, update, changes["b"], changes["a"], 0, update - 1)
        assert book.apply(change) is Outcome.APPLIED
        assert (book.bids(20), book.asks(20)) == (naive("b"), naive("a"))


@pytest.mark.parametrize(
    ("first", "last", "previous", "outcome"),
    [
        (90, 99, 89, Outcome.STALE),
        (90, 100, 89, Outcome.APPLIED),
        (99, 105, 98, Outcome.APPLIED),
        (101, 105, 100, Outcome.APPLIED),
        (102, 105, 101, Outcome.BROKEN),
    ],
)
def test_which_futures_difference_joins_a_snapshot(first: int, last: int, previous: int, outcome: Outcome) -> None:
    assert loaded(100).apply(diff(first, last, previous)) is outcome


@pytest.mark.parametrize(
    ("first", "last", "outcome"),
    [(90, 100, Outcome.STALE), (99, 105, Outcome.APPLIED), (101, 105, Outcome.APPLIED), (102, 105, Outcome.BROKEN)],
)
def test_which_spot_difference_joins_a_snapshot(first: int, last: int, outcome: Outcome) -> None:
    assert loaded(100).apply(diff(first, last, None)) is outcome


def test_after_the_first_each_difference_joins_the_one_before() -> None:
    futures, spot = loaded(100), loaded(100)
    assert futures.apply(diff(99, 110, 98)) is Outcome.APPLIED
    assert futures.apply(diff(99, 110, 98)) is Outcome.STALE  # delivered twice
    assert futures.apply(diff(115, 120, 110)) is Outcome.APPLIED  # pu counts, U may jump
    assert futures.apply(diff(121, 125, 119)) is Outcome.BROKEN
    assert not futures.synchronised
    assert spot.apply(diff(99, 110, None)) is Outcome.APPLIED
    assert spot.apply(diff(112, 115, None)) is Outcome.BROKEN


def test_an_older_snapshot_does_not_set_a_book_back() -> None:
    book = loaded(100)
    book.apply(diff(101, 110, 100, b=[("10", "5")]))
    assert book.load(Snapshot(105, [("1", "1")], [("2", "1")])) == []
    assert book.bids(1) == [("10", "5")]


def test_the_same_price_in_other_digits_is_the_same_level() -> None:
    book = loaded(100)
    book.apply(diff(101, 101, 100, b=[("10.00", "3")]))
    assert book.bids(5) == [("10.00", "3")]
    book.apply(diff(102, 102, 101, b=[("10.0", "0.00")]))
    assert book.bids(5) == []


def test_partial_books_keep_their_distance_and_are_never_crossed() -> None:
    book = loaded(100)
    partial = PartialBooks(book)
    times = [0, 40, 99, 100, 150, 199, 200, 450, 460]
    given = []
    for number, time_ms in enumerate(times, start=101):
        update = diff(number, number, number - 1, time_ms=time_ms)
        book.apply(update)
        if partial.after(update):
            given.append(time_ms)
    assert given == [0, 100, 200, 450]
    crossing = diff(110, 110, 109, time_ms=900, b=[("11", "1")])
    book.apply(crossing)
    assert partial.after(crossing) is None


def test_partial_books_hold_20_levels_in_order() -> None:
    book = OrderBook()
    bids = [(f"{price}", "1") for price in range(1, 51)]
    asks = [(f"{price}", "2") for price in range(100, 50, -1)]
    book.load(Snapshot(1, bids, asks))
    update = diff(2, 2, 1, time_ms=7)
    book.apply(update)
    event: dict[str, Any] = json.loads(PartialBooks(book).after(update) or b"{}")
    assert [price for price, _ in event["b"]] == [str(price) for price in range(50, 30, -1)]
    assert [price for price, _ in event["a"]] == [str(price) for price in range(51, 71)]
    assert (event["U"], event["u"], event["pu"], event["E"], event["T"], event["s"]) == (2, 2, 1, 7, 7, "X")


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("name", "right", "compared"),
    [("um_live_BTCUSDT_20240808T2354", 6_547, 6_547), ("spot_live_BTCUSDT_20240808T2354", 6_491, 6_493)],
)
def test_the_book_agrees_with_the_recorded_quotes_after_every_update(
    recorded_data: Path, name: str, right: int, compared: int
) -> None:
    """The judge is the exchange's own best bid and ask, price and quantity, of the last update that the book holds."""
    quotes: dict[int, tuple[Level, Level]] = {}
    updates: list[Snapshot | Difference] = []
    with gzip.open(recorded_data / "ws" / f"{name}.ndjson.gz") as text:
        for line in text:
            event = json.loads(line)["msg"]
            event = event.get("data", event)
            if "bids" in event:
                updates.append(msgspec.convert(event, Snapshot))
            elif event.get("e") == "depthUpdate":
                updates.append(msgspec.convert(event, Difference))
            elif "B" in event:
                quotes[event["u"]] = ((event["b"], event["B"]), (event["a"], event["A"]))
    ids = sorted(quotes)
    agreed = []
    book = _Watched()
    for update in updates:
        for last_id, best in book.take(update):
            at = bisect_right(ids, last_id)
            if at:
                agreed.append(best == quotes[ids[at - 1]])
    assert (sum(agreed), len(agreed)) == (right, compared)


class _Watched:
    """A book that tells its best levels after every difference that it applied."""

    def __init__(self) -> None:
        self._book = OrderBook()
        self._kept: list[Difference] = []

    def take(self, update: Snapshot | Difference) -> list[tuple[int, tuple[Level, Level]]]:
        if isinstance(update, Snapshot):
            kept, self._kept = self._kept, []
            self._book = OrderBook()
            self._book.load(update)
            return [best for difference in kept for best in self.take(difference)]
        outcome = self._book.apply(update)
        if outcome is Outcome.KEPT:
            self._kept.append(update)
        if outcome is not Outcome.APPLIED:
            return []
        return [(update.u, (self._book.bids(1)[0], self._book.asks(1)[0]))]
