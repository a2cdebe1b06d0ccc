"""From the row of a table to the event it records; prices and quantities keep their digits."""

from collections.abc import Callable, Sequence
from typing import Final

from common.symbols import is_symbol
from common.timeframes import Timeframe
from triggers.feeds.envelope import stream_name
from triggers.feeds.recordings.recorded import BadLine, FileFacts, Recorded, UnreadableFile
from triggers.feeds.recordings.tables import Table, decimal, instant_us, is_decimal, truth, whole

RowReader = Callable[[Sequence[str]], Recorded]

_TIMEFRAMES: Final = {timeframe.duration_ms: timeframe for timeframe in Timeframe}


def row_reader(table: Table, facts: FileFacts, first_row: Sequence[str]) -> RowReader:
    """Return what turns the rows of a table into events; it raises ``BadLine`` for a broken one.

    Raises:
        UnreadableFile: symbol or timeframe are needed and nothing says them.
    """
    reader = {"kline": _klines, "trade": _trades, "aggTrade": _agg_trades, "fundingRate": _funding}[table.kind]
    return reader(table, facts, first_row)


def _klines(table: Table, facts: FileFacts, first_row: Sequence[str]) -> RowReader:
    at, symbol = table.columns, facts.require_symbol()
    timeframe = _timeframe(table, facts, first_row)
    stream, duration_ms = stream_name(symbol, "kline"), timeframe.duration_ms
    t, o, h, lo, c, v = (at[name] for name in ("open_time", "open", "high", "low", "close", "volume"))
    close_time, count = at.get("close_time"), at.get("count")
    optional = [(key, name, at.get(name)) for key, name in _OPTIONAL_KLINE_FIELDS]

    def read(row: Sequence[str]) -> Recorded:
        open_ms = instant_us("open_time", row[t]) // 1000
        if open_ms % duration_ms:
            raise BadLine("broken", f"open_time: expected the open time of a {timeframe} candle, was {row[t]!r}")
        close_us = instant_us("close_time", row[close_time]) if close_time is not None else 0
        close_ms = close_us // 1000 or open_ms + duration_ms - 1
        if not (is_decimal(row[o]) and is_decimal(row[h]) and is_decimal(row[lo]) and is_decimal(row[c])):
            for name in ("open", "high", "low", "close"):
                decimal(name, row[at[name]])
        trades = "null" if count is None else whole("count", row[count])
        rest = "".join(
            f',"{key}":null' if i is None else f',"{key}":"{decimal(name, row[i])}"' for key, name, i in optional
        )
        event = (
            f'{{"e":"kline","E":{close_ms},"s":"{symbol}","k":{{"t":{open_ms},"T":{close_ms},"s":"{symbol}",'
            f'"i":"{timeframe}","o":"{row[o]}","c":"{row[c]}","h":"{row[h]}","l":"{row[lo]}",'
            f'"v":"{decimal("volume", row[v])}","n":{trades},"x":true{rest},"B":"0"}}}}'
        )
        return Recorded(close_ms * 1000, "kline", stream, event.encode())

    return read


_OPTIONAL_KLINE_FIELDS: Final = (
    ("q", "quote_volume"),
    ("V", "taker_buy_volume"),
    ("Q", "taker_buy_quote_volume"),
)


def _timeframe(table: Table, facts: FileFacts, first_row: Sequence[str]) -> Timeframe:
    if facts.timeframe is not None:
        return Timeframe.parse(facts.timeframe, field="--timeframe")
    try:
        opened, closed = (int(first_row[table.columns[name]]) for name in ("open_time", "close_time"))
        length_ms = instant_us("close_time", str(closed)) // 1000 + 1 - instant_us("open_time", str(opened)) // 1000
        return _TIMEFRAMES[length_ms]
    except (KeyError, ValueError, IndexError, BadLine):
        raise UnreadableFile("neither the lines nor the name of the file say the timeframe: add --timeframe") from None


def _trades(table: Table, facts: FileFacts, _: Sequence[str]) -> RowReader:
    symbol = facts.require_symbol()
    stream = stream_name(symbol, "trade")
    number, price, quantity, time, maker = (
        table.columns[name] for name in ("id", "price", "qty", "time", "is_buyer_maker")
    )

    def read(row: Sequence[str]) -> Recorded:
        time_us = instant_us("time", row[time])
        time_ms = time_us // 1000
        event = (
            f'{{"e":"trade","E":{time_ms},"T":{time_ms},"s":"{symbol}","t":{whole("id", row[number])},'
            f'"p":"{decimal("price", row[price])}","q":"{decimal("qty", row[quantity])}",'
            f'"m":{truth("isBuyerMaker", row[maker])}}}'
        )
        return Recorded(time_us, "trade", stream, event.encode())

    return read


def _agg_trades(table: Table, facts: FileFacts, _: Sequence[str]) -> RowReader:
    symbol = facts.require_symbol()
    stream = stream_name(symbol, "aggTrade")
    number, price, quantity, time, maker = (
        table.columns[name] for name in ("agg_trade_id", "price", "qty", "time", "is_buyer_maker")
    )
    bounds = [("f", "first_trade_id"), ("l", "last_trade_id")]
    present = [(key, name, table.columns[name]) for key, name in bounds if name in table.columns]

    def read(row: Sequence[str]) -> Recorded:
        time_us = instant_us("time", row[time])
        time_ms = time_us // 1000
        ids = "".join(f'"{key}":{whole(name, row[i])},' for key, name, i in present)
        event = (
            f'{{"e":"aggTrade","E":{time_ms},"s":"{symbol}","a":{whole("agg_trade_id", row[number])},'
            f'"p":"{decimal("price", row[price])}","q":"{decimal("qty", row[quantity])}",{ids}"T":{time_ms},'
            f'"m":{truth("is_buyer_maker", row[maker])}}}'
        )
        return Recorded(time_us, "aggTrade", stream, event.encode())

    return read


def _funding(table: Table, facts: FileFacts, _: Sequence[str]) -> RowReader:
    columns = table.columns
    symbol_at, mark_at = columns.get("symbol"), columns.get("mark_price")
    named = facts.require_symbol() if symbol_at is None else ""
    time, rate = columns["funding_time"], columns["funding_rate"]

    def read(row: Sequence[str]) -> Recorded:
        mark = row[mark_at] if mark_at is not None else ""
        return funding_event(named if symbol_at is None else row[symbol_at], row[time], row[rate], mark)

    return read


def funding_event(symbol: str, time: str, rate: str, mark: str) -> Recorded:
    """Return the event of one settled funding rate; ``mark`` is empty when the mark price was not recorded."""
    if not is_symbol(symbol):
        raise BadLine("broken", f"symbol: expected 2 to 30 of A-Z, 0-9 and _, was {symbol[:40]!r}")
    time_us = instant_us("fundingTime", time)
    price = f',"p":"{decimal("markPrice", mark)}"' if mark else ""
    event = f'{{"e":"fundingRate","E":{time_us // 1000},"s":"{symbol}","r":"{decimal("fundingRate", rate)}"{price}}}'
    return Recorded(time_us, "fundingRate", stream_name(symbol, "fundingRate"), event.encode())
