"""Intervals as cron schedules: what the planner counts and what the PingSources fire at are the same instants."""

from itertools import pairwise
from pathlib import Path

import pytest

import infra
from common.errors import ConfigurationError
from common.intervals import ACCEPTED, cron_of
from common.settings import Settings, load_settings
from common.times import DAY_MS, SECOND_MS, parse_instant
from functions.planner.slots import due_slots
from infra.local.manifests.load import load_manifests
from infra.local.manifests.model import PingSource
from infra.local.manifests.schedule import Schedule

PROJECT = Path(next(iter(infra.__path__))).parent
BEGIN_MS = parse_instant("2024-12-31T23:59:59Z")
INTERVALS = {"audit": "audit_interval", "analytics": "analytics_interval"}


def sources(settings: Settings | None) -> dict[str, PingSource]:
    return {each.name: each for each in load_manifests(PROJECT, settings).ping_sources}


@pytest.mark.parametrize("interval_s", ACCEPTED)
def test_every_tick_of_the_schedule_makes_one_slot_due(interval_s: int) -> None:
    schedule, interval_ms = Schedule.parse(cron_of(interval_s), "UTC"), interval_s * SECOND_MS
    fires = [schedule.next_ms(BEGIN_MS)]
    while len(fires) < 100 and fires[-1] < BEGIN_MS + 3 * DAY_MS:
        fires.append(schedule.next_ms(fires[-1]))
    for earlier, now in pairwise(fires):
        assert due_slots(earlier, now, interval_ms, limit=96).slots_ms == (now,)


@pytest.mark.parametrize("interval_s", [-1, 0, 7, 59, 61, 420, 2400, 2700, 5400, 18_000, 172_800])
def test_an_interval_that_no_schedule_keeps_is_refused_with_the_accepted_ones(
    monkeypatch: pytest.MonkeyPatch, interval_s: int
) -> None:
    for name in INTERVALS.values():
        monkeypatch.setenv(name.upper(), str(interval_s))
        with pytest.raises(ConfigurationError, match=rf"{name.upper()}.*one of 1, 2, .* 43200, 86400.*{interval_s}"):
            load_settings()
        monkeypatch.delenv(name.upper())


def test_the_schedules_as_written_are_those_of_the_default_intervals() -> None:
    defaults = Settings.model_fields
    written = sources(None)
    for name, field in INTERVALS.items():
        assert written[name].schedule == Schedule.parse(cron_of(defaults[field].default), "UTC")


def test_the_intervals_are_rendered_into_the_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_INTERVAL", "60")
    monkeypatch.setenv("AUDIT_INTERVAL", "7200")
    found = sources(load_settings())
    assert found["analytics"].schedule == Schedule.parse("* * * * *", "UTC")
    assert found["audit"].schedule == Schedule.parse("0 */2 * * *", "UTC")
    assert found["retention"].schedule == sources(None)["retention"].schedule
