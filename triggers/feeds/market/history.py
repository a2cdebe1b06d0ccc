"""The past of the simulated market: closed candles and settled funding rates, each as far back as it is wanted."""

from collections.abc import Iterator
from typing import Final

from common.timeframes import Timeframe
from common.times import DAY_MS, EARLIEST_EVENT_MS
from triggers.feeds.market.exchange import FUNDING_INTERVAL_MS, Exchange, PairMarket
from triggers.feeds.market.messages import MarketMessage, funding, kline

# Days of history by timeframe.
HISTORY_DAYS: Final = {
    Timeframe.M1: 2,
    Timeframe.M3: 2,
    Timeframe.M5: 14,
    Timeframe.M15: 14,
    Timeframe.M30: 14,
    Timeframe.H1: 120,
    Timeframe.H2: 120,
    Timeframe.H4: 120,
    Timeframe.H6: 120,
    Timeframe.H8: 120,
    Timeframe.H12: 120,
    Timeframe.D1: 400,
}
FUNDING_DAYS: Final = 30
# The exchange announces that a candle is closed a little after its end.
CLOSE_DELAY_MS: Final = 5


class History:
    """What lies between the last time that was published and the present.

    Args:
        exchange: the market.
        timeframes: of the candles.
        since_ms: candles that were announced up to here are left out; by pair, none for a pair without history yet.
        now_ms: the present; only candles that closed by then are given.
        with_funding: whether the market has funding rates.
    """

    def __init__(
        self,
        exchange: Exchange,
        timeframes: tuple[Timeframe, ...],
        since_ms: dict[str, int],
        now_ms: int,
        *,
        with_funding: bool,
    ) -> None:
        self._exchange = exchange
        self._timeframes = timeframes
        self._since_ms = since_ms
        self._now_ms = now_ms
        self._with_funding = with_funding

    def __len__(self) -> int:
        """Return the number of messages."""
        spans = (
            (self._span(market, timeframe), timeframe.duration_ms)
            for market in self._exchange.pairs
            for timeframe in self._timeframes
        )
        candles = sum(max(0, end - start) // step for (start, end), step in spans)
        return candles + sum(len(self._funding_times(market)) for market in self._exchange.pairs)

    def messages(self) -> Iterator[MarketMessage]:
        """Give all messages, day by day from the oldest on."""
        spans = {
            (market, timeframe): self._span(market, timeframe)
            for market in self._exchange.pairs
            for timeframe in self._timeframes
        }
        starts = [start for start, end in spans.values() if start < end]
        starts += [times.start for market in self._exchange.pairs if (times := self._funding_times(market))]
        for day_ms in range(min(starts, default=self._now_ms) // DAY_MS * DAY_MS, self._now_ms, DAY_MS):
            for (market, timeframe), (start, end) in spans.items():
                yield from _closed(market, timeframe, max(start, day_ms), min(end, day_ms + DAY_MS))
            for market in self._exchange.pairs:
                for time_ms in self._funding_times(market):
                    if day_ms <= time_ms < day_ms + DAY_MS:
                        yield _settled(market, time_ms)

    def _span(self, market: PairMarket, timeframe: Timeframe) -> tuple[int, int]:
        """Return from which open time up to which one the candles are missing."""
        end = timeframe.floor(self._now_ms - CLOSE_DELAY_MS)
        start = max(end - HISTORY_DAYS[timeframe] * DAY_MS, timeframe.ceil(EARLIEST_EVENT_MS))
        since = self._since_ms.get(market.pair.symbol)
        return start if since is None else max(start, timeframe.floor(since - CLOSE_DELAY_MS)), end

    def _funding_times(self, market: PairMarket) -> range:
        if not self._with_funding:
            return range(0)
        oldest = max(self._now_ms - FUNDING_DAYS * DAY_MS, EARLIEST_EVENT_MS)
        after = max(oldest, self._since_ms.get(market.pair.symbol, 0))
        first = after - after % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS
        return range(first, self._now_ms + 1, FUNDING_INTERVAL_MS)


def _closed(market: PairMarket, timeframe: Timeframe, start_ms: int, end_ms: int) -> Iterator[MarketMessage]:
    bars = market.candles(timeframe, start_ms, end_ms) if start_ms < end_ms else None
    if bars is None:
        return
    rows = zip(*(column.tolist() for column in bars), strict=True)
    for open_ms, row in zip(range(start_ms, end_ms, timeframe.duration_ms), rows, strict=True):
        yield closed_kline(market, timeframe, open_ms, row)


def closed_kline(market: PairMarket, timeframe: Timeframe, open_ms: int, bar: tuple[int, ...]) -> MarketMessage:
    """Return the message of a closed candle, the same whether it is history or has closed just now."""
    announced_ms = open_ms + timeframe.duration_ms + CLOSE_DELAY_MS
    return kline(market.pair, timeframe, open_ms, announced_ms, bar, closed=True)


def _settled(market: PairMarket, funding_ms: int) -> MarketMessage:
    mark = market.price_at(funding_ms) * market.pair.tick_value
    return funding(market.pair, funding_ms, market.funding_rate(funding_ms), mark)
