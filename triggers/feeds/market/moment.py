"""What can be seen of a pair at one moment: its last trade, its running candles, its last 24 hours."""

from typing import Final

import numpy as np

from common.timeframes import Timeframe
from common.times import DAY_MS, MINUTE_MS
from triggers.feeds.market.bars import Bars, concatenated
from triggers.feeds.market.exchange import PairMarket
from triggers.feeds.market.tape import Tape

_WINDOW_MINUTES: Final = DAY_MS // MINUTE_MS


class Minute:
    """A pair during one minute. What came before the minute is summed up once."""

    def __init__(self, market: PairMarket, open_ms: int, timeframes: tuple[Timeframe, ...]) -> None:
        self.open_ms = open_ms
        self.tape: Tape = market.tape(open_ms)
        self.timeframes = timeframes
        self.window_ms = open_ms - (_WINDOW_MINUTES - 1) * MINUTE_MS
        self._market = market
        self._before = {
            timeframe: _total(market.minutes(timeframe.floor(open_ms), open_ms)) for timeframe in timeframes
        }
        self._window = _total(market.minutes(self.window_ms, open_ms))

    def trades(self, time_ms: int) -> int:
        """Return how many trades of the minute happened up to and including ``time_ms``."""
        return self.tape.until(time_ms)

    def last_trade(self, time_ms: int) -> tuple[int, int, bool]:
        """Return price, quantity and side of the last trade up to ``time_ms``, looking back before the minute too."""
        tape, count = self.tape, self.trades(time_ms)
        if not count:
            tape = self._market.tape(self.open_ms - MINUTE_MS)
            count = len(tape.price)
        return int(tape.price[count - 1]), int(tape.quantity[count - 1]), bool(tape.is_buy[count - 1])

    def candle(self, timeframe: Timeframe, time_ms: int) -> Bars | None:
        """Return the running candle of a timeframe; None while nothing was traded in it."""
        return self._with_running(self._before[timeframe], time_ms)

    def window(self, time_ms: int) -> Bars:
        """Return the last 24 hours, from the beginning of a minute on, as one candle."""
        window = self._with_running(self._window, time_ms)
        if window is None:
            raise ValueError("a day without a trade")
        return window

    def _with_running(self, before: Bars | None, time_ms: int) -> Bars | None:
        count = self.trades(time_ms)
        if not count:
            return before
        running = self.tape.bar(count)
        return running if before is None else concatenated([before, running]).joined(2)


def _total(minutes: Bars | None) -> Bars | None:
    return minutes.joined(len(minutes.open)) if minutes is not None else None


def values(bars: Bars, at: int = 0) -> tuple[int, ...]:
    """Return one candle's numbers in the order of the fields of ``Bars``."""
    return tuple(int(np.asarray(column)[at]) for column in bars)
