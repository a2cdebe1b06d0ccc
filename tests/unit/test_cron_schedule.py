"""Cron schedules: the syntax of the platform's parser, and the instants, judged by trying every minute."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.manifests.schedule import Schedule

START = datetime(2024, 2, 27, 22, 58, 30, tzinfo=UTC)


def fires(expression: str, count: int, timezone: str = "UTC", start: datetime = START) -> list[str]:
    schedule = Schedule.parse(expression, timezone)
    now_ms = int(start.timestamp() * 1000)
    found = []
    for _ in range(count):
        now_ms = schedule.next_ms(now_ms)
        found.append(f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}")
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["2024-02-27T22:59:00", "2024-02-27T23:00:00"]),
        ("*/15 * * * *", ["2024-02-27T23:00:00", "2024-02-27T23:15:00"]),
        ("5/20 * * * *", ["2024-02-27T23:05:00", "2024-02-27T23:25:00", "2024-02-27T23:45:00", "2024-02-28T00:05:00"]),
        ("0 9-17/4 * * *", ["2024-02-28T09:00:00", "2024-02-28T13:00:00", "2024-02-28T17:00:00"]),
        ("0 0 29 feb ?", ["2024-02-29T00:00:00", "2028-02-29T00:00:00"]),
        ("0 12 * * MON-TUE", ["2024-03-04T12:00:00", "2024-03-05T12:00:00"]),
        ("0 0 1 * 0", ["2024-03-01T00:00:00", "2024-03-03T00:00:00"]),
        ("0 0 */10 * 0", ["2024-03-01T00:00:00", "2024-03-03T00:00:00", "2024-03-10T00:00:00", "2024-03-11T00:00:00"]),
        ("0 0 */1 * 0", ["2024-03-03T00:00:00", "2024-03-10T00:00:00"]),
        ("* * * * * *", ["2024-02-27T22:58:31", "2024-02-27T22:58:32"]),
        ("15,45 * * * * *", ["2024-02-27T22:58:45", "2024-02-27T22:59:15"]),
        ("@hourly", ["2024-02-27T23:00:00", "2024-02-28T00:00:00"]),
        ("@daily", ["2024-02-28T00:00:00", "2024-02-29T00:00:00"]),
        ("@weekly", ["2024-03-03T00:00:00", "2024-03-10T00:00:00"]),
        ("@yearly", ["2025-01-01T00:00:00"]),
    ],
)
def test_schedules_fire_when_they_say(expression: str, expected: list[str]) -> None:
    assert fires(expression, len(expected)) == expected


def test_a_schedule_is_read_in_its_zone() -> None:
    assert fires("0 9 * * *", 2, "America/New_York") == ["2024-02-28T14:00:00", "2024-02-29T14:00:00"]
    summer = datetime(2024, 7, 1, tzinfo=UTC)
    assert fires("0 9 * * *", 1, "America/New_York", summer) == ["2024-07-01T13:00:00"]


@pytest.mark.parametrize("seed", range(20))
def test_every_minute_that_matches_fires_and_no_other(seed: int) -> None:
    chance = random.Random(seed)
    minutes = set(chance.sample(range(60), chance.randint(1, 4)))
    hours = set(range(24)) if chance.random() < 0.3 else set(chance.sample(range(24), 3))
    days = set(chance.sample(range(1, 32), chance.randint(1, 5)))
    weekdays = set(chance.sample(range(7), chance.randint(1, 2)))
    written = " ".join(",".join(map(str, sorted(numbers))) for numbers in (minutes, hours, days))
    expected: list[str] = []
    moment = START.replace(second=0)
    while len(expected) < 12:
        moment += timedelta(minutes=1)
        is_day = moment.day in days or moment.isoweekday() % 7 in weekdays
        if moment.minute in minutes and moment.hour in hours and is_day:
            expected.append(f"{moment:%Y-%m-%dT%H:%M:%S}")
    assert fires(f"{written} * {','.join(map(str, weekdays))}", 12) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "@every 5m",
        "@reboot",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * L * *",
        "* * * * 1#2",
        "*/0 * * * *",
        "5-1 * * * *",
        "*-5 * * * *",
        "1,,2 * * * *",
        "a * * * *",
        "* * * mon *",
        "-5 * * * *",
        "0 0 30 2 *",
    ],
)
def test_what_the_platform_would_refuse_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Schedule.parse(expression, "UTC")


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused(timezone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        Schedule.parse("* * * * *", timezone)
