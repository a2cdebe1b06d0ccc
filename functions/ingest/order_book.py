"""Order books: checked as numbers, stored as the text that came.

A level is ``["price","quantity"]``. Without its digits and points a list of levels is always the same text, which one
comparison proves; then reading all numbers of both sides as one list proves the rest. Most books need no rewriting.
"""

from functools import lru_cache
from typing import Annotated, Final

import msgspec

from common.models.dead_letters import Reason
from common.models.rows import DepthRow
from common.wire.binance import Depth
from functions.ingest.errors import BadRow

MAX_LEVELS: Final = 20
_MAX_NUMBER_CHARACTERS: Final = 40
_MAX_LEVEL_CHARACTERS: Final = 2 * _MAX_NUMBER_CHARACTERS
_FRAME_CHARACTERS: Final = len("[],[]")
_NUMBER_BYTES: Final = b"0123456789."
_LEVEL_BYTES: Final = b'0123456789.",[]'
_BLANKS: Final = b" \t"


class _TextLevel(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    price: str
    quantity: str


_numbers: Final = msgspec.json.Decoder(list[Annotated[float, msgspec.Meta(gt=0)]], strict=False).decode
_WITHOUT_BRACKETS: Final = bytes.maketrans(b"[]", b"  ")
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
    if _are_in_form(bids, asks):
        return bids.decode("ascii"), asks.decode("ascii")
    return _rewritten("b", bids, best_is_high=True), _rewritten("a", asks, best_is_high=False)


def _are_in_form(bids: bytes, asks: bytes) -> bool:
    levels, ask_levels = bids.count(b'"') // 4, asks.count(b'"') // 4
    both = b"%b,%b" % (bids, asks)
    if max(levels, ask_levels) > MAX_LEVELS or both.translate(None, _NUMBER_BYTES) != _frame(levels, ask_levels):
        return False
    if len(both) > _MAX_LEVEL_CHARACTERS * (levels + ask_levels) + _FRAME_CHARACTERS:
        return False
    try:
        numbers = _numbers(b"[%b]" % both.translate(_WITHOUT_BRACKETS))
    except msgspec.DecodeError:
        return False
    bid_prices, ask_prices = numbers[: 2 * levels : 2], numbers[2 * levels :: 2]
    return bid_prices == sorted(bid_prices, reverse=True) and ask_prices == sorted(ask_prices)


@lru_cache(maxsize=(MAX_LEVELS + 1) ** 2)
def _frame(bids: int, asks: int) -> bytes:
    """Return what is left of two sides of so many levels without their numbers."""
    return b"[%b],[%b]" % tuple(b",".join([b'["",""]'] * levels) for levels in (bids, asks))


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
