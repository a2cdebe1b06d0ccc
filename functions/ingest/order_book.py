"""Order books: checked as numbers, stored as the text that came.

A level is ``["price","quantity"]``. Only digits, points, quotes, commas and brackets can stand in a list of levels,
which one pass over the bytes proves; then reading it as numbers proves the rest. Most books need no rewriting.
"""

from typing import Final

import msgspec

from common.models.dead_letters import Reason
from common.models.rows import DepthRow
from common.wire.binance import Depth
from functions.ingest.errors import BadRow

MAX_LEVELS: Final = 20
_MAX_NUMBER_CHARACTERS: Final = 40
_LEVEL_BYTES: Final = b'0123456789.",[]'
_BLANKS: Final = b" \t"


class _Level(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    price: float
    quantity: float


class _TextLevel(msgspec.Struct, array_like=True, gc=False):
    price: str
    quantity: str


_numbers: Final = msgspec.json.Decoder(list[_Level], strict=False).decode
_texts: Final = msgspec.json.Decoder(list[_TextLevel]).decode
_encode: Final = msgspec.json.Encoder().encode


def depth_row(symbol: str, time_ms: int, event: Depth) -> DepthRow:
    """Return the row of a book in either of its shapes: best level first, at most 20, no empty level."""
    update_id = event.u if event.u is not msgspec.UNSET else event.last_update_id
    if update_id is msgspec.UNSET:
        raise BadRow(Reason.MISSING_FIELD, "u", "expected an update id (u or lastUpdateId), was none")
    bids, asks = (event.b, event.a) if event.b is not msgspec.UNSET else (event.bids, event.asks)
    return DepthRow(
        symbol, time_ms, update_id, _side("b", bids, best_is_high=True), _side("a", asks, best_is_high=False)
    )


def _side(field: str, raw: msgspec.Raw | msgspec.UnsetType, *, best_is_high: bool) -> str:
    if isinstance(raw, msgspec.UnsetType):
        raise BadRow(Reason.MISSING_FIELD, field, "expected a list of levels, was none")
    text = bytes(raw)
    if text.translate(None, _LEVEL_BYTES):
        text = text.translate(None, _BLANKS)
        if text.translate(None, _LEVEL_BYTES):
            raise _bad_levels(field)
    try:
        levels = _numbers(text)
    except msgspec.DecodeError:
        raise _bad_levels(field) from None
    if _needs_rewriting(levels, text, best_is_high=best_is_high):
        return _rewritten(field, text, best_is_high=best_is_high)
    return text.decode("ascii")


def _needs_rewriting(levels: list[_Level], text: bytes, *, best_is_high: bool) -> bool:
    prices = [level.price for level in levels]
    return (
        len(levels) > MAX_LEVELS
        or 0.0 in prices
        or 0.0 in [level.quantity for level in levels]
        or prices != sorted(prices, reverse=best_is_high)
        or text.count(b'"') != 4 * len(levels)
        or len(text) > len(levels) * 2 * _MAX_NUMBER_CHARACTERS + 2
    )


def _rewritten(field: str, text: bytes, *, best_is_high: bool) -> str:
    try:
        levels = _texts(text)
    except msgspec.ValidationError:
        raise _bad_levels(field) from None
    for level in levels:
        if max(len(level.price), len(level.quantity)) > _MAX_NUMBER_CHARACTERS or float(level.price) <= 0:
            raise _bad_levels(field)
    present = [level for level in levels if float(level.quantity) > 0]
    present.sort(key=lambda level: float(level.price), reverse=best_is_high)
    return _encode(present[:MAX_LEVELS]).decode("ascii")


def _bad_levels(field: str) -> BadRow:
    return BadRow(Reason.INVALID_VALUE, field, 'expected levels ["price","quantity"] of positive decimals')
