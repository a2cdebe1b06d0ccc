"""The planner: every slot planned once, whatever becomes of its ticks."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.analytics.metrics import METRICS
from common.clock import FixedClock
from common.errors import ConfigurationError, InvalidEvent, SinkUnavailable, StoreUnavailable
from common.events import Event, types
from common.events.own import AnalyticsRequested, AuditRequested, RetentionRequested
from common.events.sink import Sink, SinkAnswer
from common.events.statuses import Outcome
from common.settings import Settings
from common.timeframes import Timeframe
from common.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, parse_instant, to_iso
from functions.planner.planning import Planner
from functions.planner.schedules import check_metrics
from functions.planner.ticks import decode_tick

NOON = 1_760_961_600_000
QUARTER = 15 * MINUTE_MS
SMALL = Settings(
    supported_pairs=("BTCUSDT", "ETHUSDT"),
    analytics_timeframes=(Timeframe.H1, Timeframe.D1),
    analytics_metrics=("volatility", "volume"),
)


def ping(schedule: str | None = "analytics", *, manual: bool = False, event_id: str = "tick-1") -> Event:
    extensions = {
        name: value for name, value in (("schedule", schedule), ("manual", "true" if manual else None)) if value
    }
    return Event(type=types.PING, source="/apis/v1/pingsources/x", id=event_id, extensions=extensions)


@dataclass
class Watermarks:
    """The watermarks of a metadata store; ``lost_writes`` is how many of the next moves fail."""

    values: dict[str, int] = field(default_factory=dict)
    lost_writes: int = 0

    async def opened(self) -> "Watermarks":
        return self

    async def watermark(self, name: str) -> int | None:
        return self.values.get(name)

    async def advance_watermark(self, name: str, expected: int | None, value: int) -> bool:
        if self.lost_writes:
            self.lost_writes -= 1
            raise StoreUnavailable("the store is away")
        if self.values.get(name) != expected:
            return False
        self.values[name] = value
        return True


class RecordingSink(Sink):
    """Keeps what is emitted; fails from the ``fails_after``-th event on."""

    def __init__(self, fails_after: int | None = None) -> None:
        super().__init__(None)
        self.events: list[Event] = []
        self.fails_after = fails_after
        self.at_once = 0
        self.most_at_once = 0

    async def post(self, event: Event) -> SinkAnswer:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.fails_after is not None and len(self.events) >= self.fails_after:
            return SinkAnswer(Outcome.FAILED, "503")
        self.events.append(event)
        return SinkAnswer(Outcome.TAKEN, "202")

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.events]


@dataclass
class System:
    """A planner with its surroundings."""

    settings: Settings = SMALL
    watermarks: Watermarks = field(default_factory=Watermarks)
    sink: RecordingSink = field(default_factory=RecordingSink)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON + 3_210))

    def tick(self, event: Event) -> int:
        planner = Planner(self.watermarks.opened, self.sink, self.clock, self.settings)  # type: ignore[arg-type] # watermarks only
        return asyncio.run(planner.plan(decode_tick(event)))


def test_analytics_asks_each_calculator_for_each_pair_and_timeframe() -> None:
    system = System()
    assert system.tick(ping()) == 8
    requests = [AnalyticsRequested.of(event) for event in system.sink.events]
    assert {(one.metric, one.symbol, one.timeframe) for one in requests} == {
        (metric, symbol, timeframe)
        for metric in ("volatility", "volume")
        for symbol in ("BTCUSDT", "ETHUSDT")
        for timeframe in (Timeframe.H1, Timeframe.D1)
    }
    assert {one.as_of_ms for one in requests} == {NOON}
    event = next(event for event in system.sink.events if event.id.endswith("volume/ETHUSDT/1d"))
    assert event.id == f"analytics/{to_iso(NOON)}/volume/ETHUSDT/1d"
    assert (event.type, event.subject, event.time_ms) == (AnalyticsRequested.TYPE, "ETHUSDT", NOON)
    assert event.extensions == {"metric": "volume", "timeframe": "1d"}


def test_every_metric_is_asked_for_when_none_is_named() -> None:
    system = System(Settings())
    system.tick(ping())
    assert {AnalyticsRequested.of(event).metric for event in system.sink.events} == set(METRICS)


def test_metrics_of_books_and_of_the_whole_market_are_asked_for_once() -> None:
    system = System(SMALL.model_copy(update={"analytics_metrics": ("spread", "correlation")}))
    system.tick(ping())
    requests = [AnalyticsRequested.of(event) for event in system.sink.events]
    assert [(one.metric, one.symbols, one.timeframe) for one in requests] == [
        ("spread", ("BTCUSDT",), None),
        ("spread", ("ETHUSDT",), None),
        ("correlation", ("BTCUSDT", "ETHUSDT"), Timeframe.H1),
        ("correlation", ("BTCUSDT", "ETHUSDT"), Timeframe.D1),
    ]
    assert len(set(system.sink.ids)) == 4


OF_CANDLES = SMALL.model_copy(update={"analytics_metrics": ("seasonality", "volume")})


def asked_of(system: System, metric: str) -> list[tuple[str | None, str | None, str]]:
    requests = (AnalyticsRequested.of(event) for event in system.sink.events)
    return [(one.symbol, one.timeframe, to_iso(one.as_of_ms)) for one in requests if one.metric == metric]


@pytest.mark.parametrize("interval_s", [60, 900, 3600])
def test_a_metric_of_whole_candles_is_asked_for_once_a_candle(interval_s: int) -> None:
    """Over a day: 24 times for candles of an hour, once for those of a day; ticks are doubled, and some are lost."""
    system = System(OF_CANDLES.model_copy(update={"analytics_interval": interval_s}))
    system.tick(ping())
    first = len(asked_of(system, "seasonality"))
    for number in range(DAY_MS // SECOND_MS // interval_s):
        system.clock.advance(interval_s * SECOND_MS)
        for _ in range(0 if number % 7 == 3 else 2):
            system.tick(ping())
    asked = asked_of(system, "seasonality")
    assert first == 4, "at the start there is no cycle before"
    assert len(asked) == len(set(asked)), "no document twice"
    per_series = Counter(one[:2] for one in asked[first:])
    times = {"1h": 24, "1d": 1}
    assert per_series == {(pair, frame): times[frame] for pair in SMALL.supported_pairs for frame in times}
    closes = [parse_instant(at) for pair, frame, at in asked if frame == "1h" and pair == "BTCUSDT"]
    assert closes == [NOON + hour * HOUR_MS for hour in range(-1, 24)]
    others = asked_of(system, "volume")
    assert len(others) == (DAY_MS // SECOND_MS // interval_s + 1) * 4, "every cycle asks for the others"


def test_a_candle_has_a_minute_to_arrive() -> None:
    system = System(OF_CANDLES.model_copy(update={"analytics_interval": 20}), clock=FixedClock(NOON - 3_000))
    system.tick(ping())
    for _ in range(4):
        system.clock.advance(20_000)
        system.tick(ping())
    newest = [
        event for event in system.sink.events if to_iso(NOON) in event.data.decode() and "seasonality" in event.id
    ]
    assert {event.id.split("/")[1] for event in newest} == {to_iso(NOON + MINUTE_MS)}


def test_closes_of_a_pause_are_made_up_for_and_by_hand_the_last_one_is_asked_for_again() -> None:
    system = System(OF_CANDLES.model_copy(update={"planner_max_slots": 2}))
    system.tick(ping())
    system.clock.advance(3 * HOUR_MS)
    system.tick(ping())
    hours = [at for pair, frame, at in asked_of(system, "seasonality") if (pair, frame) == ("BTCUSDT", "1h")]
    assert hours == [to_iso(NOON - HOUR_MS), to_iso(NOON + 2 * HOUR_MS)], "the slots between were skipped"
    system.tick(ping(manual=True, event_id="by-hand"))
    assert asked_of(system, "seasonality")[-4:][0][2] == to_iso(NOON + 2 * HOUR_MS)


def test_a_clock_that_was_set_back_asks_anew() -> None:
    system = System(OF_CANDLES)
    system.tick(ping())
    system.clock.advance(-5 * HOUR_MS)
    system.tick(ping())
    assert asked_of(system, "seasonality")[-2:][0] == ("BTCUSDT", "1d", "2025-10-20T00:00:00.000Z")


def test_audit_asks_for_every_stored_timeframe() -> None:
    system = System()
    assert system.tick(ping("audit")) == 12
    requests = [AuditRequested.of(event) for event in system.sink.events]
    assert {one.timeframe for one in requests} == set(SMALL.timeframes)
    assert {event.type for event in system.sink.events} == {AuditRequested.TYPE}


def test_retention_is_asked_for_once_an_hour() -> None:
    system = System()
    for _ in range(5):
        system.tick(ping("retention"))
        system.clock.advance(10 * MINUTE_MS)
    assert [RetentionRequested.of(event).as_of_ms for event in system.sink.events] == [NOON]


def test_a_doubled_tick_plans_nothing_new() -> None:
    system = System()
    assert [system.tick(ping()) for _ in range(3)] == [8, 0, 0]


def test_slots_of_a_long_pause_are_made_up_for_up_to_the_limit(caplog: pytest.LogCaptureFixture) -> None:
    system = System(SMALL.model_copy(update={"planner_max_slots": 3}))
    system.tick(ping())
    system.clock.advance(10 * QUARTER)
    with caplog.at_level(logging.WARNING):
        assert system.tick(ping()) == 3 * 8
    slots = sorted({AnalyticsRequested.of(event).as_of_ms for event in system.sink.events})
    assert slots == [NOON, NOON + 8 * QUARTER, NOON + 9 * QUARTER, NOON + 10 * QUARTER]
    assert [record.__dict__["count"] for record in caplog.records if "skipped" in record.message] == [7]


def test_a_tick_by_hand_plans_the_present_and_leaves_the_watermark_alone() -> None:
    system = System()
    system.tick(ping())
    before = dict(system.watermarks.values)
    assert system.tick(ping(manual=True, event_id="by-hand")) == 8
    by_hand = system.sink.events[8:]
    assert {AnalyticsRequested.of(event).as_of_ms for event in by_hand} == {NOON + 3_000}
    assert all(event.id.startswith("analytics/manual/by-hand/") for event in by_hand)
    assert system.watermarks.values == before
    system.tick(ping(manual=True, event_id="by-hand"))
    assert set(system.sink.ids[16:]) == {event.id for event in by_hand}, "the same tick is the same cause"


@pytest.mark.parametrize(("schedule", "flag"), [("audit", "enable_auditor"), ("analytics", "enable_analytics")])
@pytest.mark.parametrize("manual", [True, False])
def test_what_is_switched_off_is_not_planned_and_not_made_up_for_later(schedule: str, flag: str, manual: bool) -> None:
    system = System(SMALL.model_copy(update={flag: False}))
    assert system.tick(ping(schedule, manual=manual)) == 0
    system.clock.advance(4 * QUARTER)
    assert system.tick(ping(schedule, manual=manual)) == 0
    assert system.sink.events == []
    switched_on = System(SMALL, system.watermarks, system.sink, system.clock)
    planned = switched_on.tick(ping(schedule))
    assert planned in {0, 8, 12}, "at most the running slot"


@pytest.mark.parametrize("schedule", ["anomaly", "Audit", "", None])
def test_an_unknown_schedule_names_the_known_ones(schedule: str | None) -> None:
    with pytest.raises(InvalidEvent, match=r"schedule: expected one of audit, analytics, retention"):
        System().tick(ping(schedule))


def test_only_pings_are_ticks() -> None:
    with pytest.raises(InvalidEvent, match="type"):
        decode_tick(Event(type="io.petrosa.audit.gap.v1", source="/x", extensions={"schedule": "audit"}))


def test_a_metric_that_no_calculator_makes_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="ANALYTICS_METRICS"):
        check_metrics(Settings(analytics_metrics=("volatility", "astrology")))


def test_events_go_out_a_few_at_once() -> None:
    system = System(SMALL.model_copy(update={"supported_pairs": tuple(f"P{i:02d}USDT" for i in range(30))}))
    system.tick(ping())
    assert 1 < system.sink.most_at_once <= 8


@pytest.mark.parametrize("fails_after", [0, 3, 7])
def test_a_sink_that_fails_midway_leaves_the_slot_due(fails_after: int) -> None:
    system = System(sink=RecordingSink(fails_after=fails_after))
    with pytest.raises(SinkUnavailable):
        system.tick(ping())
    assert system.watermarks.values == {}
    system.sink.fails_after = None
    assert system.tick(ping()) == 8
    assert len(set(system.sink.ids)) == 8


def test_a_crash_before_the_watermark_moves_emits_the_same_events_again() -> None:
    system = System(watermarks=Watermarks(lost_writes=1))
    with pytest.raises(StoreUnavailable):
        system.tick(ping())
    assert system.tick(ping()) == 8
    assert set(Counter(system.sink.ids).values()) == {2}


def test_two_planners_at_once_emit_the_same_events() -> None:
    system = System()

    async def both() -> list[int]:
        planners = [Planner(system.watermarks.opened, system.sink, system.clock, SMALL) for _ in range(2)]  # type: ignore[arg-type] # watermarks only
        return await asyncio.gather(*(planner.plan(decode_tick(ping())) for planner in planners))

    asyncio.run(both())
    assert len(set(system.sink.ids)) == 8
    assert system.watermarks.values == {"schedule:analytics": NOON}


PER_SLOT = [f"{m}/{s}/{t}" for m in ("volatility", "volume") for s in ("BTCUSDT", "ETHUSDT") for t in ("1h", "1d")]
arrivals = st.lists(
    st.tuples(st.integers(0, 5 * QUARTER), st.lists(st.integers(NOON - QUARTER, NOON + 60 * QUARTER), max_size=3)),
    max_size=12,
)


@given(arrivals=arrivals, failing=st.sets(st.integers(0, 11)), data=st.data())
def test_any_ticks_plan_every_slot_exactly_once(
    arrivals: Sequence[tuple[int, Sequence[int]]], failing: set[int], data: st.DataObject
) -> None:
    """Ticks are lost, late, doubled and out of order, and some planners die midway; the last tick gets through."""
    system = System()
    system.tick(ping())
    for number, (pause_ms, sent_ms) in enumerate(arrivals):
        system.clock.advance(pause_ms)
        if number in failing:
            system.sink.fails_after = len(system.sink.events) + data.draw(st.integers(0, 20))
            system.watermarks.lost_writes = data.draw(st.integers(0, 1))
        for time_ms in sent_ms:
            with suppress(SinkUnavailable, StoreUnavailable):
                system.tick(replace(ping(), time_ms=time_ms))
        system.sink.fails_after, system.watermarks.lost_writes = None, 0
    system.tick(ping())
    due = range(NOON, system.clock.now_ms() + 1, QUARTER)
    expected = {f"analytics/{to_iso(slot)}/{rest}" for slot in due for rest in PER_SLOT}
    assert set(system.sink.ids) == expected
    if not failing:
        assert len(system.sink.ids) == len(expected)
