"""Rows of market data as documents and back (design.md, "Stores").

The order of a document's fields is always the same: columnar reads rely on it. Documents of the original system are
read as well: numbers of any type, and without the fields that it did not write.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, NamedTuple, get_args

import msgspec

from common.models.dead_letters import DeadLetter, Reason
from common.models.families import FAMILIES, Family, FamilySpec
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    FundingRow,
    MarketRow,
    Origin,
    TradeRow,
)
from common.storage.mongodb.elements import (
    MANY_CACHED,
    Element,
    array,
    boolean,
    decimal,
    document,
    instant,
    integer,
    number,
    optional,
    optional_decimal,
    repeated_text,
    text,
)
from common.storage.mongodb.numbers import number_text, optional_number_text, product
from common.storage.mongodb.times import instant_ms, optional_instant_ms, stored_instant

Document = dict[str, Any]
Stored = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """How the rows of a family are kept.

    Attributes:
        write: makes the BSON document of a row, with further elements at its end.
        row: makes the row of a document.
    """

    write: Callable[[Any, Element], bytes]
    row: Callable[[Stored], MarketRow]


stored_at: Final = instant("stored_at")
version: Final = integer("version")

_id: Final = text("_id")
_symbol: Final = repeated_text("symbol")
_timestamp: Final = instant("timestamp")
_price: Final = decimal("price", cached=MANY_CACHED)
_quantity: Final = decimal("quantity", cached=MANY_CACHED)
_quote_quantity: Final = number("quote_quantity")
_trade_id: Final = integer("trade_id")
_agg_trade_id: Final = integer("agg_trade_id")
_first_trade_id: Final = optional("first_trade_id", integer)
_last_trade_id: Final = optional("last_trade_id", integer)
_is_buyer_maker: Final = boolean("is_buyer_maker")
_SIDES: Final = (text("side")("buy"), text("side")("sell"))
_optional_trades_count: Final = optional("trades_count", integer)
_last_update_id: Final = integer("last_update_id")
_optional_mark_price: Final = optional_decimal("mark_price")
_funding_rate: Final = decimal("funding_rate")
_next_funding_time: Final = optional("next_funding_time", instant)
_event_time: Final = instant("event_time")
_origin: Final = integer("origin")
_timeframe: Final = repeated_text("timeframe")
_is_closed: Final = boolean("is_closed")
_revision: Final = integer("revision")
_candle_numbers: Final = [decimal(name) for name in CandleRow._fields[3:8]]
_candle_optionals: Final = {
    name: optional_decimal(name) for name in ("quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
}

_levels: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode


def timed_id(symbol: str, time_ms: int) -> str:
    """Return the id of a document of which there is one for each instant."""
    return f"{symbol}_{time_ms}"


def _write_trade(row: TradeRow, tail: Element) -> bytes:
    symbol, time_ms, trade_id, price, quantity, is_buyer_maker = row
    return document(
        _id(f"{symbol}_{trade_id}"),
        _symbol(symbol),
        _timestamp(time_ms),
        _trade_id(trade_id),
        _price(price),
        _quantity(quantity),
        _quote_quantity(product(price, quantity)),
        _is_buyer_maker[is_buyer_maker],
        _SIDES[is_buyer_maker],
        tail,
    )


def _trade(stored: Stored) -> TradeRow:
    return TradeRow(
        stored["symbol"],
        instant_ms(stored["timestamp"]),
        int(stored["trade_id"]),
        number_text(stored["price"]),
        number_text(stored["quantity"]),
        bool(stored["is_buyer_maker"]),
    )


def _write_agg_trade(row: AggTradeRow, tail: Element) -> bytes:
    return document(
        _id(f"{row.symbol}_{row.agg_trade_id}"),
        _symbol(row.symbol),
        _timestamp(row.time_ms),
        _agg_trade_id(row.agg_trade_id),
        _price(row.price),
        _quantity(row.quantity),
        _quote_quantity(product(row.price, row.quantity)),
        _first_trade_id(row.first_trade_id),
        _last_trade_id(row.last_trade_id),
        _is_buyer_maker[row.is_buyer_maker],
        _SIDES[row.is_buyer_maker],
        tail,
    )


def _agg_trade(stored: Stored) -> AggTradeRow:
    return AggTradeRow(
        stored["symbol"],
        instant_ms(stored["timestamp"]),
        int(stored["agg_trade_id"]),
        number_text(stored["price"]),
        number_text(stored["quantity"]),
        _optional_count(stored["first_trade_id"]),
        _optional_count(stored["last_trade_id"]),
        bool(stored["is_buyer_maker"]),
    )


def _write_depth(row: DepthRow, tail: Element) -> bytes:
    return document(
        _id(f"{row.symbol}_{row.last_update_id}"),
        _symbol(row.symbol),
        _timestamp(row.time_ms),
        _last_update_id(row.last_update_id),
        array("bids", _written_levels(row.bids)),
        array("asks", _written_levels(row.asks)),
        tail,
    )


def _written_levels(texts: str) -> list[bytes]:
    return [document(_price(price), _quantity(quantity)) for price, quantity in _levels(texts)]


def _depth(stored: Stored) -> DepthRow:
    return DepthRow(
        stored["symbol"],
        instant_ms(stored["timestamp"]),
        int(stored.get("last_update_id") or 0),  # the original did not always have one
        _levels_text(stored["bids"]),
        _levels_text(stored["asks"]),
    )


def _levels_text(levels: list[Stored]) -> str:
    texts = (f'["{number_text(level["price"])}","{number_text(level["quantity"])}"]' for level in levels)
    return f"[{','.join(texts)}]"


def _write_funding(row: FundingRow, tail: Element) -> bytes:
    return document(
        _id(timed_id(row.symbol, row.time_ms)),
        _symbol(row.symbol),
        _timestamp(row.time_ms),
        _funding_rate(row.funding_rate),
        _optional_mark_price(row.mark_price),
        _next_funding_time(row.next_funding_time_ms),
        _event_time(row.event_time_ms),
        _origin(row.origin),
        tail,
    )


def _funding(stored: Stored) -> FundingRow:
    time_ms = instant_ms(stored["timestamp"])
    return FundingRow(
        stored["symbol"],
        time_ms,
        number_text(stored["funding_rate"]),
        optional_number_text(stored.get("mark_price")),
        optional_instant_ms(stored.get("next_funding_time")),
        instant_ms(stored.get("event_time", time_ms)),
        Origin(stored.get("origin", Origin.STREAM)),
    )


def _write_candle(row: CandleRow, tail: Element) -> bytes:
    return document(
        _id(timed_id(row.symbol, row.time_ms)),
        _symbol(row.symbol),
        _timestamp(row.time_ms),
        *(write(value) for write, value in zip(_candle_numbers, row[3:8], strict=True)),
        _candle_optionals["quote_volume"](row.quote_volume),
        _optional_trades_count(row.trades_count),
        _candle_optionals["taker_buy_volume"](row.taker_buy_volume),
        _candle_optionals["taker_buy_quote_volume"](row.taker_buy_quote_volume),
        _timeframe(row.timeframe),
        _is_closed[row.is_closed],
        _event_time(row.event_time_ms),
        _origin(row.origin),
        _revision(row.revision),
        tail,
    )


def _candle(stored: Stored) -> CandleRow:
    """Make a candle; one of the original system counts as closed, and anything newer as better evidence."""
    time_ms = instant_ms(stored["timestamp"])
    return CandleRow(
        symbol=stored["symbol"],
        timeframe=stored["timeframe"],
        time_ms=time_ms,
        open=number_text(stored["open"]),
        high=number_text(stored["high"]),
        low=number_text(stored["low"]),
        close=number_text(stored["close"]),
        volume=number_text(stored["volume"]),
        quote_volume=optional_number_text(stored.get("quote_volume")),
        trades_count=_optional_count(stored.get("trades_count")),
        taker_buy_volume=optional_number_text(stored.get("taker_buy_volume")),
        taker_buy_quote_volume=optional_number_text(stored.get("taker_buy_quote_volume")),
        is_closed=bool(stored.get("is_closed", True)),
        event_time_ms=instant_ms(stored.get("event_time", time_ms)),
        origin=Origin(stored.get("origin", Origin.STREAM)),
        revision=int(stored.get("revision", 0)),
    )


def dead_letter_document(letter: DeadLetter, stored_at_ms: int) -> Document:
    """Return the document of a dead letter."""
    fields = letter._asdict()
    identity, time_ms = fields.pop("dead_letter_id"), fields.pop("time_ms")
    return {
        "_id": identity,
        "timestamp": stored_instant(time_ms),
        **fields,
        "reason": letter.reason.value,
        "stored_at": stored_instant(stored_at_ms),
    }


def dead_letter_of(stored: Stored) -> DeadLetter:
    """Return the dead letter of a document."""
    fields: dict[str, Any] = {name: stored.get(name) for name in DeadLetter._fields[2:]}
    fields["reason"] = Reason(fields["reason"])
    return DeadLetter(stored["_id"], instant_ms(stored["timestamp"]), **fields)


def _optional_count(count: Any) -> int | None:
    return None if count is None else int(count)


def _shape(spec: FamilySpec) -> Shape:
    """Return the shape that follows from the type of a family's rows: each field under its own name, times as dates.

    A text is stored as a number where that gives it back, digit for digit.
    """
    hints = spec.row.__annotations__
    fields = [_field(name, hint) for name, hint in hints.items()]
    identity = spec.row._fields.index(spec.identity)
    width = len(spec.scope)

    def write(row: tuple[Any, ...], tail: Element) -> bytes:
        elements = (field.write(value) for field, value in zip(fields, row, strict=True))
        return document(_id(f"{'_'.join(row[:width])}_{row[identity]}"), *elements, tail)

    def read(stored: Stored) -> MarketRow:
        return spec.row._make(field.read(stored.get(field.name)) for field in fields)

    return Shape(write, read)


class _Field(NamedTuple):
    name: str
    write: Callable[[Any], Element]
    read: Callable[[Any], Any]


def _field(name: str, hint: Any) -> _Field:
    optional_hint = NoneType in get_args(hint)
    kind = get_args(hint)[0] if optional_hint else hint
    if name.endswith("_ms"):
        stored_as = "timestamp" if name == "time_ms" else name.removesuffix("_ms")
        return _Field(stored_as, _writer(stored_as, instant, optional_hint), optional_instant_ms)
    if kind is bool:
        false, true = boolean(name)
        return _Field(name, lambda value: true if value else false, bool)
    if kind is str:
        plain = repeated_text if name in _SCOPES else decimal
        return _Field(name, optional_decimal(name) if optional_hint else plain(name), optional_number_text)
    return _Field(name, _writer(name, integer, optional_hint), _optional_count if kind is int else kind)


def _writer(name: str, write: Callable[[str], Callable[[int], Element]], is_optional: bool) -> Callable[[Any], Element]:
    return optional(name, write) if is_optional else write(name)


_SCOPES: Final = frozenset(field for spec in FAMILIES.values() for field in spec.scope)
# Those that say more than their rows, and those that earlier writers left fields out of.
_OWN_SHAPES: Final[dict[Family, Shape]] = {
    Family.TRADES: Shape(_write_trade, _trade),
    Family.AGG_TRADES: Shape(_write_agg_trade, _agg_trade),
    Family.DEPTH: Shape(_write_depth, _depth),
    Family.FUNDING_RATES: Shape(_write_funding, _funding),
    Family.CANDLES: Shape(_write_candle, _candle),
}
SHAPES: Final[dict[Family, Shape]] = {
    family: _OWN_SHAPES.get(family) or _shape(spec) for family, spec in FAMILIES.items()
}
