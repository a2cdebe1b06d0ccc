"""From one decoded message to the row it means, or to the reason why it cannot be stored.

Everything that a store may trust is checked here: the symbol, the time (design.md, "Plausible time"), that prices are
positive decimals of ordinary length, that an id exists. Pure: events and bounds in, rows out.

The path of a good message is short, because there are tens of thousands a second: one match proves all its numbers.
Only when that fails are they looked at one by one, to say which is wrong.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from common.models.dead_letters import Reason
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    FundingRow,
    MarketRow,
    MarkPriceRow,
    Origin,
    TickerRow,
    TradeRow,
)
from common.symbols import is_symbol
from common.timeframes import Timeframe
from common.times import EARLIEST_EVENT_MS, MAX_AHEAD_MS, parse_instant, to_iso
from common.wire.binance import AggTrade, Depth, Envelope, Funding, Kline, MarkPrice, Ticker, Trade
from functions.ingest.errors import BadRow, UnhandledRow
from functions.ingest.order_book import depth_row

# Makes the row of an event; the envelope around it, and the latest time that is plausible now.
Reader = Callable[[Any, Envelope[Any], int], MarketRow]

_SIZE: Final = r"[0-9]{1,20}+(?:\.[0-9]{1,18}+)?+"  # possessive: a failed match is found out without backtracking
POSITIVE: Final = rf"(?=[0.]*+[1-9]){_SIZE}"
_SIGNED: Final = rf"-?{_SIZE}"
_OPTIONAL: Final = rf"(?:{_SIZE}|None|)"

_is_size: Final = re.compile(_SIZE).fullmatch
_is_positive: Final = re.compile(POSITIVE).fullmatch
_is_signed: Final = re.compile(_SIGNED).fullmatch
_are_trade_numbers: Final = re.compile(f"{POSITIVE},{POSITIVE}").fullmatch
_are_ticker_numbers: Final = re.compile(",".join([POSITIVE] * 4 + [_SIZE] * 2 + [_SIGNED] * 2)).fullmatch
_are_mark_numbers: Final = re.compile(f"{POSITIVE},{_OPTIONAL},{_OPTIONAL},(?:{_SIGNED}|None|)").fullmatch
_are_candle_numbers: Final = re.compile(",".join([POSITIVE] * 4 + [_SIZE] + [_OPTIONAL] * 3)).fullmatch

_MAX_KNOWN_SYMBOLS: Final = 10_000
_known_symbols: Final[dict[str | None, str]] = {}  # as it was written → as it is stored
_known: Final = _known_symbols.get
_new_tuple: Final = tuple.__new__
_TIMEFRAMES: Final = {str(timeframe): timeframe for timeframe in Timeframe}


def known_symbols() -> Mapping[str | None, str]:
    """Return the symbols seen so far: as they were written → as they are stored."""
    return _known_symbols


def trade_row(event: Trade, envelope: Envelope[Any], latest_ms: int) -> TradeRow:
    """Return the row of a trade, dated by its trade time."""
    if not (EARLIEST_EVENT_MS <= event.T <= latest_ms and _are_trade_numbers(f"{event.p},{event.q}")):
        _check_time("T", event.T, latest_ms)
        _check_each(event, _is_positive, _A_PRICE, "p", "q")
    symbol = _known(event.s) or symbol_of(envelope, event)
    # What TradeRow(…) does, without its call of a Python function: trades are most of the traffic.
    return _new_tuple(TradeRow, (symbol, event.T, event.t, event.p, event.q, event.m))


def agg_trade_row(event: AggTrade, envelope: Envelope[Any], latest_ms: int) -> AggTradeRow:
    """Return the row of an aggregated trade."""
    if not (EARLIEST_EVENT_MS <= event.T <= latest_ms and _are_trade_numbers(f"{event.p},{event.q}")):
        _check_time("T", event.T, latest_ms)
        _check_each(event, _is_positive, _A_PRICE, "p", "q")
    symbol = _known(event.s) or symbol_of(envelope, event)
    return AggTradeRow(symbol, event.T, event.a, event.p, event.q, event.f, event.l, event.m)


def ticker_row(event: Ticker, envelope: Envelope[Any], latest_ms: int) -> TickerRow:
    """Return the row of a 24-hour ticker."""
    _check_time("E", event.E, latest_ms)
    if not _are_ticker_numbers(
        f"{event.o},{event.h},{event.l},{event.c},{event.v},{event.q},{event.p},{event.P}",
    ):
        _check_each(event, _is_positive, _A_PRICE, "o", "h", "l", "c")
        _check_each(event, _is_size, _A_SIZE, "v", "q")
        _check_each(event, _is_signed, _A_NUMBER, "p", "P")
    return TickerRow(
        _known(event.s) or symbol_of(envelope, event),
        event.E,
        event.o,
        event.h,
        event.l,
        event.c,
        event.v,
        event.q,
        event.p,
        event.P,
        event.n,
    )


def mark_price_row(event: MarkPrice, envelope: Envelope[Any], latest_ms: int) -> MarkPriceRow:
    """Return the mark price. A delivery contract has neither rate nor next funding time."""
    _check_time("E", event.E, latest_ms)
    if not _are_mark_numbers(f"{event.p},{event.i},{event.P},{event.r}"):
        _check_each(event, _is_positive, _A_PRICE, "p")
        _check_each(event, _is_size, _A_SIZE, *(name for name in ("i", "P") if getattr(event, name)))
        _check_each(event, _is_signed, _A_NUMBER, "r")
    return MarkPriceRow(
        _known(event.s) or symbol_of(envelope, event),
        event.E,
        event.p,
        event.i or None,
        event.P or None,
        event.r or None,
        to_second(event.T) if event.T else None,
    )


def funding_of(mark: MarkPriceRow) -> FundingRow | None:
    """Return the rate that a mark price states for the coming funding time: the last one seen before it counts."""
    if mark.funding_rate is None or mark.next_funding_time_ms is None or mark.next_funding_time_ms < mark.time_ms:
        return None
    return FundingRow(
        mark.symbol,
        mark.next_funding_time_ms,
        mark.funding_rate,
        mark.mark_price,
        None,
        mark.time_ms,
        Origin.STREAM,
    )


def funding_row(event: Funding, envelope: Envelope[Any], latest_ms: int) -> FundingRow:
    """Return the funding rate that an explicit event states for its own time."""
    _check_time("E", event.E, latest_ms)
    _check_each(event, _is_signed, _A_NUMBER, "r")
    if event.p:
        _check_each(event, _is_positive, _A_PRICE, "p")
    next_ms = to_second(event.T) if event.T else None
    symbol = _known(event.s) or symbol_of(envelope, event)
    return FundingRow(symbol, to_second(event.E), event.r, event.p or None, next_ms, event.E, Origin.STREAM)


def candle_row(event: Kline, envelope: Envelope[Any], latest_ms: int) -> CandleRow:
    """Return the candle, keyed by its open time."""
    candle = event.k
    timeframe = _TIMEFRAMES.get(candle.i)
    if timeframe is None:
        raise UnhandledRow(f"kline_{candle.i[:8]}")
    _check_time("E", event.E, latest_ms)
    _check_time("k.t", candle.t, latest_ms)
    if candle.t % timeframe.duration_ms:
        expected = f"expected the open time of a {timeframe} candle, was {to_iso(candle.t)}"
        raise BadRow(Reason.INVALID_VALUE, "k.t", expected)
    if not _are_candle_numbers(
        f"{candle.o},{candle.h},{candle.l},{candle.c},{candle.v},{candle.q},{candle.V},{candle.Q}"
    ):
        _check_candle(event)
    return CandleRow(
        _known(event.s) or symbol_of(envelope, event),
        candle.i,
        candle.t,
        candle.o,
        candle.h,
        candle.l,
        candle.c,
        candle.v,
        candle.q or None,
        candle.n,
        candle.V or None,
        candle.Q or None,
        candle.x,
        event.E,
        Origin.STREAM,
    )


def _check_candle(event: Kline) -> None:
    candle = event.k
    _check_each(candle, _is_positive, _A_PRICE, "o", "h", "l", "c", within="k.")
    _check_each(
        candle, _is_size, _A_SIZE, "v", *(name for name in ("q", "V", "Q") if getattr(candle, name)), within="k."
    )


def book_row(event: Depth, envelope: Envelope[Any], latest_ms: int) -> DepthRow:
    """Return the order book, dated by its event; one without a time is dated by the producer's envelope."""
    field, time_ms = ("E", event.E) if event.E else ("T", event.T)
    if not time_ms:
        field, time_ms = "timestamp", _envelope_time(envelope)
    _check_time(field, time_ms, latest_ms)
    return depth_row(_known(event.s) or symbol_of(envelope, event), time_ms, event)


