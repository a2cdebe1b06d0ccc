"""A local order book kept by the exchange's rule from a REST snapshot and the differences that follow it.

The rule: differences are kept until the snapshot is there; those that end before it are dropped; the first one applied
must reach over it; each one after must join its predecessor (futures: ``pu`` is the last ``u``; spot: ``U`` is the last
``u`` + 1). Where they do not join, the book is worth nothing until the next snapshot.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

import msgspec

Level = tuple[str, str]

# Differences kept while no snapshot is there: minutes of them, and a snapshot needs only those just before it.
_MAX_KEPT: Final = 20_000


class Difference(msgspec.Struct, gc=False):
    """A ``depthUpdate`` event of a diff stream, with the exchange's names; quantity zero deletes a level."""

    E: int
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]
    T: int | None = None
    pu: int | None = None


class Snapshot(msgspec.Struct, gc=False):
    """The answer of the REST depth endpoint."""

    last_update_id: int = msgspec.field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]


class Outcome(Enum):
    """What a difference did."""

    APPLIED = auto()
    KEPT = auto()  # it waits for a snapshot
    STALE = auto()  # the snapshot holds it already
    BROKEN = auto()  # it does not join what was applied before: a new snapshot is needed


class _Side:
    """One side of a book. ``prices`` ascend; the texts of the levels are found by their value."""

    def __init__(self) -> None:
        self.prices: list[float] = []
        self.levels: dict[float, Level] = {}

    def replace(self, levels: Iterable[Level]) -> None:
        self.levels = {float(level[0]): level for level in levels if float(level[1])}
        self.prices = sorted(self.levels)

    def change(self, level: Level) -> None:
        price = float(level[0])
        if float(level[1]):
            if price not in self.levels:
                insort(self.prices, price)
            self.levels[price] = level
        elif self.levels.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]


class OrderBook:
    """The book of one symbol. It is ``synchronised`` from the first difference that joins a snapshot."""

    def __init__(self) -> None:
        self.synchronised = False
        self.last_update_id: int | None = None
        self._bids = _Side()
        self._asks = _Side()
        self._kept: deque[Difference] = deque(maxlen=_MAX_KEPT)

    @property
    def awaits_snapshot(self) -> bool:
        """Whether differences are only kept, because nothing is there that they could change."""
        return self.last_update_id is None

    def load(self, snapshot: Snapshot) -> list[tuple[Difference, Outcome]]:
        """Begin anew from a snapshot and apply the differences that were kept; returns what each of them did.

        A snapshot that is older than a synchronised book changes nothing.
        """
        if self.synchronised and self.last_update_id is not None and snapshot.last_update_id <= self.last_update_id:
            return []
        kept, self._kept = list(self._kept), deque(maxlen=_MAX_KEPT)
        self._bids.replace(snapshot.bids)
        self._asks.replace(snapshot.asks)
        self.last_update_id, self.synchronised = snapshot.last_update_id, False
        return [(difference, self.apply(difference)) for difference in kept]

    def apply(self, difference: Difference) -> Outcome:
        """Change the book by a difference, if the rule allows it."""
        last = self.last_update_id
        if last is None:
            self._kept.append(difference)
            return Outcome.KEPT
        if difference.u < last or (difference.u == last and (self.synchronised or difference.pu is None)):
            return Outcome.STALE
        if not self._joins(difference, last):
            self.last_update_id, self.synchronised = None, False
            self._kept.append(difference)
            return Outcome.BROKEN
        for level in difference.b:
            self._bids.change(level)
        for level in difference.a:
            self._asks.change(level)
        self.last_update_id, self.synchronised = difference.u, True
        return Outcome.APPLIED

    def _joins(self, difference: Difference, last: int) -> bool:
        if self.synchronised:
            return last == (difference.U - 1 if difference.pu is None else difference.pu)
        if difference.pu is None:
            return difference.U - 1 <= last <= difference.u
        return difference.pu == last or difference.U <= last <= difference.u

    def bids(self, count: int) -> list[Level]:
        """Return the best ``count`` bids, highest price first."""
        return [self._bids.levels[price] for price in self._bids.prices[: -count - 1 : -1]]

    def asks(self, count: int) -> list[Level]:
        """Return the best ``count`` asks, lowest price first."""
        return [self._asks.levels[price] for price in self._asks.prices[:count]]

    @property
    def crossed(self) -> bool:
        """Whether the book is of no use to anyone: a bid at or above an ask, or a side without levels."""
        bids, asks = self._bids.prices, self._asks.prices
        return not bids or not asks or bids[-1] >= asks[0]


class PartialBooks:
    """Makes ``depth20@100ms`` events of a book: the top 20 levels, at most one event in 100 ms of event time."""

    LEVELS: Final = 20
    INTERVAL_MS: Final = 100

    def __init__(self, book: OrderBook) -> None:
        self._book = book
        self._last_ms: int | None = None

    def after(self, difference: Difference) -> bytes | None:
        """Return the event after ``difference`` was applied, with its ids and times; None when it is too early."""
        if self._last_ms is not None and 0 <= difference.E - self._last_ms < self.INTERVAL_MS:
            return None
        if self._book.crossed:
            return None
        self._last_ms = difference.E
        transaction = "" if difference.T is None else f'"T":{difference.T},'
        previous = "" if difference.pu is None else f'"pu":{difference.pu},'
        return (
            f'{{"e":"depthUpdate","E":{difference.E},{transaction}"s":"{difference.s}","U":{difference.U},'
            f'"u":{difference.u},{previous}"b":{_json(self._book.bids(self.LEVELS))},'
            f'"a":{_json(self._book.asks(self.LEVELS))}}}'
        ).encode()


def _json(levels: list[Level]) -> str:
    return "[" + ",".join(f'["{price}","{quantity}"]' for price, quantity in levels) + "]"
