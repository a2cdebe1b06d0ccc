"""The order book of a pair around its last trade: 20 levels on each side at any tenth of a second."""

from typing import Final, NamedTuple

import numpy as np

from triggers.feeds.market.pairs import Pair
from triggers.feeds.market.randomness import generator

LEVELS: Final = 20
SLOT_MS: Final = 100
# Update ids grow by about this much a slot, by chance a little more or less, and never fall back.
_UPDATES_PER_SLOT: Final = 64
# Thickness of the book at its first level, as a share of the pair's daily volume.
_FIRST_LEVEL_SHARE: Final = 1 / 60_000

_Levels = list[tuple[int, int]]


class Book(NamedTuple):
    """A book; levels are ``(ticks, lots)``, best first.

    Attributes:
        first_update_id: first update since the book of the slot before.
        last_update_id: last update in it; of a later slot it is greater.
        previous_update_id: last update of the slot before.
        bids: prices fall.
        asks: prices rise.
    """

    first_update_id: int
    last_update_id: int
    previous_update_id: int
    bids: _Levels
    asks: _Levels


def book_at(seed: int, pair: Pair, slot: int, last_price: int, *, last_is_buy: bool) -> Book:
    """Return the book of a slot.

    Args:
        seed: the market's.
        pair: the pair.
        slot: tenths of a second since the epoch.
        last_price: of the last trade, in ticks. A buy met the best ask, a sell the best bid.
        last_is_buy: whether the last trade's buyer was its taker.
    """
    rng = generator(seed, "book", pair.symbol, slot)
    spread = 1 + int(rng.exponential(0.35))
    best_bid, best_ask = (last_price - spread, last_price) if last_is_buy else (last_price, last_price + spread)
    last, previous = _update_id(seed, pair, slot), _update_id(seed, pair, slot - 1)
    return Book(previous + 1, last, previous, _side(rng, pair, best_bid, -1), _side(rng, pair, best_ask, 1))


def _side(rng: np.random.Generator, pair: Pair, best: int, step: int) -> _Levels:
    gaps = 1 + rng.geometric(0.6, LEVELS - 1) // 2
    distance = np.concatenate([[0], np.cumsum(gaps)])
    thickness = pair.lots_per_day * _FIRST_LEVEL_SHARE * (1 + np.arange(LEVELS) / 6)
    lots = 1 + (thickness * np.exp(rng.normal(0, 0.9, LEVELS))).astype(np.int64)
    prices = np.maximum(best + step * distance, 1)
    return list(zip(prices.tolist(), lots.tolist(), strict=True))


def _update_id(seed: int, pair: Pair, slot: int) -> int:
    jitter = int(generator(seed, "updates", pair.symbol, slot).integers(0, _UPDATES_PER_SLOT))
    return slot * _UPDATES_PER_SLOT + jitter
