"""Due slots: what ticks at any times make due."""

from hypothesis import given
from hypothesis import strategies as st

from functions.planner.slots import due_slots

HOUR = 3_600_000
NOON = 1_760_961_600_000

instants = st.integers(0, 4_000_000_000_000)
intervals = st.sampled_from([1_000, 60_000, 300_000, 900_000, HOUR])


def test_before_the_first_plan_only_the_running_slot_is_due() -> None:
    assert due_slots(None, NOON + 5, HOUR, limit=10).slots_ms == (NOON,)


def test_nothing_is_due_within_the_slot_that_was_planned() -> None:
    assert due_slots(NOON, NOON, HOUR, limit=10).slots_ms == ()
    assert due_slots(NOON, NOON + HOUR - 1, HOUR, limit=10).slots_ms == ()


def test_missed_slots_are_due_oldest_first() -> None:
    assert due_slots(NOON, NOON + 3 * HOUR + 7, HOUR, limit=10).slots_ms == (
        NOON + HOUR,
        NOON + 2 * HOUR,
        NOON + 3 * HOUR,
    )


def test_above_the_limit_the_newest_are_planned_and_the_rest_counted() -> None:
    due = due_slots(NOON, NOON + 10 * HOUR, HOUR, limit=2)
    assert due.slots_ms == (NOON + 9 * HOUR, NOON + 10 * HOUR)
    assert due.skipped == 8


def test_a_clock_a_little_behind_plans_nothing_and_one_set_back_plans_on() -> None:
    assert due_slots(NOON, NOON - 20, HOUR, limit=10).slots_ms == ()
    assert due_slots(NOON, NOON - 48 * HOUR, HOUR, limit=10).slots_ms == (NOON - 48 * HOUR,)


@given(watermark_ms=st.none() | instants, now_ms=instants, interval_ms=intervals, limit=st.integers(1, 200))
def test_due_slots_are_the_newest_multiples_after_the_watermark(
    watermark_ms: int | None, now_ms: int, interval_ms: int, limit: int
) -> None:
    due = due_slots(watermark_ms, now_ms, interval_ms, limit=limit)
    assert len(due.slots_ms) <= limit
    assert all(slot % interval_ms == 0 for slot in due.slots_ms)
    assert list(due.slots_ms) == sorted(set(due.slots_ms))
    assert all(slot <= now_ms for slot in due.slots_ms)
    if due.slots_ms:
        assert now_ms - due.slots_ms[-1] < interval_ms
    if watermark_ms is not None and watermark_ms <= now_ms:
        assert all(slot > watermark_ms for slot in due.slots_ms)
        expected = now_ms // interval_ms - watermark_ms // interval_ms
        assert len(due.slots_ms) + due.skipped == expected
