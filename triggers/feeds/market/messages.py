"""The simulated market in Binance's words: the JSON of each event."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from common.timeframes import Timeframe
from triggers.feeds.envelope import encode, stream_name
from triggers.feeds.market.book import Book
from triggers.feeds.market.exchange import FUNDING_INTERVAL_MS, RATE_DIGITS
from triggers.feeds.market.pairs import Pair, decimal_text

_MARK_DIGITS: Final = 8


class MarketMessage(NamedTuple):
    """An event of the simulated market.

    Attributes:
        time_ms: when the producer had it.
        kind: Binance's name of the event.
        symbol: the pair.
        data: its JSON.
    """

    time_ms: int
    kind: str
    symbol: str
    data: str

    def encoded(self) -> tuple[bytes, str]:
        """Return envelope and message id."""
        return encode(stream_name(self.symbol, self.kind), self.data.encode(), self.time_ms * 1000)


def kline(
    pair: Pair, timeframe: Timeframe, open_ms: int, event_ms: int, bar: Sequence[int], *, closed: bool
) -> MarketMessage:
    """Return a candle. ``bar`` has the numbers of ``Bars`` in their order."""
    opened, high, low, close, volume, quote, bought, bought_quote, first_id, trades = bar
    symbol, price = pair.symbol, pair.price_text
    data = (
        f'{{"e":"kline","E":{event_ms},"s":"{symbol}","k":{{"t":{open_ms},"T":{open_ms + timeframe.duration_ms - 1},'
        f'"s":"{symbol}","i":"{timeframe}","f":{first_id},"L":{first_id + trades - 1},"o":"{price(opened)}",'
        f'"c":"{price(close)}","h":"{price(high)}","l":"{price(low)}","v":"{pair.quantity_text(volume)}","n":{trades},'
        f'"x":{"true" if closed else "false"},"q":"{pair.quote_text(quote)}","V":"{pair.quantity_text(bought)}",'
        f'"Q":"{pair.quote_text(bought_quote)}","B":"0"}}}}'
    )
    return MarketMessage(event_ms, "kline", symbol, data)


def trade(pair: Pair, time_ms: int, trade_id: int, price: int, lots: int, *, is_buy: bool) -> MarketMessage:
    """Return a trade."""
    data = (
        f'{{"e":"trade","E":{time_ms},"T":{time_ms},"s":"{pair.symbol}","t":{trade_id},"p":"{pair.price_text(price)}",'
        f'"q":"{pair.quantity_text(lots)}","X":"MARKET","m":{"false" if is_buy else "true"}}}'
    )
    return MarketMessage(time_ms, "trade", pair.symbol, data)


def ticker(pair: Pair, time_ms: int, window_ms: int, window: Sequence[int], last_quantity: int) -> MarketMessage:
    """Return the 24-hour statistics. ``window`` has the numbers of ``Bars`` in their order."""
    opened, high, low, close, volume, quote, _, _, first_id, trades = window
    change = close - opened
    percent = round(100_000 * change / opened)
    data = (
        f'{{"e":"24hrTicker","E":{time_ms},"s":"{pair.symbol}","p":"{pair.price_text(change)}",'
        f'"P":"{decimal_text(percent, 3)}","w":"{pair.price_text(quote // volume)}","c":"{pair.price_text(close)}",'
        f'"Q":"{pair.quantity_text(last_quantity)}","o":"{pair.price_text(opened)}","h":"{pair.price_text(high)}",'
        f'"l":"{pair.price_text(low)}","v":"{pair.quantity_text(volume)}","q":"{pair.quote_text(quote)}",'
        f'"O":{window_ms},"C":{time_ms},"F":{first_id},"L":{first_id + trades - 1},"n":{trades}}}'
    )
    return MarketMessage(time_ms, "24hrTicker", pair.symbol, data)


def depth(pair: Pair, time_ms: int, book: Book) -> MarketMessage:
    """Return the top of the order book."""
    data = (
        f'{{"e":"depthUpdate","E":{time_ms},"T":{time_ms - 4},"s":"{pair.symbol}","U":{book.first_update_id},'
        f'"u":{book.last_update_id},"pu":{book.previous_update_id},"b":{_levels(pair, book.bids)},'
        f'"a":{_levels(pair, book.asks)}}}'
    )
    return MarketMessage(time_ms, "depthUpdate", pair.symbol, data)


def _levels(pair: Pair, levels: Sequence[tuple[int, int]]) -> str:
    return "[" + ",".join(f'["{pair.price_text(p)}","{pair.quantity_text(q)}"]' for p, q in levels) + "]"


def mark_price(pair: Pair, time_ms: int, mark: float, index: float, *, rate: int, funding_ms: int) -> MarketMessage:
    """Return mark and index price and the rate foreseen for the coming funding time."""
    data = (
        f'{{"e":"markPriceUpdate","E":{time_ms},"s":"{pair.symbol}","p":"{mark:.{_MARK_DIGITS}f}",'
        f'"i":"{index:.{_MARK_DIGITS}f}","P":"{index:.{_MARK_DIGITS}f}","r":"{decimal_text(rate, RATE_DIGITS)}",'
        f'"T":{funding_ms}}}'
    )
    return MarketMessage(time_ms, "markPriceUpdate", pair.symbol, data)


def funding(pair: Pair, funding_ms: int, rate: int, mark: float) -> MarketMessage:
    """Return the rate settled at a funding time."""
    data = (
        f'{{"e":"fundingRate","E":{funding_ms},"s":"{pair.symbol}","r":"{decimal_text(rate, RATE_DIGITS)}",'
        f'"p":"{mark:.{_MARK_DIGITS}f}","T":{funding_ms + FUNDING_INTERVAL_MS}}}'
    )
    return MarketMessage(funding_ms, "fundingRate", pair.symbol, data)
