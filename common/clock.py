"""The one clock of a process, passed to whatever needs the time. Nothing else in the code asks the system.

``PETROSA_CLOCK=2025-12-31T23:59:00Z`` starts the clock at that instant, from where it runs at the real rate, so that
a recorded day is stored, audited and analysed as if it were today.
"""

import time
from typing import Protocol

from common.errors import ConfigurationError
from common.times import parse_instant


class Clock(Protocol):
    """Tells the present in integer milliseconds since the epoch, UTC."""

    def now_ms(self) -> int:
        """Return the present."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the present."""
        return time.time_ns() // 1_000_000


class ShiftedClock:
    """A clock that stood at ``start_ms`` when the machine's clock stood at ``anchor_ms``, and runs at its rate.

    The anchor is explicit so that all processes of one run can share it: a process that is started again later
    must continue the shifted day, not begin it anew.
    """

    def __init__(self, start_ms: int, anchor_ms: int) -> None:
        self._shift_ms = start_ms - anchor_ms

    def now_ms(self) -> int:
        """Return the present of the shifted day."""
        return time.time_ns() // 1_000_000 + self._shift_ms


class FixedClock:
    """A clock that stands still until it is moved; for tests and for computations as of an instant."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the instant that was set."""
        return self._now_ms

    def advance(self, milliseconds: int) -> None:
        """Move the clock forward."""
        self._now_ms += milliseconds


def clock_from(setting: str | None) -> Clock:
    """Return the clock that ``PETROSA_CLOCK`` describes.

    Args:
        setting: None for the machine's clock; an ISO-8601 instant; or ``<instant>@<anchor>``, which is how the
            one-machine runner hands a started clock to its processes.

    Raises:
        ConfigurationError: the setting is not an instant.
    """
    if not setting:
        return SystemClock()
    start, _, anchor = setting.partition("@")
    try:
        return ShiftedClock(parse_instant(start), parse_instant(anchor) if anchor else SystemClock().now_ms())
    except ValueError as error:
        text = f"PETROSA_CLOCK: expected an instant such as 2025-12-31T23:59:00Z, was {setting!r}"
        raise ConfigurationError(text) from error
