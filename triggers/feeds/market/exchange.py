"""The simulated market as a whole: candles, trades and funding rates of any pair at any time."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from common.timeframes import Timeframe
from common.times import DAY_MS, HOUR_MS, MINUTE_MS
from triggers.feeds.market.bars import Bars, concatenated, minute_bars
from triggers.feeds.market.day_block import DayBlock, day_block
from triggers.feeds.market.days import DayChain
from triggers.feeds.market.pairs import Pair
from triggers.feeds.market.randomness import generator
from triggers.feeds.market.tape import Tape, minute_tape

FUNDING_INTERVAL_MS: Final = 8 * HOUR_MS
RATE_DIGITS: Final = 8

_DAYS_KEPT: Final = 4
_TAPES_KEPT: Final = 4
_ORDINARY_RATE: Final = 10_000  # 0.00010000
_LOWEST_RATE: Final = -60_000
_HIGHEST_RATE: Final = 90_000

T = TypeVar("T")


class _Kept(Generic[T]):
    """The last few results of a computation, by key."""

    def __init__(self, compute: Callable[[int], T], size: int) -> None:
        self._compute = compute
        self._size = size
        self._values: OrderedDict[int, T] = OrderedDict()

    def __call__(self, key: int) -> T:
        if key not in self._values:
            self._values[key] = self._compute(key)
            if len(self._values) > self._size:
                self._values.popitem(last=False)
        else:
            self._values.move_to_end(key)
        return self._values[key]


class PairMarket:
    """The market of one pair. What was computed last is kept."""

    def __init__(self, seed: int, pair: Pair) -> None:
        self.seed = seed
        self.pair = pair
        self._chain = DayChain(seed, pair)
        self._block = _Kept[DayBlock](self._compute_block, _DAYS_KEPT)
        self._minutes = _Kept[Bars](lambda day: minute_bars(self._block(day)), _DAYS_KEPT)
        self._tape = _Kept[Tape](self._compute_tape, _TAPES_KEPT)

    def _compute_block(self, day_number: int) -> DayBlock:
        return day_block(self.seed, self.pair, self._chain.day(day_number))

    def _compute_tape(self, minute_number: int) -> Tape:
        day_number, minute = divmod(minute_number, DAY_MS // MINUTE_MS)
        return minute_tape(self.seed, self.pair, self._block(day_number), day_number, minute)

    def tape(self, minute_ms: int) -> Tape:
        """Return the trades of the minute that begins at ``minute_ms``."""
        return self._tape(minute_ms // MINUTE_MS)

    def minutes(self, start_ms: int, end_ms: int) -> Bars | None:
        """Return the one-minute candles from ``start_ms`` up to ``end_ms``, both on the minute; of no time, none."""
        parts = []
        for day in range(start_ms // DAY_MS, -(-end_ms // DAY_MS)):
            first, last = max(start_ms, day * DAY_MS), min(end_ms, (day + 1) * DAY_MS)
            if first < last:
                parts.append(
                    self._minutes(day).part((first - day * DAY_MS) // MINUTE_MS, (last - day * DAY_MS) // MINUTE_MS)
                )
        return concatenated(parts) if parts else None

    def candles(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> Bars | None:
        """Return the candles that open from ``start_ms`` up to ``end_ms``, both open times of the timeframe."""
        minutes = self.minutes(start_ms, end_ms)
        return minutes.joined(timeframe.duration_ms // MINUTE_MS) if minutes is not None else None

    def price_at(self, minute_ms: int) -> int:
        """Return the first price of a minute, in ticks."""
        return int(self._minutes(minute_ms // DAY_MS).open[minute_ms % DAY_MS // MINUTE_MS])

    def funding_rate(self, funding_ms: int) -> int:
        """Return the rate settled at a funding time, in units of the last of ``RATE_DIGITS`` digits."""
        draw = generator(self.seed, "funding", self.pair.symbol, funding_ms).standard_normal()
        return max(_LOWEST_RATE, min(_HIGHEST_RATE, round(_ORDINARY_RATE * (0.7 + 1.3 * draw))))

    def predicted_rate(self, time_ms: int) -> int:
        """Return the rate foreseen at a time for the coming funding time: it ends where that one settles."""
        funding_ms = next_funding_ms(time_ms)
        remaining = (funding_ms - time_ms) / FUNDING_INTERVAL_MS
        draw = generator(self.seed, "premium", self.pair.symbol, time_ms // MINUTE_MS).standard_normal()
        return round(self.funding_rate(funding_ms) + _ORDINARY_RATE * remaining * (0.4 * draw))


def next_funding_ms(time_ms: int) -> int:
    """Return the first funding time after ``time_ms``."""
    return time_ms - time_ms % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS


class Exchange:
    """All pairs of one seed."""

    def __init__(self, seed: int, pairs: tuple[Pair, ...]) -> None:
        self.seed = seed
        self.pairs = tuple(PairMarket(seed, pair) for pair in pairs)
