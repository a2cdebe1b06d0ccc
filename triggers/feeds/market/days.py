"""The market from day to day: where each day begins and ends, how volatile and how busy it is.

A chain of days from a fixed first one. All pairs share a common factor and a regime (calm, ordinary, turbulent) that
lasts for days; a price is drawn back to its long-run level over months, so it stays in a familiar range for decades.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.times import DAY_MS
from triggers.feeds.market.pairs import Pair
from triggers.feeds.market.randomness import generator

# 2015-01-01: before the first time that an event may carry, and 400 days of history before that.
FIRST_DAY: Final = 1_420_070_400_000 // DAY_MS
_CHUNK_DAYS: Final = 366

_REGIME_VOLATILITY: Final = np.array([0.55, 1.0, 2.1])
_REGIME_ACTIVITY: Final = np.array([0.75, 1.0, 1.7])
# Row: regime of a day; column: cumulative probability of the regime of the next one.
_REGIME_CHAIN: Final = np.array([[0.90, 0.99, 1.0], [0.06, 0.94, 1.0], [0.02, 0.20, 1.0]])
_REVERSION: Final = 1 / 150
_FIRST_TRADE_ID: Final = 1_000_000_000

# Buckets of a day and the smallest number of trades in each: see day_block.
BUCKETS_PER_DAY: Final = 1440 * 4
MIN_UNITS_PER_BUCKET: Final = 3


@dataclass(frozen=True)
class Day:
    """One day of one pair.

    Attributes:
        number: days since the epoch.
        start_log: logarithm of the price at its first instant.
        end_log: logarithm of the price at the first instant of the next day.
        volatility: standard deviation of its logarithmic return.
        activity: how busy it is; 1 is ordinary.
        first_trade_id: id of its first trade.
        units: half the number of its trades.
    """

    number: int
    start_log: float
    end_log: float
    volatility: float
    activity: float
    first_trade_id: int
    units: int


class DayChain:
    """The days of one pair; computed as far as they are asked for."""

    def __init__(self, seed: int, pair: Pair) -> None:
        self._seed = seed
        self._pair = pair
        self._logs: NDArray[np.float64] = np.empty(0)
        self._volatility: NDArray[np.float64] = np.empty(0)
        self._activity: NDArray[np.float64] = np.empty(0)
        self._units: NDArray[np.int64] = np.empty(0, np.int64)
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)

    def day(self, number: int) -> Day:
        """Return a day by its number since the epoch.

        Raises:
            ValueError: the market did not exist yet.
        """
        at = number - FIRST_DAY
        if at < 0:
            raise ValueError("the simulated market begins in 2015")
        if at + 1 >= len(self._logs):
            self._compute((at // _CHUNK_DAYS + 2) * _CHUNK_DAYS)
        return Day(
            number,
            float(self._logs[at]),
            float(self._logs[at + 1]),
            float(self._volatility[at]),
            float(self._activity[at]),
            int(self._ids[at]),
            int(self._units[at]),
        )

    def _compute(self, count: int) -> None:
        pair = self._pair
        regimes = _regimes(self._seed, count)
        common = generator(self._seed, "days", "factor").standard_normal(count)
        own = generator(self._seed, "days", pair.symbol).standard_normal(count)
        busy = generator(self._seed, "busy", pair.symbol).standard_normal(count)
        self._volatility = pair.daily_volatility * _REGIME_VOLATILITY[regimes]
        shocks = self._volatility * (pair.beta * common + np.sqrt(1 - pair.beta**2) * own)
        self._logs = np.log(pair.price) + _reverting(shocks)
        self._activity = _REGIME_ACTIVITY[regimes] * np.exp(0.22 * busy + 0.15 * np.abs(common))
        fewest = MIN_UNITS_PER_BUCKET * BUCKETS_PER_DAY
        free = (pair.trades_per_day / 2 - fewest) * np.sqrt(self._activity)
        self._units = fewest + np.rint(free).astype(np.int64)
        self._ids = _FIRST_TRADE_ID + 2 * (np.cumsum(self._units) - self._units)


def _regimes(seed: int, count: int) -> NDArray[np.int64]:
    draws = generator(seed, "days", "regime").random(count)
    regimes = np.empty(count, np.int64)
    now = 1
    for at, draw in enumerate(draws):
        now = int(np.searchsorted(_REGIME_CHAIN[now], draw, side="right"))
        regimes[at] = now
    return regimes


def _reverting(shocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the level before each shock of a process that forgets ``_REVERSION`` of itself a day."""
    levels = np.empty(len(shocks))
    level = 0.0
    for at, shock in enumerate(shocks):
        levels[at] = level
        level += float(shock) - _REVERSION * level
    return levels
