"""The inside of a day: prices, volumes and numbers of trades in buckets of 15 seconds.

Between the day's first and last price lies a bridge of random steps, correlated across pairs, louder in the busy hours
and with an occasional jump. The trades of a bucket come in twos that mirror each other around the bucket's middle
price (see ``tape``), so what a bucket adds to a candle is known without them: its middle price times its volume. That
keeps candles of all timeframes and the trades in exact agreement while 400 days cost a second or two.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.times import DAY_MS, MINUTE_MS
from triggers.feeds.market.days import BUCKETS_PER_DAY, MIN_UNITS_PER_BUCKET, Day
from triggers.feeds.market.pairs import Pair
from triggers.feeds.market.randomness import generator

MINUTES_PER_DAY: Final = DAY_MS // MINUTE_MS
BUCKETS_PER_MINUTE: Final = BUCKETS_PER_DAY // MINUTES_PER_DAY
BUCKET_MS: Final = DAY_MS // BUCKETS_PER_DAY

_HOURS: Final = np.arange(25.0)
# Loudness by hour of the day, UTC: quiet before dawn in Europe, loudest when both sides of the Atlantic are awake.
_HOURLY_LOUDNESS: Final = np.array(
    [1.05, 1.0, 0.92, 0.85, 0.78, 0.75, 0.78, 0.88, 0.98, 1.0, 0.98, 0.97, 1.05, 1.25, 1.42, 1.4, 1.28, 1.15, 1.05,
     1.0, 1.0, 0.98, 0.95, 1.0, 1.05]
)  # fmt: skip
_BUCKET_HOURS: Final = np.arange(BUCKETS_PER_DAY) * (24.0 / BUCKETS_PER_DAY)
_LOUDNESS: Final = np.interp(_BUCKET_HOURS, _HOURS, _HOURLY_LOUDNESS)
_WEEKEND_LOUDNESS: Final = 0.7
_JUMP_PROBABILITY: Final = 0.12
_LARGEST_SHOCK: Final = 12.0
_UNIT_16: Final = 2.0**-16

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DayBlock:
    """The buckets of one day of one pair; arrays of ``BUCKETS_PER_DAY`` values.

    Attributes:
        first_price: price of the first trade of each bucket, in ticks.
        middle_price: price around which its trades mirror each other, in ticks.
        reach: farthest distance of a trade from the middle price, in ticks; some trade goes that far.
        buy_lots: volume of the trades whose buyer was the taker, in lots.
        sell_lots: volume of the others.
        units: half the number of its trades, at least ``MIN_UNITS_PER_BUCKET``.
        first_trade_id: id of its first trade.
    """

    first_price: Ints
    middle_price: Ints
    reach: Ints
    buy_lots: Ints
    sell_lots: Ints
    units: Ints
    first_trade_id: Ints


def day_block(seed: int, pair: Pair, day: Day) -> DayBlock:
    """Compute the inside of a day."""
    rng = generator(seed, "day", pair.symbol, day.number)
    loudness = _loudness(seed, day.number)
    shocks = _shocks(seed, pair, day.number, rng)
    edges = _edges(pair, day, loudness, shocks)
    first, middle = edges[:-1], (edges[:-1] + edges[1:]) >> 1
    # Four independent uniform numbers a bucket, cut from one 64-bit draw.
    fields = rng.integers(0, 1 << 64, BUCKETS_PER_DAY, np.uint64).view(np.uint16).reshape(-1, 4) * _UNIT_16
    step = np.exp(day.start_log) / pair.tick_value * day.volatility * loudness / np.sqrt(BUCKETS_PER_DAY)
    reach = np.abs(first - middle) + (step * 1.2 * fields[:, 0] ** 2).astype(np.int64)
    effort = np.minimum(np.abs(shocks), _LARGEST_SHOCK)
    weight = loudness * (0.45 + 0.7 * effort) * np.exp(2.2 * (fields[:, 1] - 0.5))
    units, ids = _units(day, weight)
    lots = pair.lots_per_day / BUCKETS_PER_DAY * day.activity * weight
    buying = np.clip(0.5 + 0.16 * np.tanh(shocks) + 0.5 * (fields[:, 2] - 0.5), 0.04, 0.96)
    fewest = 2 * units
    return DayBlock(
        first,
        middle,
        reach,
        np.maximum(fewest, (lots * buying).astype(np.int64)),
        np.maximum(fewest, (lots * (1 - buying)).astype(np.int64)),
        units,
        ids,
    )


@lru_cache(maxsize=8)
def _loudness(seed: int, day_number: int) -> Floats:
    """Volatility of each bucket relative to the day's, the same for all pairs."""
    hours = generator(seed, "loudness", day_number).standard_normal(24)
    next_midnight = generator(seed, "loudness", day_number + 1).standard_normal(1)
    drift = np.interp(_BUCKET_HOURS, _HOURS, np.concatenate([hours, next_midnight]))
    weekend = _WEEKEND_LOUDNESS if (day_number + 3) % 7 >= 5 else 1.0  # day 0 of the epoch was a Thursday
    return np.asarray(weekend * _LOUDNESS * np.exp(0.3 * drift))


@lru_cache(maxsize=8)
def _common_shocks(seed: int, day_number: int) -> Floats:
    rng = generator(seed, "shocks", day_number)
    shocks = rng.standard_normal(BUCKETS_PER_DAY)
    return _with_jump(shocks, rng)


def _shocks(seed: int, pair: Pair, day_number: int, rng: np.random.Generator) -> Floats:
    own = _with_jump(rng.standard_normal(BUCKETS_PER_DAY), rng)
    return np.asarray(pair.beta * _common_shocks(seed, day_number) + np.sqrt(1 - pair.beta**2) * own)


def _with_jump(shocks: Floats, rng: np.random.Generator) -> Floats:
    """Add a jump to some days: a quarter to a whole day's standard deviation within a bucket."""
    chance, at, size, sign = rng.random(4)
    if chance < _JUMP_PROBABILITY:
        shocks[int(at * BUCKETS_PER_DAY)] += (1 if sign < 0.5 else -1) * (0.25 + 0.75 * size) * np.sqrt(BUCKETS_PER_DAY)
    return shocks


def _edges(pair: Pair, day: Day, loudness: Floats, shocks: Floats) -> Ints:
    """Return the prices between the buckets, in ticks: a bridge from the day's start to its end."""
    variance = loudness**2
    steps = day.volatility / np.sqrt(BUCKETS_PER_DAY) * loudness * shocks
    steps += (day.end_log - day.start_log - steps.sum()) * variance / variance.sum()
    logs = np.empty(BUCKETS_PER_DAY + 1)
    logs[0] = day.start_log
    np.cumsum(steps, out=logs[1:])
    logs[1:] += day.start_log
    logs[-1] = day.end_log
    return np.rint(np.exp(logs) / pair.tick_value).astype(np.int64)


def _units(day: Day, weight: Floats) -> tuple[Ints, Ints]:
    """Share the day's trades among the buckets; returns units and first trade ids."""
    shares = np.cumsum(np.sqrt(weight))
    free = day.units - MIN_UNITS_PER_BUCKET * BUCKETS_PER_DAY
    until = np.floor(shares * (free / shares[-1])).astype(np.int64)
    until[-1] = free
    units = MIN_UNITS_PER_BUCKET + np.diff(until, prepend=0)
    ids = day.first_trade_id + 2 * (np.cumsum(units) - units)
    return units, ids
