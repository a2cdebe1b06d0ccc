"""Cron schedules as a PingSource writes them: five fields, or six with the second first, in a time zone."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError


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
        try:
            CronSim(expression, datetime(2020, 1, 1, tzinfo=zone))
        except CronSimError as error:
            raise ValueError(f"expected a cron schedule of five or six fields, was {expression!r}: {error}") from error
        return cls(expression, timezone)

    def next_ms(self, after_ms: int) -> int:
        """Return the first instant after ``after_ms`` at which it fires."""
        after = datetime.fromtimestamp(after_ms / 1000, ZoneInfo(self.timezone))
        fires: datetime = next(CronSim(self.expression, after))
        return int(fires.astimezone(UTC).timestamp() * 1000)
