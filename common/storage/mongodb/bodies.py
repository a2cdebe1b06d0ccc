"""Bodies of computed documents as BSON and back: decimal texts as Decimal128, instants as dates, all else as it is."""

import re
from collections.abc import Mapping
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from common.storage.mongodb.numbers import number_text, stored_number
from common.storage.mongodb.times import stored_instant
from common.times import parse_instant, to_iso

_is_instant: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z").fullmatch


def stored_body(value: object) -> Any:
    """Return a part of a body as it is stored; reading it back gives the very same texts."""
    if isinstance(value, str):
        return _stored_text(value)
    if isinstance(value, Mapping):
        return {name: stored_body(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [stored_body(item) for item in value]
    return value


def body_of(value: object) -> Any:
    """Return a stored part of a body as it was."""
    if isinstance(value, Decimal128):
        return number_text(value)
    if isinstance(value, DatetimeMS):
        return to_iso(int(value))
    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, Mapping):
        return {name: body_of(item) for name, item in value.items()}
    if isinstance(value, list):
        return [body_of(item) for item in value]
    return value


def _stored_text(text: str) -> Any:
    if _is_instant(text):
        try:
            return stored_instant(parse_instant(text))
        except ValueError:  # the thirtieth of February is a text
            return text
    return stored_number(text)
