"""Instants: integer milliseconds since the epoch (UTC) inside, ISO-8601 with ``Z`` at the edge."""

from datetime import UTC, datetime
from typing import Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

# See design.md, "Plausible time": nothing traded on this exchange before 2017, and no event lies far ahead of now.
EARLIEST_EVENT_MS: Final = 1_483_228_800_000  # 2017-01-01T00:00:00Z
LATEST_INSTANT_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
MAX_AHEAD_MS: Final = 60 * SECOND_MS

# A number at least this large is read as milliseconds, a smaller one as seconds (year 5138 in seconds, 1973 in ms).
_MILLISECOND_NUMBERS_FROM: Final = 100_000_000_000


def to_iso(instant_ms: int) -> str:
    """Return ``2025-10-20T12:34:56.789Z``: UTC, milliseconds, ``Z``."""
    seconds, milliseconds = divmod(instant_ms, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.isoformat()[:19]}.{milliseconds:03d}Z"


def parse_instant(text: str) -> int:
    """Return the instant that ``text`` names, in milliseconds since the epoch.

    Accepts ISO-8601 with or without an offset (without one it is UTC), and unix seconds or milliseconds.

    Raises:
        ValueError: ``text`` is none of these, or lies outside the years 1970 to 9999.
    """
    text = text.strip()
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        return _from_number(text)
    # A '+' that was not percent-coded arrives as a blank; both separators of date and time are accepted.
    if len(text) > 6 and text[-6] == " ":
        text = f"{text[:-6]}+{text[-5:]}"
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return _checked((delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000)


def _from_number(text: str) -> int:
    if len(text) > 20:
        raise ValueError("not an instant: too many digits")
    number = float(text) if "." in text else int(text)
    return _checked(int(number) if number >= _MILLISECOND_NUMBERS_FROM else int(number * 1000))


def _checked(instant_ms: int) -> int:
    if not 0 <= instant_ms <= LATEST_INSTANT_MS:
        raise ValueError("not an instant between 1970 and 9999")
    return instant_ms
