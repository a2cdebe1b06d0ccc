"""From one raw message to the rows it means, or to the reason why it cannot be stored.

Everything that a store may trust is checked here: the symbol, the plausibility of the time (DESIGN §7.14), that prices
are positive decimals of ordinary length, that an id exists. Pure: bytes and bounds in, rows out.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from common.models.dead_letters import Reason
from common.models.rows import (
    AggTradeRow,
    CandleRow,
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
from common.wire.binance import AggTrade, Envelope, Funding, Kline, MarkPrice, Ticker, Trade
from functions.ingest.errors import BadRow, UnhandledRow
from functions.ingest.order_book import depth_row

Rows = tuple[MarketRow, ...]
Reader = Callable[[Envelope[Any], int], Rows]

_is_decimal: Final = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,18})?").fullmatch
_is_signed_decimal: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,18})?").fullmatch
# Trades are most of the traffic: one match for both numbers, and single checks only to say which one is wrong.
_POSITIVE: Final = r"(?=[0.]*[1-9])[0-9]{1,20}(?:\.[0-9]{1,18})?"
_are_positive: Final = re.compile(f"{_POSITIVE},{_POSITIVE}").fullmatch
_is_positive: Final = re.compile(_POSITIVE).fullmatch

_KNOWN_SYMBOLS: Final[dict[str, str]] = {}
_MAX_KNOWN_SYMBOLS: Final = 10_000


def symbol_of(envelope: Envelope[Any]) -> str:
    """Return the symbol of a message: the event's, the envelope's, or the one its stream is named after."""
    event = envelope.data
    given = event.s or event.symbol or envelope.symbol or (envelope.stream or "").partition("@")[0]
    known = _KNOWN_SYMBOLS.get(given)
    return known if known is not None else _checked_symbol(given)


def _checked_symbol(given: str) -> str:
    if not given:
        raise BadRow(Reason.MISSING_FIELD, "s", "expected a symbol, was none")
    symbol = given.upper()
    if not is_symbol(symbol):
        raise BadRow(Reason.INVALID_SYMBOL, "s", f"expected 2 to 30 of A-Z, 0-9 and _, was {given[:40]!r}")
    if len(_KNOWN_SYMBOLS) < _MAX_KNOWN_SYMBOLS:
        _KNOWN_SYMBOLS[given] = symbol
    return symbol


def trade_rows(envelope: Envelope[Trade], latest_ms: int) -> Rows:
    """Return the row of a trade, dated by its trade time."""
    event = envelope.data
    time_ms, price, quantity = event.T, event.p, event.q
    if not EARLIEST_EVENT_MS <= time_ms <= latest_ms or not _are_positive(f"{price},{quantity}"):
        _check_time("T", time_ms, latest_ms)
        _check_positive("p", price)
        _check_positive("q", quantity)
    return (TradeRow(symbol_of(envelope), time_ms, event.t, price, quantity, event.m),)


def agg_trade_rows(envelope: Envelope[AggTrade], latest_ms: int) -> Rows:
    """Return the row of an aggregated trade."""
    event = envelope.data
    _check_time("T", event.T, latest_ms)
    _check_positive("p", event.p)
    _check_positive("q", event.q)
    return (AggTradeRow(symbol_of(envelope), event.T, event.a, event.p, event.q, event.f, event.l, event.m),)


def ticker_rows(envelope: Envelope[Ticker], latest_ms: int) -> Rows:
    """Return the row of a 24-hour ticker."""
    event = envelope.data
    _check_time("E", event.E, latest_ms)
    for name in ("o", "h", "l", "c"):
        _check_positive(name, getattr(event, name))
    for name in ("v", "q"):
        _check_not_negative(name, getattr(event, name))
    for name in ("p", "P"):
        _check_number(name, getattr(event, name))
    return (
        TickerRow(
            symbol_of(envelope),
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
        ),
    )


def mark_price_rows(envelope: Envelope[MarkPrice], latest_ms: int) -> Rows:
    """Return the mark price and, for a perpetual, the funding rate last seen for the coming funding time."""
    event = envelope.data
    symbol = symbol_of(envelope)
    _check_time("E", event.E, latest_ms)
    _check_positive("p", event.p)
    for name in ("i", "P"):
        if getattr(event, name):
            _check_not_negative(name, getattr(event, name))
    rate = event.r or None
    if rate is not None:
        _check_number("r", rate)
    next_ms = to_second(event.T) if event.T else None
    mark = MarkPriceRow(symbol, event.E, event.p, event.i or None, event.P or None, rate, next_ms)
    if rate is None or next_ms is None or next_ms < event.E:
        return (mark,)
    return mark, FundingRow(symbol, next_ms, rate, event.p, None, event.E, Origin.STREAM)


def funding_rows(envelope: Envelope[Funding], latest_ms: int) -> Rows:
    """Return the funding rate that an explicit event states for its own time."""
    event = envelope.data
    _check_time("E", event.E, latest_ms)
    _check_number("r", event.r)
    if event.p:
        _check_positive("p", event.p)
    next_ms = to_second(event.T) if event.T else None
    return (
        FundingRow(symbol_of(envelope), to_second(event.E), event.r, event.p or None, next_ms, event.E, Origin.STREAM),
    )


def candle_rows(envelope: Envelope[Kline], latest_ms: int) -> Rows:
    """Return the candle, keyed by its open time."""
    event = envelope.data
    candle = event.k
    timeframe = _TIMEFRAMES.get(candle.i)
    if timeframe is None:
        raise UnhandledRow(f"kline_{candle.i[:8]}")
    _check_time("E", event.E, latest_ms)
    _check_time("k.t", candle.t, latest_ms)
    if candle.t % timeframe.duration_ms:
        raise BadRow(
            Reason.INVALID_VALUE,
            "k.t",
            f"expected the open time of a {timeframe} candle, was {to_iso(candle.t)}",
        )
    for name in ("o", "h", "l", "c"):
        _check_positive(f"k.{name}", getattr(candle, name))
    _check_not_negative("k.v", candle.v)
    for name in ("q", "V", "Q"):
        if getattr(candle, name) is not None:
            _check_not_negative(f"k.{name}", getattr(candle, name))
    return (
        CandleRow(
            symbol_of(envelope), candle.i, candle.t, candle.o, candle.h, candle.l, candle.c, candle.v, candle.q,
            candle.n, candle.V, candle.Q, candle.x, event.E, Origin.STREAM,
        ),
    )  # fmt: skip


def depth_rows(envelope: Envelope[Any], latest_ms: int) -> Rows:
    """Return the order book, dated by its event; one without a time is dated by the producer's envelope."""
    event = envelope.data
    field, time_ms = ("E", event.E) if event.E else ("T", event.T)
    if not time_ms:
        field, time_ms = "timestamp", _envelope_time(envelope)
    _check_time(field, time_ms, latest_ms)
    return (depth_row(symbol_of(envelope), time_ms, event),)


