"""Values of CESQL: booleans, 32-bit integers and strings, and the casts between them."""

import re
from typing import Final

Value = bool | int | str

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_RANGE: Final = 2**32
_HIGHEST: Final = 2**31 - 1


class EvaluationError(Exception):
    """An expression has no value for this event."""


def wrapped(number: int) -> int:
    """Return ``number`` as a signed 32-bit integer holds it."""
    return (number + _HIGHEST + 1) % _RANGE - _HIGHEST - 1


def to_bool(value: Value) -> bool:
    """Cast to a boolean: ``true`` and ``false`` in any case; integers other than 0 are true."""
    if not isinstance(value, str):
        return bool(value)
    text = value.lower()
    if text not in ("true", "false"):
        raise EvaluationError(f"{value!r} is not a boolean")
    return text == "true"


def to_int(value: Value) -> int:
    """Cast to an integer: decimal text in the range of 32 bits; true is 1."""
    if not isinstance(value, str):
        return int(value)
    number = int(value) if _INTEGER.fullmatch(value) else _RANGE
    if wrapped(number) != number:
        raise EvaluationError(f"{value!r} is not a 32-bit integer")
    return number


def to_string(value: Value) -> str:
    """Cast to a string, which always works."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def to_type_of(example: Value, value: Value) -> Value:
    """Cast ``value`` to the type of ``example``."""
    if isinstance(example, bool):
        return to_bool(value)
    return to_int(value) if isinstance(example, int) else to_string(value)


def divided(dividend: int, divisor: int) -> int:
    """Return the quotient, rounded towards zero."""
    if divisor == 0:
        raise EvaluationError("division by zero")
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) is (divisor < 0) else -quotient


def remainder(dividend: int, divisor: int) -> int:
    """Return what the division leaves; it has the sign of the dividend."""
    return dividend - divisor * divided(dividend, divisor)
