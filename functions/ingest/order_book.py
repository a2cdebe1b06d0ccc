"""Order books: checked as numbers, stored as the text that came.

A level is ``["price","quantity"]``. Only digits, points, quotes, commas and brackets can stand in a list of levels,
which one pass over the bytes proves; then reading it as numbers proves the rest. Most books need no rewriting.
"""

from typing import Annotated, Final

import msgspec

from common.models.dead_letters import Reason
from common.models.rows import DepthRow
from common.wire.binance import Depth
from functions.ingest.errors import BadRow

MAX_LEVELS: Final = 20
_MAX_NUMBER_CHARACTERS: Final = 40
_MAX_LEVEL_CHARACTERS: Final = 2 * _MAX_NUMBER_CHARACTERS
_FRAME_CHARACTERS: Final = len("[[],[]]")
_LEVEL_BYTES: Final = b'0123456789.",[]'
_BLANKS: Final = b" \t"


class _Level(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    price: Annotated[float, msgspec.Meta(gt=0)]
    quantity: Annotated[float, msgspec.Meta(gt=0)]


class _TextLevel(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    price: str
    quantity: str


_numbers: Final = msgspec.json.Decoder(tuple[list[_Level], list[_Level]], strict=False).decode
_texts: Final = msgspec.json.Decoder(list[_TextLevel]).decode
_encode: Final = msgspec.json.Encoder().encode


def depth_row(symbol: str, time_ms: int, event: Depth) -> DepthRow:
    """Return the row of a book in either of its shapes: best level first, at most 20, no empty level."""
    update_id = event.u if event.u is not msgspec.UNSET else event.last_update_id
    if update_id is msgspec.UNSET:
        raise BadRow(Reason.MISSING_FIELD, "u", "expected an update id (u or lastUpdateId), was none")
    bids, asks = (event.b, event.a) if event.b is not msgspec.UNSET else (event.bids, event.asks)
    texts = _as_they_came(_present("b", bids), _present("a", asks))
    return DepthRow(symbol, time_ms, update_id, *texts)


def _present(field: str, raw: msgspec.Raw | msgspec.UnsetType) -> bytes:
    if isinstance(raw, msgspec.UnsetType):
        raise BadRow(Reason.MISSING_FIELD, field, "expected a list of levels, was none")
    return bytes(raw)


def _as_they_came(bids: bytes, asks: bytes) -> tuple[str, str]:
    """Return the texts of both sides, rewritten unless they are strings of positive numbers, few enough, in order."""
    both = b"[%b,%b]" % (bids, asks)
    if not both.translate(None, _LEVEL_BYTES) and _are_in_form(both):
        return bids.decode("ascii"), asks.decode("ascii")
    return _rewritten("b", bids, best_is_high=True), _rewritten("a", asks, best_is_high=False)


def _are_in_form(both: bytes) -> bool:
    try:
        bids, asks = _numbers(both)
    except msgspec.DecodeError:
        return False
    count = len(bids) + len(asks)
    if max(len(bids), len(asks)) > MAX_LEVELS or both.count(b'"') != 4 * count:
        return False
    if len(both) > _MAX_LEVEL_CHARACTERS * count + _FRAME_CHARACTERS:
        return False
    bid_prices, ask_prices = [level.price for level in bids], [level.price for level in asks]
    return bid_prices == sorted(bid_prices, reverse=True) and ask_prices == sorted(ask_prices)


def _rewritten(field: str, text: bytes, *, best_is_high: bool) -> str:
    text = text.translate(None, _BLANKS)
    if text.translate(None, _LEVEL_BYTES):
        raise _bad_levels(field)
    try:
        levels = _texts(text)
        present = [level for level in levels if _has_quantity(level)]
    except ValueError:  # a level that is no pair of strings, or a string that is no number
        raise _bad_levels(field) from None
    present.sort(key=lambda level: float(level.price), reverse=best_is_high)
    return _encode(present[:MAX_LEVELS]).decode("ascii")


def _has_quantity(level: _TextLevel) -> bool:
    """Tell whether a level has a quantity; one of zero tells that the level is gone."""
    if max(len(level.price), len(level.quantity)) > _MAX_NUMBER_CHARACTERS or float(level.price) <= 0:
        raise ValueError("not a level")
    return float(level.quantity) > 0


def _bad_levels(field: str) -> BadRow:
    return BadRow(Reason.INVALID_VALUE, field, 'expected levels ["price","quantity"] of positive decimals')