READERS: Final[dict[str, Reader]] = {
    "trade": trade_rows,
    "aggtrade": agg_trade_rows,
    "ticker": ticker_rows,
    "depth": depth_rows,
    "markprice": mark_price_rows,
    "funding": funding_rows,
    "kline": candle_rows,
}

_TIMEFRAMES: Final = {str(timeframe): timeframe for timeframe in Timeframe}


def latest_plausible_ms(now_ms: int) -> int:
    """Return the latest time that an event may carry now."""
    return now_ms + MAX_AHEAD_MS


def to_second(instant_ms: int) -> int:
    """Round to the second: published funding times jitter by some milliseconds."""
    return (instant_ms + 500) // 1000 * 1000


def _envelope_time(envelope: Envelope[Any]) -> int:
    if not envelope.timestamp:
        raise BadRow(Reason.MISSING_FIELD, "E", "expected an event time (E) or a timestamp in the envelope, was none")
    try:
        return parse_instant(envelope.timestamp)
    except ValueError:
        text = envelope.timestamp[:40]
        raise BadRow(Reason.INVALID_VALUE, "timestamp", f"expected an ISO-8601 time, was {text!r}") from None


def _check_time(field: str, time_ms: int, latest_ms: int) -> None:
    if not EARLIEST_EVENT_MS <= time_ms <= latest_ms:
        raise _implausible(field, time_ms)


def _check_positive(field: str, text: str) -> None:
    if not _is_positive(text):
        raise _not_positive(field, text)


def _check_not_negative(field: str, text: str) -> None:
    if not _is_decimal(text):
        raise BadRow(Reason.INVALID_VALUE, field, f"expected a decimal of at least 0, was {text[:40]!r}")


def _check_number(field: str, text: str) -> None:
    if not _is_signed_decimal(text):
        raise BadRow(Reason.INVALID_VALUE, field, f"expected a decimal number, was {text[:40]!r}")


def _implausible(field: str, time_ms: int) -> BadRow:
    return BadRow(
        Reason.IMPLAUSIBLE_TIME,
        field,
        f"expected a time from 2017 to a minute ahead of now, was {to_iso(time_ms)}",
    )


def _not_positive(field: str, text: str) -> BadRow:
    return BadRow(Reason.INVALID_VALUE, field, f"expected a positive decimal, was {text[:40]!r}")
