"""The functions and the patterns of CESQL."""

import re
from collections.abc import Callable
from typing import Final

from infra.local.broker.cesql_values import EvaluationError, Value, to_bool, to_int, to_string, wrapped

Function = Callable[..., Value]

_LOWEST: Final = -(2**31)


def function_of(name: str, arity: int) -> Function:
    """Return the function of this name that takes so many arguments.

    Raises:
        ValueError: there is none.
    """
    if (name, arity) in _FUNCTIONS:
        return _FUNCTIONS[name, arity]
    if name in _VARIADIC and arity >= _VARIADIC[name][0]:
        return _VARIADIC[name][1]
    raise ValueError(f"no function {name} takes {arity} arguments")


def pattern_of(text: str) -> re.Pattern[str]:
    r"""Return the pattern of ``LIKE``: ``%`` for any characters, ``_`` for one, ``\`` before either for itself."""
    pieces = re.split(r"(\\[%_]|[%_])", text)
    wildcards = {"%": ".*", "_": ".", r"\%": "%", r"\_": "_"}
    return re.compile("".join(wildcards.get(piece) or re.escape(piece) for piece in pieces), re.DOTALL)


def _can(cast: Callable[[Value], Value], value: Value) -> bool:
    try:
        cast(value)
    except EvaluationError:
        return False
    return True


def _abs(value: Value) -> int:
    number = to_int(value)
    if number == _LOWEST:
        raise EvaluationError("the absolute value is not a 32-bit integer")
    return abs(number)


def _concat(*values: Value) -> str:
    return "".join(map(to_string, values))


def _concat_ws(delimiter: Value, *values: Value) -> str:
    return to_string(delimiter).join(map(to_string, values))


def _left(value: Value, count: Value) -> str:
    return to_string(value)[: _not_negative(to_int(count))]


def _right(value: Value, count: Value) -> str:
    text = to_string(value)
    return text[max(0, len(text) - _not_negative(to_int(count))) :]


def _substring(value: Value, position: Value, length: Value | None = None) -> str:
    text, start = to_string(value), to_int(position)
    size = None if length is None else _not_negative(to_int(length))
    if start == 0:
        return ""
    if abs(start) > len(text):
        raise EvaluationError(f"position {start} is outside of a string of {len(text)} characters")
    begin = start - 1 if start > 0 else len(text) + start
    return text[begin:] if size is None else text[begin : begin + size]


def _not_negative(count: int) -> int:
    if count < 0:
        raise EvaluationError(f"expected a length of 0 or more, was {count}")
    return count


_FUNCTIONS: Final[dict[tuple[str, int], Function]] = {
    ("ABS", 1): _abs,
    ("BOOL", 1): to_bool,
    ("INT", 1): to_int,
    ("IS_BOOL", 1): lambda value: _can(to_bool, value),
    ("IS_INT", 1): lambda value: _can(to_int, value),
    ("LEFT", 2): _left,
    ("LENGTH", 1): lambda value: wrapped(len(to_string(value))),
    ("LOWER", 1): lambda value: to_string(value).lower(),
    ("RIGHT", 2): _right,
    ("STRING", 1): to_string,
    ("SUBSTRING", 2): _substring,
    ("SUBSTRING", 3): _substring,
    ("TRIM", 1): lambda value: to_string(value).strip(),
    ("UPPER", 1): lambda value: to_string(value).upper(),
}
# Name → fewest arguments, function.
_VARIADIC: Final[dict[str, tuple[int, Function]]] = {"CONCAT": (0, _concat), "CONCAT_WS": (1, _concat_ws)}
