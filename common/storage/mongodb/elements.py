"""Elements of BSON documents, written straight from the values of a row.

Rows are stored by tens of thousands a second; making Python objects of their values only for the driver to write them
as bytes costs three times what writing them does. The layout is that of the BSON specification, version 1.1. Reading
is left to the driver.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import add
from typing import Final

from common.storage.mongodb.numbers import bid

Element = bytes

_TEXT: Final = b"\x02"
_ARRAY: Final = b"\x04"
_BOOLEAN: Final = b"\x08"
_DATE: Final = b"\x09"
_NULL: Final = b"\x0a"
_INTEGER: Final = b"\x12"
_DECIMAL: Final = b"\x13"
_END: Final = b"\x00"

_length: Final = struct.Struct("<i").pack
_number: Final = struct.Struct("<q").pack
_FRAME_BYTES: Final = 5  # the length, and the end
# Texts whose bytes are kept, for each field: prices and quantities repeat from trade to trade.
_CACHED: Final = 1024
MANY_CACHED: Final = 32_768


def document(*elements: Element) -> bytes:
    """Return a document of some elements, in this order."""
    body = b"".join(elements)
    return b"%b%b\x00" % (_length(len(body) + _FRAME_BYTES), body)


def text(name: str) -> Callable[[str], Element]:
    """Return what writes a text field."""
    head = _head(_TEXT, name)

    def write(value: str) -> Element:
        octets = value.encode()
        return b"%b%b%b\x00" % (head, _length(len(octets) + 1), octets)

    return write


def repeated_text(name: str) -> Callable[[str], Element]:
    """Return what writes a text field that has few values."""
    return lru_cache(_CACHED)(text(name))


def instant(name: str) -> Callable[[int], Element]:
    """Return what writes a date field from milliseconds."""
    return _fixed(_DATE, name)


def integer(name: str) -> Callable[[int], Element]:
    """Return what writes a whole number of 64 bits."""
    return _fixed(_INTEGER, name)


def boolean(name: str) -> tuple[Element, Element]:
    """Return a field that is false, and one that is true."""
    head = _head(_BOOLEAN, name)
    return head + b"\x00", head + b"\x01"


def decimal(name: str, *, cached: int = _CACHED) -> Callable[[str], Element]:
    """Return what writes a decimal text as a Decimal128, or as a text if that could not hold it."""
    write = number(name)
    return lru_cache(cached)(lambda value: write(bid(value) or value))


def number(name: str) -> Callable[[bytes | str], Element]:
    """Return what writes the 16 bytes of a Decimal128, or the text that stands in their place."""
    head, write_text = _head(_DECIMAL, name), text(name)
    return lambda value: write_text(value) if isinstance(value, str) else head + value


def array(name: str, items: Sequence[bytes]) -> Element:
    """Return a field that is a list of documents."""
    heads = _ITEM_HEADS if len(items) <= len(_ITEM_HEADS) else map(_item_head, range(len(items)))
    return _head(_ARRAY, name) + document(*map(add, heads, items))


def optional(name: str, write: Callable[[str], Callable[[int], Element]]) -> Callable[[int | None], Element]:
    """Return what writes a field that may be null: ``optional("event_time", instant)``."""
    null, present = _head(_NULL, name), write(name)
    return lambda value: null if value is None else present(value)


def optional_decimal(name: str) -> Callable[[str | None], Element]:
    """Return what writes a decimal text that may be null."""
    null, present = _head(_NULL, name), decimal(name)
    return lambda value: null if value is None else present(value)


def _fixed(kind: bytes, name: str) -> Callable[[int], Element]:
    head = _head(kind, name)
    return lambda value: head + _number(value)


def _item_head(position: int) -> bytes:
    return b"\x03%d\x00" % position


def _head(kind: bytes, name: str) -> bytes:
    return kind + name.encode() + _END


_ITEM_HEADS: Final = tuple(map(_item_head, range(20)))  # as many as an order book has levels
