"""Decimal texts as BSON Decimal128 and back, digit for digit, and what other writers left in their place.

Decimal128 holds 34 digits and keeps trailing zeros. A text that it could not give back unchanged (more digits, leading
zeros) is stored as the text it is; readers take both. The bits are laid out here, because the driver's own conversion
goes through a decimal context and costs several times as much.
"""

import re
import struct
from decimal import Decimal
from functools import lru_cache
from typing import Final

from bson.decimal128 import Decimal128

_TOO_LARGE: Final = 10**34  # more digits than a Decimal128 holds
_LONGEST: Final = 64  # digits of a text that is looked at at all
_BIAS: Final = 6176
_EXPONENT_SHIFT: Final = 49
_SIGN: Final = 1 << 63
_LOW: Final = (1 << 64) - 1
_HIGH_COEFFICIENT: Final = (1 << _EXPONENT_SHIFT) - 1
_EXPONENT_MASK: Final = 0x3FFF
# With both of these bits set the layout is another one: infinities, NaN, and coefficients that no decimal text has.
_OTHER_LAYOUT: Final = 3 << 61

_has_exponent: Final = re.compile(r"-?[0-9.]+[eE][-+]?[0-9]{1,3}").fullmatch
_words: Final = struct.Struct("<QQ")
_pack: Final = _words.pack


def stored_number(text: str) -> Decimal128 | str:
    """Return how a decimal text is stored."""
    octets = bid(text)
    return text if octets is None else Decimal128.from_bid(octets)


def bid(text: str) -> bytes | None:
    """Return the 16 bytes of a decimal text, in the binary integer form; None if they could not give it back.

    What they give back has no leading zeros, no exponent, and no point without digits on both sides.
    """
    number = text.removeprefix("-")
    whole, point, fraction = number.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _LONGEST:
        return None
    if not whole or (point and not fraction) or (whole[0] == "0" and len(whole) > 1):
        return None
    coefficient = int(digits)
    if coefficient >= _TOO_LARGE:
        return None
    return _packed(coefficient, -len(fraction), 0 if number is text else _SIGN)


def product(one: str, other: str) -> bytes | str:
    """Return the exact product of two positive decimal texts: its 16 bytes, or its text when it has too many digits."""
    (a, scale), (b, other_scale) = parts(one), parts(other)
    coefficient, exponent = a * b, scale + other_scale
    if coefficient <= _LOW:
        return _pack(coefficient, (exponent + _BIAS) << _EXPONENT_SHIFT)
    return _packed(coefficient, exponent) if coefficient < _TOO_LARGE else _pointed(str(coefficient), exponent)


# Prices and quantities repeat from trade to trade.
@lru_cache(maxsize=32_768)
def parts(text: str) -> tuple[int, int]:
    """Return the digits of a positive decimal text as a whole number, and the power of ten that scales it."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), -len(fraction)


def _packed(coefficient: int, exponent: int, sign: int = 0) -> bytes:
    return _pack(coefficient & _LOW, sign | (exponent + _BIAS) << _EXPONENT_SHIFT | coefficient >> 64)


def number_text(value: object) -> str:
    """Return a stored number as decimal text: Decimal128, or a double, whole number or text of another writer.

    Raises:
        TypeError: it is no number.
    """
    if isinstance(value, Decimal128):
        return _text(value.bid)
    if isinstance(value, str):
        return _plain(Decimal(value)) if _has_exponent(value) else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, was {type(value).__name__}")
    return _plain(Decimal(repr(value)))


def optional_number_text(value: object) -> str | None:
    """Return a stored number as decimal text, or None for null."""
    return None if value is None else number_text(value)


@lru_cache(maxsize=8192)
def _text(bid: bytes) -> str:
    low, high = _words.unpack(bid)
    exponent = (high >> _EXPONENT_SHIFT & _EXPONENT_MASK) - _BIAS
    if high & _OTHER_LAYOUT == _OTHER_LAYOUT or exponent > 0:
        return _plain(Decimal128.from_bid(bid).to_decimal())
    text = _pointed(str((high & _HIGH_COEFFICIENT) << 64 | low), exponent)
    return f"-{text}" if high & _SIGN else text


def _pointed(digits: str, exponent: int) -> str:
    """Put the point of a number whose last digit stands for ``10**exponent``."""
    if not exponent:
        return digits
    digits = digits.rjust(1 - exponent, "0")
    return f"{digits[:exponent]}.{digits[exponent:]}"


def _plain(number: Decimal) -> str:
    """Write a number without exponent; a double's ``.0`` says nothing."""
    return format(number, "f").removesuffix(".0") if number.is_finite() else str(number)
