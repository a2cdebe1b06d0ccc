"""Retention: what goes, at which age, in which steps."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from common.clock import FixedClock
from common.errors import StoreUnavailable
from common.models.families import Family
from common.settings import Settings
from common.times import DAY_MS
from functions.retention.rules import Rule, Stores, rules_of
from functions.retention.sweeping import Sweeper, sweep

NOW = 1_760_961_600_000
FOREVER: dict[str, Any] = {name: None for name in Settings.model_fields if name.startswith("petrosa_retention_")}


@dataclass
class OldRows:
    """A store that knows only how old its rows are, by dataset; stands for all three ports."""

    times: dict[str, list[int]]
    clock: FixedClock
    costs_ms: int = 0
    calls: list[tuple[str, int]] = field(default_factory=list)
    fails_on: str | None = None

    async def opened(self) -> "OldRows":
        return self

    async def take(self, name: str, cutoff_ms: int, limit: int) -> int:
        if name == self.fails_on:
            raise StoreUnavailable("locked")
        rows = sorted(self.times.get(name, []))
        old = [time for time in rows if time < cutoff_ms][:limit]
        self.times[name] = rows[len(old) :]
        self.calls.append((name, len(old)))
        self.clock.advance(self.costs_ms)
        return len(old)

    async def delete(self, family: str, cutoff_ms: int, *, limit: int) -> int:
        return await self.take(str(family), cutoff_ms, limit)

    async def newest_ms(self, family: str) -> int | None:
        return max(self.times.get(str(family), []), default=None)

    async def delete_analytics_before(self, cutoff_ms: int, *, limit: int) -> int:
        return await self.take("analytics", cutoff_ms, limit)

    async def delete_health_before(self, cutoff_ms: int, *, limit: int) -> int:
        return await self.take("health_metrics", cutoff_ms, limit)


def rows_aged(**days: list[float]) -> dict[str, list[int]]:
    return {name: [NOW - int(age * DAY_MS) for age in ages] for name, ages in days.items()}


def run(settings: Settings, rows: OldRows) -> Mapping[str, int]:
    sweeper = Sweeper(settings, rows.clock, rows, rows, rows.opened)  # type: ignore[arg-type] # it only deletes
    return asyncio.run(sweeper.sweep())


def test_by_default_what_is_older_than_its_age_goes_and_the_rest_stays() -> None:
    ages = [0, 0.5, 1.5, 6.9, 7.1, 40, 100]
    names = [*Family, "dead_letters", "analytics", "health_metrics"]
    rows = OldRows(rows_aged(**{str(name): list(ages) for name in names}), FixedClock(NOW))
    deleted = run(Settings(), rows)
    kept = {name: [(NOW - time) / DAY_MS for time in sorted(times, reverse=True)] for name, times in rows.times.items()}
    expected = {
        "depth": [0, 0.5],
        "tickers": [0, 0.5, 1.5, 6.9],
        "trades": [0, 0.5, 1.5, 6.9],
        "agg_trades": [0, 0.5, 1.5, 6.9],
        "mark_prices": [0, 0.5, 1.5, 6.9],
        "dead_letters": [0, 0.5, 1.5, 6.9, 7.1],
        "health_metrics": [0, 0.5, 1.5, 6.9, 7.1, 40],
        "candles": ages,
        "funding_rates": ages,
        "analytics": ages,
    }
    assert {name: kept[name] for name in expected} == expected
    assert deleted["depth"] == 5
    assert "candles" not in deleted


def test_ages_of_market_data_count_from_its_newest_row() -> None:
    """Recorded data that are replayed years later stay as long as live ones."""
    rows = OldRows(rows_aged(trades=[1000, 1006.9, 1007.1], dead_letters=[1000]), FixedClock(NOW))
    deleted = run(Settings(), rows)
    assert deleted["trades"] == 1
    assert deleted["dead_letters"] == 1


def test_a_recording_that_begins_to_arrive_during_a_sweep_is_not_deleted() -> None:
    """An empty family has no age: what comes into it meanwhile is not old because the present is later."""

    @dataclass
    class Arriving(OldRows):
        async def newest_ms(self, family: str) -> int | None:
            newest = await super().newest_ms(family)
            self.times.setdefault(str(family), []).append(NOW - 400 * DAY_MS)
            return newest

    rows = Arriving({}, FixedClock(NOW))
    assert set(run(Settings(), rows).values()) == {0}
    assert rows.times["trades"] == [NOW - 400 * DAY_MS]


def test_everything_can_be_given_an_age() -> None:
    ages = dict.fromkeys(FOREVER, "2d")
    rows = OldRows({}, FixedClock(NOW))
    names = {rule.name for rule in rules_of(Settings(**ages), Stores(rows, rows, rows))}  # type: ignore[arg-type] # it only deletes
    assert names == {*map(str, Family), "dead_letters", "analytics", "health_metrics"}


def test_nothing_configured_nothing_deleted() -> None:
    rows = OldRows(rows_aged(depth=[0.0, 400.0], trades=[0.0, 400.0]), FixedClock(NOW))
    assert run(Settings(**FOREVER), rows) == {}
    assert rows.calls == []


def test_rows_go_in_chunks_taking_turns() -> None:
    clock = FixedClock(NOW)
    rows = OldRows(rows_aged(depth=[0.0, *[9.0] * 7], trades=[0.0, *[9.0] * 3]), clock)
    rules = [Rule(name, DAY_MS, partial(rows.take, name)) for name in rows.times]
    deleted = asyncio.run(sweep(rules, clock, chunk_rows=3))
    assert deleted == {"depth": 7, "trades": 3}
    assert rows.calls == [("depth", 3), ("trades", 3), ("depth", 3), ("trades", 0), ("depth", 1)]


def test_a_sweep_ends_in_time_and_the_next_one_goes_on() -> None:
    clock = FixedClock(NOW)
    rows = OldRows(rows_aged(depth=[0.0, *[9.0] * 100]), clock, costs_ms=1_000)
    rule = Rule("depth", DAY_MS, partial(rows.take, "depth"))
    assert asyncio.run(sweep([rule], clock, chunk_rows=10, sweep_ms=4_000)) == {"depth": 40}
    assert asyncio.run(sweep([rule], clock, chunk_rows=10)) == {"depth": 60}


def test_ages_count_from_the_present_not_from_the_request() -> None:
    clock = FixedClock(NOW - 365 * DAY_MS)
    rows = OldRows(rows_aged(depth=[0.0, 9.0]), clock)
    assert run(Settings(), rows)["depth"] == 0


def test_a_store_that_is_away_makes_the_request_come_again() -> None:
    rows = OldRows(rows_aged(depth=[0.0, 9.0], tickers=[0.0]), FixedClock(NOW), fails_on="tickers")
    with pytest.raises(StoreUnavailable):
        run(Settings(), rows)
