"""Binance's events, named after the exchange's own fields, inside the producer's envelope in its three forms.

Prices stay the strings that came; which texts are decimals is decided by whoever makes rows of them. Unknown fields
are ignored. ``decode`` reads one message of a known kind.
"""

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from common.models.families import BY_KIND
from common.times import LATEST_INSTANT_MS

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Millis = Annotated[int, Meta(ge=0, le=LATEST_INSTANT_MS)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Trade(Struct, gc=False):
    """``<symbol>@trade``: one trade."""

    t: Id
    p: str
    q: str
    T: Millis
    m: bool
    s: str | None = None
    symbol: str | None = None


class AggTrade(Struct, gc=False):
    """``<symbol>@aggTrade``: the fills of one taker order at one price."""

    a: Id
    p: str
    q: str
    T: Millis
    m: bool
    f: Id | None = None
    l: Id | None = None  # noqa: E741 - the exchange's name
    s: str | None = None
    symbol: str | None = None


class Ticker(Struct, gc=False):
    """``<symbol>@ticker``: rolling statistics of 24 hours."""

    E: Millis
    p: str
    P: str
    o: str
    h: str
    l: str  # noqa: E741 - the exchange's name
    c: str
    v: str
    q: str
    n: Count
    s: str | None = None
    symbol: str | None = None


class Depth(Struct, gc=False):
    """An order book in either pair of keys: ``b``/``a`` with ``u``, or ``bids``/``asks`` with ``lastUpdateId``.

    The levels stay raw JSON: they are stored as they came, and read as numbers only to be checked.
    """

    b: msgspec.Raw | UnsetType = UNSET
    a: msgspec.Raw | UnsetType = UNSET
    u: Id | UnsetType = UNSET
    bids: msgspec.Raw | UnsetType = UNSET
    asks: msgspec.Raw | UnsetType = UNSET
    last_update_id: Id | UnsetType = msgspec.field(default=UNSET, name="lastUpdateId")
    E: Millis | None = None
    T: Millis | None = None
    s: str | None = None
    symbol: str | None = None


class MarkPrice(Struct, gc=False):
    """``<symbol>@markPrice``: mark and index price, and the funding rate of the running interval."""

    E: Millis
    p: str
    i: str | None = None
    P: str | None = None
    r: str | None = None
    T: Millis | None = None
    s: str | None = None
    symbol: str | None = None


class Funding(Struct, gc=False):
    """``fundingRate``: the rate of a funding time."""

    E: Millis
    r: str
    p: str | None = None
    T: Millis | None = None
    s: str | None = None
    symbol: str | None = None


class KlineBody(Struct, gc=False):
    """The candle inside a kline event. Archives without some columns carry ``null`` for them."""

    t: Millis
    i: str
    o: str
    h: str
    l: str  # noqa: E741 - the exchange's name
    c: str
    v: str
    x: bool
    q: str | None
    n: Count | None
    V: str | None
    Q: str | None


class Kline(Struct, gc=False):
    """``<symbol>@kline_<interval>``: a candle as it grows, and once more when it has closed."""

    E: Millis
    k: KlineBody
    s: str | None = None
    symbol: str | None = None


BinanceEvent = Trade | AggTrade | Ticker | Depth | MarkPrice | Funding | Kline

E = TypeVar("E")


class Envelope(Struct, Generic[E], gc=False):
    """The producer's envelope, or Binance's combined-stream form, which lacks the last two fields."""

    data: E = cast("Any", UNSET)  # absent in the flat form
    stream: str | None = None
    symbol: str | None = None
    timestamp: str | None = None


def decoders(kind: str) -> tuple[Callable[[bytes], Envelope[Any]], Callable[[bytes], Any]]:
    """Return two functions that decode messages of ``kind``: with an envelope, and in the flat form.

    The first leaves ``data`` unset when a message is flat; then the second is to be asked. Both raise
    ``msgspec.DecodeError``, ``RecursionError`` or ``UnicodeDecodeError``; give the error to
    ``common.wire.classify.explain`` for the reason, the field and the text.
    """
    struct: Any = globals()[BY_KIND[kind].struct]
    enveloped = msgspec.json.Decoder(Envelope[struct])
    return enveloped.decode, msgspec.json.Decoder(struct).decode
