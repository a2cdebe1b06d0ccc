"""Planning: emits the events of every due slot once, and moves the watermark when a slot's events are out.

The order matters: a crash between the two emits the same events again, with the same ids, and loses none.
"""

import logging
from collections.abc import Awaitable, Callable

from prometheus_client import Counter, Histogram

from common.clock import Clock
from common.events import types
from common.events.declaration import event_id
from common.events.sink import Sink
from common.settings import Settings
from common.storage.ports import MetadataStore
from common.times import SECOND_MS, to_iso
from functions.planner.schedules import Cycle, Schedule
from functions.planner.slots import due_slots, is_ahead
from functions.planner.ticks import Tick

log = logging.getLogger(__name__)

EVENTS = Counter("data_manager_planned_events_total", "Events that the planner emitted", ["schedule"])
SLOTS = Counter(
    "data_manager_planned_slots_total", "Slots of a schedule by what became of them", ["schedule", "result"]
)
CYCLE_SECONDS = Histogram(
    "data_manager_cycle_seconds",
    "Time until all events of a cycle were taken; a broker in memory takes an event when it has been handled",
    ["schedule"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


class Planner:
    """Plans the cycles of the schedules.

    Args:
        metadata: opens the store of the watermarks.
        sink: where the events go.
        clock: says what is due.
        settings: say what is planned, and how often.
    """

    def __init__(
        self, metadata: Callable[[], Awaitable[MetadataStore]], sink: Sink, clock: Clock, settings: Settings
    ) -> None:
        self._metadata = metadata
        self._sink = sink
        self._clock = clock
        self._settings = settings

    async def plan(self, tick: Tick) -> int:
        """Plan what a tick makes due and return how many events went out.

        Raises:
            StoreUnavailable: the watermark could not be read or moved; the tick has to come again.
            SinkUnavailable: not all events went out; the tick has to come again.
        """
        if tick.manual:
            return await self._plan_now(tick)
        return await self._plan_due(tick.schedule)

    async def _plan_now(self, tick: Tick) -> int:
        now_ms = self._clock.now_ms()
        cause = event_id(tick.schedule.name, types.MANUAL, tick.event_id)
        return await self._plan_cycle(tick.schedule, Cycle(now_ms - now_ms % SECOND_MS, cause))

    async def _plan_due(self, schedule: Schedule) -> int:
        name = f"schedule:{schedule.name}"
        metadata = await self._metadata()
        watermark_ms = await metadata.watermark(name)
        planned = 0
        for slot_ms in self._due(schedule, watermark_ms):
            cause = event_id(schedule.name, to_iso(slot_ms))
            after_ms = None if watermark_ms is None or watermark_ms > slot_ms else watermark_ms
            planned += await self._plan_cycle(schedule, Cycle(slot_ms, cause, after_ms))
            if not await metadata.advance_watermark(name, watermark_ms, slot_ms):
                log.info("another planner was faster", extra={"schedule": schedule.name, "slot": to_iso(slot_ms)})
                break
            SLOTS.labels(schedule.name, "planned").inc()
            watermark_ms = slot_ms
        return planned

    def _due(self, schedule: Schedule, watermark_ms: int | None) -> tuple[int, ...]:
        now_ms = self._clock.now_ms()
        interval_ms = schedule.interval_ms(self._settings)
        due = due_slots(watermark_ms, now_ms, interval_ms, limit=self._settings.planner_max_slots)
        if watermark_ms is not None and is_ahead(watermark_ms, now_ms, interval_ms):
            log.warning(
                "the clock was set back: planning on from the present",
                extra={"schedule": schedule.name, "watermark": to_iso(watermark_ms), "now": to_iso(now_ms)},
            )
        if due.skipped:
            SLOTS.labels(schedule.name, "skipped").inc(due.skipped)
            log.warning("old slots were skipped", extra={"schedule": schedule.name, "count": due.skipped})
        return due.slots_ms

    async def _plan_cycle(self, schedule: Schedule, cycle: Cycle) -> int:
        if not schedule.is_enabled(self._settings):
            log.info("the schedule is switched off", extra={"schedule": schedule.name})
            return 0
        events = list(schedule.events(self._settings, cycle))
        with CYCLE_SECONDS.labels(schedule.name).time():
            await self._sink.emit_all(events)
        EVENTS.labels(schedule.name).inc(len(events))
        log.info(
            "cycle planned",
            extra={
                "schedule": schedule.name,
                "as_of": to_iso(cycle.as_of_ms),
                "cause": cycle.cause,
                "count": len(events),
            },
        )
        return len(events)
