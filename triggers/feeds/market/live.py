"""The present of the simulated market: every event that falls into a span of time, in its order."""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from common.timeframes import Timeframe
from common.times import MINUTE_MS, SECOND_MS
from triggers.feeds.market import messages
from triggers.feeds.market.book import SLOT_MS, book_at
from triggers.feeds.market.exchange import RATE_DIGITS, Exchange, PairMarket, next_funding_ms
from triggers.feeds.market.history import CLOSE_DELAY_MS, closed_kline
from triggers.feeds.market.messages import MarketMessage
from triggers.feeds.market.moment import Minute, values

_SHORTEST_PERIOD_MS: Final = 100
# The mark price stands above the index by this share of the funding rate.
_PREMIUM_OF_RATE: Final = 0.2


@dataclass(frozen=True)
class Cadence:
    """How often the state of a pair is published, in milliseconds. Trades come when they happen."""

    depth_ms: int
    ticker_ms: int
    mark_price_ms: int
    kline_ms: int

    @classmethod
    def at_rate(cls, rate: float, pairs: int) -> "Cadence":
        """Return the ordinary cadence made ``rate`` times as fast, down to a tenth of a second.

        At rate 1 one pair's book is published every 100 ms, so each pair's every ``pairs`` × 100 ms.
        """

        def period(ordinary_ms: int) -> int:
            return max(_SHORTEST_PERIOD_MS, round(ordinary_ms / rate / _SHORTEST_PERIOD_MS) * _SHORTEST_PERIOD_MS)

        return cls(period(pairs * SLOT_MS), period(SECOND_MS), period(SECOND_MS), period(2 * SECOND_MS))


class LivePair:
    """The events of one pair.

    Args:
        market: the pair's market.
        timeframes: of its candles.
        cadence: how often its state is published.
        phase: number of the pair, by which pairs take turns.
        with_funding: whether the market has mark prices.
    """

    def __init__(
        self,
        market: PairMarket,
        timeframes: tuple[Timeframe, ...],
        cadence: Cadence,
        phase: int,
        *,
        with_funding: bool,
    ) -> None:
        self._market = market
        self._timeframes = timeframes
        self._cadence = cadence
        self._phase = phase
        self._with_funding = with_funding
        self._minute: Minute | None = None

    def events(self, after_ms: int, until_ms: int) -> Iterator[MarketMessage]:
        """Give the events later than ``after_ms`` up to ``until_ms``, kind by kind."""
        start = after_ms
        while start < until_ms:
            end = min(until_ms, (start + 1) // MINUTE_MS * MINUTE_MS + MINUTE_MS - 1)
            yield from self._within_minute(start, end)
            start = end

    def _within_minute(self, after_ms: int, until_ms: int) -> Iterator[MarketMessage]:
        minute = self._minute_of(until_ms)
        yield from self._closings(minute.open_ms, after_ms, until_ms)
        yield from self._trades(minute, after_ms, until_ms)
        cadence, turn = self._cadence, self._phase * SLOT_MS
        for time_ms in _due(after_ms, until_ms, cadence.depth_ms, turn):
            yield self._depth(minute, time_ms)
        for time_ms in _due(after_ms, until_ms, cadence.ticker_ms, turn + 20):
            yield self._ticker(minute, time_ms)
        for time_ms in _due(after_ms, until_ms, cadence.kline_ms, turn + 40):
            yield from self._klines(minute, time_ms)
        if self._with_funding:
            for time_ms in _due(after_ms, until_ms, cadence.mark_price_ms, 0):
                yield self._mark_price(minute, time_ms)

    def _minute_of(self, time_ms: int) -> Minute:
        open_ms = time_ms - time_ms % MINUTE_MS
        if self._minute is None or self._minute.open_ms != open_ms:
            self._minute = Minute(self._market, open_ms, self._timeframes)
        return self._minute

    def _closings(self, minute_ms: int, after_ms: int, until_ms: int) -> Iterator[MarketMessage]:
        if not after_ms < minute_ms + CLOSE_DELAY_MS <= until_ms:
            return
        for timeframe in self._timeframes:
            if minute_ms % timeframe.duration_ms == 0:
                open_ms = minute_ms - timeframe.duration_ms
                bars = self._market.candles(timeframe, open_ms, minute_ms)
                if bars is not None:
                    yield closed_kline(self._market, timeframe, open_ms, values(bars))

    def _trades(self, minute: Minute, after_ms: int, until_ms: int) -> Iterator[MarketMessage]:
        tape = minute.tape
        first, last = tape.until(after_ms), tape.until(until_ms)
        columns = (tape.time_ms, tape.price, tape.quantity, tape.is_buy)
        rows = zip(*(column[first:last].tolist() for column in columns), strict=True)
        for number, (time_ms, price, lots, is_buy) in enumerate(rows, start=tape.first_id + first):
            yield messages.trade(self._market.pair, time_ms, number, price, lots, is_buy=is_buy)

    def _depth(self, minute: Minute, time_ms: int) -> MarketMessage:
        price, _, is_buy = minute.last_trade(time_ms)
        book = book_at(self._market.seed, self._market.pair, time_ms // SLOT_MS, price, last_is_buy=is_buy)
        return messages.depth(self._market.pair, time_ms, book)

    def _ticker(self, minute: Minute, time_ms: int) -> MarketMessage:
        _, quantity, _ = minute.last_trade(time_ms)
        return messages.ticker(self._market.pair, time_ms, minute.window_ms, values(minute.window(time_ms)), quantity)

    def _klines(self, minute: Minute, time_ms: int) -> Iterator[MarketMessage]:
        for timeframe in self._timeframes:
            bars = minute.candle(timeframe, time_ms)
            if bars is not None:
                open_ms = timeframe.floor(time_ms)
                yield messages.kline(self._market.pair, timeframe, open_ms, time_ms, values(bars), closed=False)

    def _mark_price(self, minute: Minute, time_ms: int) -> MarketMessage:
        market = self._market
        rate = market.predicted_rate(time_ms)
        index = minute.last_trade(time_ms)[0] * market.pair.tick_value
        mark = index * (1 + _PREMIUM_OF_RATE * rate / 10**RATE_DIGITS)
        return messages.mark_price(market.pair, time_ms, mark, index, rate=rate, funding_ms=next_funding_ms(time_ms))


def _due(after_ms: int, until_ms: int, period_ms: int, phase_ms: int) -> range:
    """Return the instants of a cadence that are later than ``after_ms``, up to ``until_ms``."""
    phase = phase_ms % period_ms
    first = after_ms - (after_ms - phase) % period_ms + period_ms
    return range(first, until_ms + 1, period_ms)


class LiveMarket:
    """The events of all pairs."""

    def __init__(
        self, exchange: Exchange, timeframes: tuple[Timeframe, ...], cadence: Cadence, *, with_funding: bool
    ) -> None:
        self._pairs = [
            LivePair(market, timeframes, cadence, phase, with_funding=with_funding)
            for phase, market in enumerate(exchange.pairs)
        ]

    def events(self, after_ms: int, until_ms: int) -> list[MarketMessage]:
        """Return the events later than ``after_ms`` up to ``until_ms``, in the order of their times."""
        found = [event for pair in self._pairs for event in pair.events(after_ms, until_ms)]
        found.sort(key=attrgetter("time_ms"))
        return found
