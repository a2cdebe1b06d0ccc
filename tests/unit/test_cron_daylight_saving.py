"""Schedules in zones that change their clocks: pandas' calendar judges the instants."""

import itertools
from datetime import UTC, datetime

import pandas as pd
import pytest

from infra.local.manifests.schedule import Schedule

YEAR = 2025


def fires(expression: str, timezone: str, start: str, end: str) -> list[pd.Timestamp]:
    """Return all instants of a schedule between two wall-clock times of its zone, in UTC."""
    schedule = Schedule.parse(expression, timezone)
    now_ms = int(pd.Timestamp(start, tz=timezone).timestamp() * 1000) - 1
    end_ms = int(pd.Timestamp(end, tz=timezone).timestamp() * 1000)
    found = []
    while (now_ms := schedule.next_ms(now_ms)) < end_ms:
        found.append(pd.Timestamp(now_ms, unit="ms", tz="UTC"))
    return found


@pytest.mark.parametrize(
    "timezone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
)
@pytest.mark.parametrize(("hour", "minute"), [(0, 15), (9, 30), (23, 59)])
def test_a_daily_time_outside_of_the_change_holds_on_every_day_of_the_year(
    timezone: str, hour: int, minute: int
) -> None:
    days = pd.date_range(f"{YEAR}-01-01", f"{YEAR}-12-31", freq="D")
    wall = days + pd.Timedelta(hours=hour, minutes=minute)
    expected = list(wall.tz_localize(timezone).tz_convert("UTC"))
    assert fires(f"{minute} {hour} * * *", timezone, f"{YEAR}-01-01", f"{YEAR + 1}-01-01") == expected


@pytest.mark.parametrize(
    ("timezone", "start", "end"),
    [
        ("Europe/Berlin", "2025-03-29", "2025-04-01"),
        ("Europe/Berlin", "2025-10-25", "2025-10-28"),
        ("America/New_York", "2025-11-01", "2025-11-04"),
        ("UTC", "2025-12-31", "2026-01-02"),
    ],
)
@pytest.mark.parametrize(
    ("expression", "freq"), [("0 * * * *", "h"), ("*/15 * * * *", "15min"), ("30 */5 * * * *", "5min")]
)
def test_what_fires_within_every_hour_is_not_moved_by_the_change(
    timezone: str, start: str, end: str, expression: str, freq: str
) -> None:
    first, last = (pd.Timestamp(each, tz=timezone).tz_convert("UTC") for each in (start, end))
    offset = pd.Timedelta(seconds=30 if expression.startswith("30") else 0)
    expected = [moment + offset for moment in pd.date_range(first, last, freq=freq, inclusive="left")]
    assert fires(expression, timezone, start, end) == expected


@pytest.mark.parametrize(
    ("timezone", "day"),
    [("Europe/Berlin", "2025-03-30"), ("Europe/Berlin", "2025-10-26"), ("America/New_York", "2025-03-09")],
)
def test_a_time_inside_of_the_change_never_stops_the_schedule(timezone: str, day: str) -> None:
    noon = pd.Timestamp(day) + pd.Timedelta(hours=12)
    found = fires("30 2 * * *", timezone, str(noon - pd.Timedelta(days=3)), str(noon + pd.Timedelta(days=3)))
    ordinary = [moment.tz_convert(timezone) for moment in found if moment.tz_convert(timezone).date() != noon.date()]
    assert [(moment.hour, moment.minute) for moment in ordinary] == [(2, 30)] * 5
    assert all(earlier < later for earlier, later in itertools.pairwise(found))


def test_an_instant_of_the_schedule_itself_is_not_its_next() -> None:
    schedule = Schedule.parse("0 0 * * *", "UTC")
    midnight_ms = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp() * 1000)
    assert schedule.next_ms(midnight_ms - 1) == midnight_ms
    assert schedule.next_ms(midnight_ms) == midnight_ms + 86_400_000
    assert schedule.next_ms(midnight_ms + 999) == midnight_ms + 86_400_000
