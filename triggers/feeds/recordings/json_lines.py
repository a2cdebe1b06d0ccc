"""Recorded WebSocket messages, one JSON value a line, in every form in which they are kept.

A line is a message in a wrapper with its receive time (``{"recv_ns"|"recv_s", "src", "msg"}``), a combined-stream
message or the producer's own envelope (``{"stream", "data"}``), a bare event, or an array of events. Rows of funding
history (``{"symbol", "fundingTime", "fundingRate"}``) are read too. Events are passed on byte for byte; only the
differences of an order book are played through a local one (``depth_player``).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from common.symbols import is_symbol
from triggers.feeds.envelope import stream_name
from triggers.feeds.recordings.depth_player import DepthPlayer
from triggers.feeds.recordings.recorded import BadLine, FileFacts, FileReport, Market, Recorded
from triggers.feeds.recordings.rows import funding_event

# A list of this many levels or fewer is a partial book; REST snapshots are asked for with hundreds.
_PARTIAL_LEVELS: Final = (5, 10, 20)
_SAMPLE_OF_DEPTH: Final = 50
# On the spot market these have no event name, or do not exist.
_FUTURES_EVENTS: Final = frozenset({"bookTicker", "markPriceUpdate", "fundingRate", "forceOrder"})


# A level that is no number is a ValueError.
_NOT_A_MESSAGE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class _Line(Struct, gc=False):
    """A line's outermost object: wrapper, envelope, or the event itself."""

    recv_ns: int | None = None
    recv_s: float | None = None
    src: str | None = None
    symbol: str | None = None
    url: str | None = None
    msg: Raw | UnsetType = UNSET
    stream: str | None = None
    data: Raw | UnsetType = UNSET
    timestamp: str | None = None


class _Combined(Struct, gc=False):
    stream: str | None = None
    data: Raw | UnsetType = UNSET


class Head(Struct, gc=False):
    """What must be known of an event to pass it on."""

    e: str | None = None
    E: int | None = None
    T: int | None = None
    s: str | None = None
    pu: int | None = None
    X: str | None = None
    M: bool | None = None
    last_update_id: int | None = msgspec.field(default=None, name="lastUpdateId")
    funding_time: int | None = msgspec.field(default=None, name="fundingTime")
    b: Raw | UnsetType = UNSET
    a: Raw | UnsetType = UNSET
    bids: Raw | UnsetType = UNSET


class Message(Struct, gc=False):
    """One event of a line, with what its wrapper said."""

    event: bytes
    head: Head
    stream: str | None
    symbol: str | None
    from_rest: bool
    received_us: int | None
    url: str | None


class _FundingRow(Struct, gc=False):
    symbol: str
    funding_time: int = msgspec.field(name="fundingTime")
    funding_rate: str = msgspec.field(name="fundingRate")
    mark_price: str = msgspec.field(default="", name="markPrice")


_line: Final = msgspec.json.Decoder(_Line).decode
_combined: Final = msgspec.json.Decoder(_Combined).decode
_elements: Final = msgspec.json.Decoder(list[Raw]).decode
_head: Final = msgspec.json.Decoder(Head).decode
_funding_row: Final = msgspec.json.Decoder(_FundingRow).decode
_levels: Final = msgspec.json.Decoder(list[tuple[str, str]]).decode


def unwrap(line: bytes) -> Iterator[Message]:
    """Give the events of a line.

    Raises:
        msgspec.DecodeError: the line is not one of the forms.
    """
    outer = _Line() if line.lstrip().startswith(b"[") else _line(line)
    body: Raw | bytes = outer.msg if outer.msg is not UNSET else line.strip()
    stream, inner = outer.stream, outer.data
    if outer.msg is not UNSET and not bytes(body).startswith(b"["):
        combined = _combined(body)
        stream, inner = combined.stream, combined.data
    event = bytes(body if inner is UNSET else inner)
    received_us = _received_us(outer)
    from_rest = outer.src == "rest"
    for part in _elements(event) if event.startswith(b"[") else (event,):
        raw = bytes(part)
        yield Message(raw, _head(raw), stream, outer.symbol, from_rest, received_us, outer.url)


def _received_us(outer: _Line) -> int | None:
    if outer.recv_ns is not None:
        return outer.recv_ns // 1000
    if outer.recv_s is not None:
        return round(outer.recv_s * 1_000_000)
    if outer.timestamp is not None and outer.data is not UNSET:
        try:
            return round(datetime.fromisoformat(outer.timestamp).timestamp() * 1_000_000)
        except ValueError:
            return None
    return None