READERS: Final[dict[str, Reader]] = {
    "trade": trade_row,
    "aggtrade": agg_trade_row,
    "ticker": ticker_row,
    "depth": book_row,
    "markprice": mark_price_row,
    "funding": funding_row,
    "kline": candle_row,
}


def symbol_of(envelope: Envelope[Any], event: Any) -> str:
    """Return the symbol of a message: the event's, the envelope's, or the one its stream is named after."""
    given: str = event.s or event.symbol or envelope.symbol or (envelope.stream or "").partition("@")[0]
    if not given:
        raise BadRow(Reason.MISSING_FIELD, "s", "expected a symbol, was none")
    symbol = given.upper()
    if not is_symbol(symbol):
        raise BadRow(Reason.INVALID_SYMBOL, "s", f"expected 2 to 30 of A-Z, 0-9 and _, was {given[:40]!r}")
    if given == event.s and len(_known_symbols) < _MAX_KNOWN_SYMBOLS:
        _known_symbols[given] = symbol
    return symbol


def latest_plausible_ms(now_ms: int) -> int:
    """Return the latest time that an event may carry now."""
    return now_ms + MAX_AHEAD_MS


def to_second(instant_ms: int) -> int:
    """Round to the second: published funding times jitter by some milliseconds."""
    return (instant_ms + 500) // 1000 * 1000


_A_PRICE: Final = "a positive decimal"
_A_SIZE: Final = "a decimal of at least 0"
_A_NUMBER: Final = "a decimal number"


def _check_time(field: str, time_ms: int, latest_ms: int) -> None:
    if not EARLIEST_EVENT_MS <= time_ms <= latest_ms:
        expected = f"expected a time from 2017 to a minute ahead of now, was {to_iso(time_ms)}"
        raise BadRow(Reason.IMPLAUSIBLE_TIME, field, expected)


def _check_each(event: Any, is_right: Callable[[str], object], expected: str, *names: str, within: str = "") -> None:
    for name in names:
        text = getattr(event, name)
        if not is_right(text or ""):
            raise BadRow(Reason.INVALID_VALUE, within + name, f"expected {expected}, was {(text or '')[:40]!r}")


def _envelope_time(envelope: Envelope[Any]) -> int:
    if not envelope.timestamp:
        raise BadRow(Reason.MISSING_FIELD, "E", "expected an event time (E) or a timestamp in the envelope, was none")
    try:
        return parse_instant(envelope.timestamp)
    except ValueError:
        expected = f"expected an ISO-8601 time, was {envelope.timestamp[:40]!r}"
        raise BadRow(Reason.INVALID_VALUE, "timestamp", expected) from None
