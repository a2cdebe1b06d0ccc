"""A tick: what a PingSource, or an operator by hand, says to the planner."""

from dataclasses import dataclass

from common.errors import InvalidEvent
from common.events import types
from common.events.envelope import Event
from functions.planner.schedules import SCHEDULES, Schedule


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick.

    Attributes:
        schedule: which schedule it is of.
        manual: asks for a cycle as of the present, whatever is due.
        event_id: id of its event.
    """

    schedule: Schedule
    manual: bool
    event_id: str


def decode_tick(event: Event) -> Tick:
    """Read a tick.

    Raises:
        InvalidEvent: it is no ping, or of a schedule that is not known.
    """
    if event.type != types.PING:
        raise InvalidEvent("type", types.PING, event.type)
    name = event.extension(types.SCHEDULE)
    schedule = SCHEDULES.get(name or "")
    if schedule is None:
        raise InvalidEvent(types.SCHEDULE, "one of " + ", ".join(SCHEDULES), name)
    return Tick(schedule, event.extension(types.MANUAL) == "true", event.id)