class JsonLinesReader:
    """Reads one text of JSON lines."""

    def __init__(self, facts: FileFacts, report: FileReport, *, bare_is_difference: bool = True) -> None:
        """Begin.

        Args:
            facts: the symbol, where the lines do not say it.
            report: where lines that give no event are noted.
            bare_is_difference: whether a ``depthUpdate`` whose stream is not known is a difference, not a partial book.
        """
        self._facts = facts
        self._report = report
        self._bare_is_difference = bare_is_difference
        self._depth = DepthPlayer(report)

    def read(self, lines: Iterator[bytes]) -> Iterator[Recorded]:
        """Give the events of all lines."""
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                messages = list(unwrap(line))
            except _NOT_A_MESSAGE as error:
                self._report.skip(number, BadLine("broken", f"expected a recorded message: {error}"))
                continue
            for message in messages:
                yield from self._checked(message, number)
        self._depth.finish()

    def _checked(self, message: Message, number: int) -> Iterator[Recorded]:
        try:
            yield from self._events(message, number)
        except BadLine as bad:
            self._report.skip(number, bad)
        except _NOT_A_MESSAGE as error:
            self._report.skip(number, BadLine("broken", f"expected a recorded message: {error}"))

    def _events(self, message: Message, number: int) -> Iterator[Recorded]:
        head = message.head
        if head.funding_time is not None:
            row = _funding_row(message.event)
            yield funding_event(row.symbol, str(row.funding_time), row.funding_rate, row.mark_price)
        elif head.last_update_id is not None:
            yield from self._book(message, number)
        elif head.e == "depthUpdate" and self._is_difference(message):
            yield from self._depth.difference(message.event, message.received_us, number)
        else:
            yield self._passed(message)

    def _passed(self, message: Message) -> Recorded:
        head = message.head
        if head.e is None:
            raise BadLine("no event name (e): the producer drops these")
        if head.s is None or not is_symbol(head.s.upper()):
            raise BadLine(f"no symbol (s) in {head.e}: the producer drops these")
        time_us = message.received_us or (head.E or head.T or 0) * 1000
        return Recorded(time_us, head.e, stream_name(head.s, head.e), message.event)

    def _book(self, message: Message, number: int) -> Iterator[Recorded]:
        symbol = self._symbol(message)
        levels = _levels(message.head.bids) if message.head.bids is not UNSET else []
        if message.from_rest or len(levels) > max(_PARTIAL_LEVELS):
            yield from self._depth.snapshot(symbol, message.event, number)
            return
        time_us = message.received_us
        if time_us is None:
            raise BadLine("a book without a time: spot books carry none, and no receive time was recorded")
        yield Recorded(time_us, "depthUpdate", stream_name(symbol, "depthUpdate"), message.event)

    def _symbol(self, message: Message) -> str:
        by_stream = message.stream.partition("@")[0].upper() if message.stream else None
        by_url = parse_qs(urlsplit(message.url).query).get("symbol", [None])[0] if message.url else None
        symbol = message.head.s or message.symbol or by_url or by_stream or self._facts.symbol
        if symbol is None or not is_symbol(symbol):
            raise BadLine("a book without a symbol: add --symbol")
        return symbol

    def _is_difference(self, message: Message) -> bool:
        if message.stream is None:
            return self._bare_is_difference
        name = message.stream.partition("@")[2].partition("@")[0]
        return name == "depth"


def market_of(message: Message) -> Market | None:
    """Return the market that the form of an event gives away, if it does."""
    head = message.head
    if message.url:
        return "um" if "fapi." in message.url or "fstream." in message.url else "spot"
    if head.e == "depthUpdate":
        return "spot" if head.pu is None else "um"
    if head.M is not None:
        return "spot"
    if head.X is not None or head.e in _FUTURES_EVENTS or head.funding_time is not None:
        return "um"
    return None


def bare_depth_is_partial(messages: list[Message]) -> bool:
    """Tell whether the ``depthUpdate`` events of a sample, whose stream nobody recorded, are whole top-N books.

    Both kinds look alike; only full lists of 5, 10 or 20 levels on both sides, none of them empty, time after time,
    are no differences.
    """
    books = [m.head for m in messages if m.head.e == "depthUpdate" and m.stream is None][:_SAMPLE_OF_DEPTH]
    return bool(books) and all(_is_full(book) for book in books)


def _is_full(head: Head) -> bool:
    if head.b is UNSET or head.a is UNSET:
        return False
    bids, asks = _levels(head.b), _levels(head.a)
    return len(bids) == len(asks) and len(bids) in _PARTIAL_LEVELS and all(float(q) for _, q in (*bids, *asks))
