"""Closed candles as numpy columns. Loaded on the first such read only, because it imports numpy.

Candles that this program stored have one layout, so a batch of them is a table of bytes, and each column is cut out of
all candles at once. Documents of other layouts (missing values, other writers' types) are decoded one by one.
PyMongoArrow reads as fast, but leaves decimals as they are: making doubles of them one by one takes ten times as long.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import bson
import numpy as np
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from pymongo import DESCENDING

from common.storage.columns import CandleColumns
from common.storage.mongodb.connection import Collection, faults
from common.storage.mongodb.numbers import number_text
from common.storage.mongodb.times import instant_ms, stored_instant

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIME: Final = "timestamp"
_PRICES: Final = ("open", "high", "low", "close", "volume", "quote_volume")
_COUNT: Final = "trades_count"
_FIELDS: Final = (_TIME, *_PRICES, _COUNT, "taker_buy_volume")
_PROJECTION: Final = {"_id": False, **dict.fromkeys(_FIELDS, True)}
_CODECS: Final[CodecOptions[dict[str, Any]]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_BATCH: Final = 10_000

# The driver's Decimal128: 16 bytes, low word first, the exponent above 49 bits of coefficient.
_DECIMAL: Final = np.dtype([("low", "<u8"), ("high", "<u8")])
_SIGN: Final = np.uint64(1 << 63)
_EXPONENT_SHIFT: Final = np.uint64(49)
_EXPONENT_MASK: Final = np.uint64(0x3FFF)
_BIAS: Final = 6176
_HIGH_COEFFICIENT: Final = np.uint64((1 << 49) - 1)
_OTHER_LAYOUT: Final = np.uint64(3 << 61)
# Up to here whole numbers and powers of ten are exact as doubles, so one division rounds once, as float() does.
_EXACT_COEFFICIENT: Final = np.uint64(1 << 53)
_POWERS: Final = np.array([float(f"1e{exponent}") for exponent in range(23)])


def _values(name: str) -> Any:
    if name == _TIME:
        return stored_instant(0)
    return Int64(0) if name == _COUNT else Decimal128("0")


def _layout() -> tuple[np.dtype[np.void], bytes, "NDArray[np.bool_]"]:
    """Return the layout of a candle's bytes, an example, and which of the bytes are the same in every candle."""
    example = bson.encode({name: _values(name) for name in _FIELDS})
    types = {_TIME: np.dtype("<i8"), _COUNT: np.dtype("<i8")}
    formats = [types.get(name, _DECIMAL) for name in _FIELDS]
    offsets, fixed = [], np.ones(len(example), dtype=np.bool_)
    for name, form in zip(_FIELDS, formats, strict=True):
        offset = example.index(f"{name}\0".encode()) + len(name) + 1
        offsets.append(offset)
        fixed[offset : offset + form.itemsize] = False
    layout = {"names": list(_FIELDS), "formats": formats, "offsets": offsets, "itemsize": len(example)}
    return np.dtype(layout), example, fixed  # type: ignore[call-overload]


_LAYOUT, _EXAMPLE, _FIXED = _layout()


async def candle_columns(collection: Collection, opened: tuple[int | None, int], bars: int | None) -> CandleColumns:
    """Read the newest ``bars`` closed candles that opened within ``opened``, both ends included."""
    first_ms, last_ms = opened
    bounds = {"$lte": stored_instant(last_ms)}
    if first_ms is not None:
        bounds["$gte"] = stored_instant(first_ms)
    with faults():
        # The original system did not say whether a candle was closed.
        cursor = collection.find_raw_batches(
            {_TIME: bounds, "is_closed": {"$ne": False}},
            projection=_PROJECTION,
            sort=[(_TIME, DESCENDING)],
            limit=bars or 0,
            batch_size=_BATCH if bars is None else min(bars, _BATCH),
        )
        batches = [_columns(cast("bytes", raw)) async for raw in cursor]  # the stubs say documents
    return CandleColumns(*(_joined([batch[name] for batch in batches], name) for name in _FIELDS))


def _joined(parts: "list[NDArray[Any]]", name: str) -> "NDArray[Any]":
    """Return the batches' values of a column in ascending order."""
    kind = np.int64 if name == _TIME else np.float64
    if not parts:
        return np.empty(0, dtype=kind)
    return np.concatenate(parts)[::-1].astype(kind)


def _columns(raw: bytes) -> "Mapping[str, NDArray[Any]]":
    table = _table(raw)
    if table is None:
        return _decoded(raw)
    whole = {name: table[name] for name in (_TIME, _COUNT)}
    return whole | {name: _floats(table[name]) for name in _FIELDS if name not in whole}


def _table(raw: bytes) -> "NDArray[np.void] | None":
    """Return a batch as a table if every candle has the common layout."""
    size = len(_EXAMPLE)
    if len(raw) % size:
        return None
    octets = np.frombuffer(raw, dtype=np.uint8).reshape(-1, size)
    expected = np.frombuffer(_EXAMPLE, dtype=np.uint8)
    if not (octets[:, _FIXED] == expected[_FIXED]).all():
        return None
    return np.frombuffer(raw, dtype=_LAYOUT)


def _floats(decimals: "NDArray[np.void]") -> "NDArray[np.float64]":
    """Return what ``float()`` makes of the decimals' texts."""
    low, high = decimals["low"], decimals["high"]
    exponents = (high >> _EXPONENT_SHIFT & _EXPONENT_MASK).astype(np.int64) - _BIAS
    exact = (low <= _EXACT_COEFFICIENT) & (high & _HIGH_COEFFICIENT == 0) & (high & _OTHER_LAYOUT != _OTHER_LAYOUT)
    exact &= (exponents <= 0) & (exponents > -len(_POWERS))
    values: NDArray[np.float64] = low.astype(np.float64) / _POWERS[np.where(exact, -exponents, 0)]
    values[high & _SIGN != 0] *= -1
    for position in np.flatnonzero(~exact):
        values[position] = float(number_text(Decimal128.from_bid(decimals[position].tobytes())))
    return values


def _decoded(raw: bytes) -> "Mapping[str, NDArray[Any]]":
    documents = bson.decode_all(raw, _CODECS)
    times = np.array([instant_ms(document[_TIME]) for document in documents], dtype=np.int64)
    columns = {name: [document.get(name) for document in documents] for name in _FIELDS if name != _TIME}
    return {_TIME: times} | {name: _as_floats(values) for name, values in columns.items()}


def _as_floats(values: list[Any]) -> "NDArray[np.float64]":
    return np.array([np.nan if value is None else float(number_text(value)) for value in values], dtype=np.float64)
