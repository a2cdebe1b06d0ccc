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
_LEVEL_BYTES: Final = b'0123456789.",[]'
_BLANKS: Final = b" \t"


class _Level(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    price: Annotated[float, msgspec.Meta(gt=0)]
    quantity: Annotated[float, msgspec.Meta(gt=0)]


class _TextLevel(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
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
    if _is_in_form(text, best_is_high=best_is_high):
        return text.decode("ascii")
    return _rewritten(field, text, best_is_high=best_is_high)


def _is_in_form(text: bytes, *, best_is_high: bool) -> bool:
    """Tell whether the levels are strings of positive numbers, few enough, of ordinary length, and in order."""
    try:
        levels = _numbers(text)
    except msgspec.DecodeError:
        return False
    count = len(levels)
    if count > MAX_LEVELS or text.count(b'"') != 4 * count or len(text) > _MAX_LEVEL_CHARACTERS * count + 2:
        return False
    prices = [level.price for level in levels]
    return prices == sorted(prices, reverse=best_is_high)


def _rewritten(field: str, text: bytes, *, best_is_high: bool) -> str:
    try:
        levels = _texts(text)
        present = [level for level in levels if _is_present(level)]
    except ValueError:  # a level that is no pair of strings, or a string that is no number
        raise _bad_levels(field) from None
    present.sort(key=lambda level: float(level.price), reverse=best_is_high)
    return _encode(present[:MAX_LEVELS]).decode("ascii")


def _is_present(level: _TextLevel) -> bool:
    """Tell whether a level has a quantity; one of zero tells that the level is gone."""
    if max(len(level.price), len(level.quantity)) > _MAX_NUMBER_CHARACTERS or float(level.price) <= 0:
        raise ValueError("not a level")
    return float(level.quantity) > 0


def _bad_levels(field: str) -> BadRow:
    return BadRow(Reason.INVALID_VALUE, field, 'expected levels ["price","quantity"] of positive decimals')
