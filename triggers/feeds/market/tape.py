"""The trades of one minute, made so that they add up to the minute's buckets exactly.

The trades of a bucket mirror each other: for one at middle price + x there is another at middle price - x, of the same
quantity and with the same taker, as far from the bucket's end as the first is from its beginning. Two trades at the
middle price, a buy and a sell, carry what remains of the volumes. So the bucket trades its volumes at its middle price
on average, exactly, while its prices wander from one edge to the other.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.times import MINUTE_MS
from triggers.feeds.market.bars import Bars
from triggers.feeds.market.day_block import BUCKET_MS, BUCKETS_PER_MINUTE, MINUTES_PER_DAY, DayBlock
from triggers.feeds.market.pairs import Pair
from triggers.feeds.market.randomness import generator

Ints = NDArray[np.int64]

_HALF: Final = BUCKET_MS // 2


@dataclass(frozen=True)
class Tape:
    """The trades of a minute, by time; arrays of one value a trade.

    Attributes:
        open_ms: the minute's first instant.
        first_id: id of the first trade; the others follow.
        time_ms: time.
        price: ticks.
        quantity: lots.
        is_buy: whether the buyer was the taker.
    """

    open_ms: int
    first_id: int
    time_ms: Ints
    price: Ints
    quantity: Ints
    is_buy: NDArray[np.bool_]

    def until(self, time_ms: int) -> int:
        """Return how many trades happened up to and including ``time_ms``."""
        return int(np.searchsorted(self.time_ms, time_ms, side="right"))

    def bar(self, count: int) -> Bars:
        """Return the candle of the first ``count`` trades, of which there must be one at least."""
        price, lots = self.price[:count], self.quantity[:count]
        bought = lots * self.is_buy[:count]
        figures = (
            price[0], price.max(), price.min(), price[-1], lots.sum(), (price * lots).sum(), bought.sum(),
            (price * bought).sum(), self.first_id, count,
        )  # fmt: skip
        return Bars(*(np.array([figure], np.int64) for figure in figures))


def minute_tape(seed: int, pair: Pair, block: DayBlock, day_number: int, minute: int) -> Tape:
    """Compute the trades of a minute of a day."""
    rng = generator(seed, "tape", pair.symbol, day_number, minute)
    open_ms = (day_number * MINUTES_PER_DAY + minute) * MINUTE_MS
    first = minute * BUCKETS_PER_MINUTE
    buckets = [_bucket(rng, block, first + at, open_ms + at * BUCKET_MS) for at in range(BUCKETS_PER_MINUTE)]
    time, price, quantity, is_buy = (np.concatenate(columns) for columns in zip(*buckets, strict=True))
    return Tape(open_ms, int(block.first_trade_id[first]), time, price, quantity, is_buy.astype(np.bool_))


def _bucket(rng: np.random.Generator, block: DayBlock, at: int, start_ms: int) -> tuple[Ints, Ints, Ints, Ints]:
    pairs = int(block.units[at]) - 1
    middle, reach = int(block.middle_price[at]), int(block.reach[at])
    edge = int(block.first_price[at]) - middle
    early = np.sort(rng.integers(1, _HALF, pairs))
    away = _distances(rng, pairs, edge, reach)
    buys, sells = int(block.buy_lots[at]), int(block.sell_lots[at])
    buying = _takers(rng, pairs, buys, sells)
    quantity = np.empty(pairs, np.int64)
    rest_bought = _share(rng, quantity, buying, buys)
    rest_sold = _share(rng, quantity, ~buying, sells)
    taker = buying.astype(np.int64)
    times = (early, [_HALF, _HALF], BUCKET_MS - early[::-1])
    prices = (away, [0, 0], -away[::-1])
    lots = (quantity, [rest_bought, rest_sold], quantity[::-1])
    sides = (taker, [1, 0], taker[::-1])
    return (
        start_ms + np.concatenate(times),
        middle + np.concatenate(prices),
        np.concatenate(lots),
        np.concatenate(sides),
    )


def _distances(rng: np.random.Generator, pairs: int, edge: int, reach: int) -> Ints:
    """Return how far the first trade of each pair is from the middle price: from the edge, wandering, to nothing.

    The first is the edge itself; one of the others is as far as the bucket reaches.
    """
    trend = edge * np.linspace(1, 0, pairs, endpoint=False)
    noise = reach * 0.6 * rng.standard_normal(pairs)
    away = np.clip(np.rint(trend + noise), -reach, reach).astype(np.int64)
    away[1 + int(rng.integers(0, pairs - 1))] = reach if rng.random() < 0.5 else -reach
    away[0] = edge
    return away


def _takers(rng: np.random.Generator, pairs: int, buys: int, sells: int) -> NDArray[np.bool_]:
    """Return which pairs are bought by the taker, about as many of them as the volumes say."""
    return rng.random(pairs) < buys / (buys + sells)


def _share(rng: np.random.Generator, quantity: Ints, chosen: NDArray[np.bool_], lots: int) -> int:
    """Share ``lots`` among the chosen pairs, twice each, and return the rest; every quantity is at least one lot."""
    count = int(chosen.sum())
    weights = rng.exponential(size=count + 1)
    free = lots - 2 * count - 1
    each = (free * weights[:-1] / (2 * weights[:-1].sum() + weights[-1])).astype(np.int64)
    quantity[chosen] = 1 + each
    return 1 + free - 2 * int(each.sum())
