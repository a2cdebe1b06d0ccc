"""Intervals of schedules: PingSources fire by cron, so an interval has to be one that a cron schedule can keep."""

from typing import Final

# Seconds of a unit, how many make the next one, and the schedule that fires every so many of them.
_UNITS: Final = (
    (1, 60, "*/{} * * * * *"),
    (60, 60, "*/{} * * * *"),
    (3600, 24, "0 */{} * * *"),
    (86400, 2, "0 0 * * *"),
)
ACCEPTED: Final = tuple(unit * count for unit, whole, _ in _UNITS for count in range(1, whole) if whole % count == 0)


def cron_of(interval_s: int) -> str:
    """Return the cron schedule that fires at every multiple of an interval (seconds) since the epoch, in UTC.

    Raises:
        ValueError: there is none; the text names the intervals that have one.
    """
    if interval_s not in ACCEPTED:
        known = ", ".join(map(str, ACCEPTED))
        raise ValueError(f"expected seconds that a cron schedule can keep (one of {known}), was {interval_s}")
    unit, _, form = next(each for each in reversed(_UNITS) if interval_s % each[0] == 0)
    return form.format(interval_s // unit)
