"""Which slots of a schedule are due. Ticks are lost, doubled and reordered; slots are counted from a watermark.

A slot is a multiple of the schedule's interval since the epoch. The watermark is the newest slot that was planned.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DueSlots:
    """The slots to plan now.

    Attributes:
        slots_ms: ascending.
        skipped: how many older ones were due too, but are above the limit.
    """

    slots_ms: tuple[int, ...]
    skipped: int = 0


def due_slots(watermark_ms: int | None, now_ms: int, interval_ms: int, *, limit: int) -> DueSlots:
    """Return the slots after the watermark, up to and including the running one.

    Args:
        watermark_ms: newest slot that was planned; None before the first, when only the running slot is due.
        now_ms: the present.
        interval_ms: length of a slot.
        limit: at most this many, the newest.
    """
    running_ms = now_ms - now_ms % interval_ms
    if watermark_ms is None or is_ahead(watermark_ms, now_ms, interval_ms):
        return DueSlots((running_ms,))
    due = max(0, (running_ms - watermark_ms + interval_ms - 1) // interval_ms)
    taken = min(due, limit)
    first_ms = running_ms - (taken - 1) * interval_ms
    return DueSlots(tuple(range(first_ms, running_ms + 1, interval_ms)), skipped=due - taken)


def is_ahead(watermark_ms: int, now_ms: int, interval_ms: int) -> bool:
    """Tell whether the watermark lies further ahead than clocks differ: the clock was set back since.

    Such a watermark would stop the schedule until the clock comes by again, so it counts as none.
    """
    return watermark_ms - now_ms > interval_ms
