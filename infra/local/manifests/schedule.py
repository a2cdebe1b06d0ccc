"""Cron schedules as a PingSource writes them: five fields, or six with the second first, in a time zone.

The syntax is that of the platform's parser (robfig/cron): ``*``, ``?``, numbers, names, ranges, steps, lists, and the
descriptors ``@hourly`` to ``@yearly``. The fields are written out as plain lists for ``cronsim``, which finds the
instants; what only one of the two understands (``L``, ``W``, ``#``, Sunday as 7) is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_ITEM: Final = re.compile(r"(?P<low>\*|\?|[a-z0-9]+)(?:-(?P<high>[a-z0-9]+))?(?:/(?P<step>[0-9]+))?", re.IGNORECASE)
_STARS: Final = ("*", "?")
_EVERY: Final = (*_STARS, "*/1", "?/1")


class _Field(NamedTuple):
    name: str
    lowest: int
    highest: int
    names: Mapping[str, int] = {}


_FIELDS: Final = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field("day of the week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a PingSource fires."""

    expression: str
    timezone: str

    @classmethod
    def parse(cls, expression: str, timezone: str) -> "Schedule":
        """Return the schedule.

        Raises:
            ValueError: the expression is none (``@every`` is refused, as the platform does), or the zone is unknown.
        """
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"expected an IANA time zone, was {timezone!r}") from error
        plain = _written_out(expression)
        try:
            next(CronSim(plain, datetime(2020, 1, 1, tzinfo=zone)))
        except (CronSimError, StopIteration) as error:
            raise ValueError(f"expected a cron schedule that fires at all, was {expression!r}") from error
        return cls(plain, timezone)

    def next_ms(self, after_ms: int) -> int:
        """Return the first instant after ``after_ms`` at which it fires."""
        after = datetime.fromtimestamp(after_ms / 1000, ZoneInfo(self.timezone))
        fires: datetime = next(CronSim(self.expression, after))
        return int(fires.astimezone(UTC).timestamp() * 1000)


def _written_out(expression: str) -> str:
    """Return a schedule in which every restricted field is a list of numbers."""
    parts = _DESCRIPTORS.get(expression, expression).split()
    fields = _FIELDS[-len(parts) :] if len(parts) in (5, 6) else ()
    if not fields:
        raise ValueError(f"expected a cron schedule of five or six fields, was {expression!r}")
    return " ".join(_field(field, part) for field, part in zip(fields, parts, strict=True))


def _field(field: _Field, text: str) -> str:
    if text in _EVERY:
        return "*"
    numbers = {number for item in text.split(",") for number in _item(field, item)}
    return ",".join(map(str, sorted(numbers)))


def _item(field: _Field, text: str) -> range:
    match = _ITEM.fullmatch(text)
    if match is None or (match["low"] in _STARS and match["high"]):
        raise ValueError(f"{field.name}: expected numbers, ranges and steps, was {text!r}")
    step = int(match["step"] or 1)
    if match["low"] in _STARS:
        low, high = field.lowest, field.highest
    else:
        low = _number(field, match["low"])
        # A step without an end goes on to the highest.
        high = _number(field, match["high"]) if match["high"] else field.highest if match["step"] else low
    if low > high or step == 0:
        raise ValueError(f"{field.name}: expected a range that ascends, with a step of 1 or more, was {text!r}")
    return range(low, high + 1, step)


def _number(field: _Field, text: str) -> int:
    number = int(text) if text.isdigit() else field.names.get(text.lower(), -1)
    if not field.lowest <= number <= field.highest:
        raise ValueError(f"{field.name}: expected {field.lowest} to {field.highest}, was {text!r}")
    return number
