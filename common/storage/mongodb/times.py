"""Instants as BSON dates: UTC with milliseconds, whatever wrote them."""

from bson.datetime_ms import DatetimeMS

from common.times import parse_instant


def stored_instant(instant_ms: int) -> DatetimeMS:
    """Return an instant as it is stored."""
    return DatetimeMS(instant_ms)


def instant_ms(value: object) -> int:
    """Return a stored instant in milliseconds: a date, or a text or number of another writer.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, DatetimeMS):
        return int(value)
    return parse_instant(str(value))


def optional_instant_ms(value: object) -> int | None:
    """Return a stored instant in milliseconds, or None for null."""
    return None if value is None else instant_ms(value)
