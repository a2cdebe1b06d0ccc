"""The waits between attempts, what is tried again at all, and the gate that finds out whether the sink is back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.nats_bridge.backoff import REDELIVERY, SERVER, SINK, Backoff
from triggers.nats_bridge.gate import Gate


def _gate() -> Gate:
    return Gate(Backoff(first_s=1.0, cap_s=4.0), lambda: 0.0)


def test_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(first_s=0.5, cap_s=3.0)
    assert [backoff.delay_s(failures) for failures in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_no_failure_waits_as_long_as_one() -> None:
    assert SINK.delay_s(0) == SINK.delay_s(1)


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_jitter_shortens_by_up_to_a_fifth_and_never_beyond_the_cap(failures: int, jitter: float) -> None:
    for backoff in (SINK, REDELIVERY, SERVER):
        full = backoff.delay_s(failures)
        assert 0 < full <= backoff.cap_s
        assert full * 0.799 <= backoff.delay_s(failures, jitter) <= full


def test_a_sink_that_is_back_is_found_within_five_seconds() -> None:
    assert SINK.delay_s(1_000_000) < 5.0


def test_an_open_gate_admits_everything() -> None:
    gate = _gate()
    for _ in range(5):
        assert gate.admits(0.0)
        gate.sent()
    assert gate.is_open


def test_a_shut_gate_admits_one_probe_after_the_wait() -> None:
    gate = _gate()
    gate.sent()
    gate.failed(10.0)
    assert not gate.is_open
    assert not gate.admits(10.9)
    assert gate.admits(11.0)
    gate.sent()
    assert not gate.admits(11.5), "one probe at a time"


def test_batches_that_fail_together_count_once() -> None:
    gate = _gate()
    for _ in range(5):
        gate.sent()
    for _ in range(5):
        gate.failed(10.0)
    assert (gate.failures, gate.next_probe_s) == (1, 11.0)


def test_each_failed_probe_waits_longer_and_the_start_is_remembered() -> None:
    gate = _gate()
    gate.sent()
    gate.failed(0.0)
    waits = []
    for _ in range(4):
        now_s = gate.next_probe_s
        assert gate.admits(now_s)
        gate.sent()
        gate.failed(now_s)
        waits.append(gate.next_probe_s - now_s)
    assert waits == [2.0, 4.0, 4.0, 4.0]
    assert gate.shut_since_s == 0.0


def test_the_first_success_opens() -> None:
    gate = _gate()
    gate.sent()
    gate.failed(0.0)
    gate.sent()
    gate.succeeded()
    assert gate.is_open
    assert gate.admits(0.0)
    assert gate.shut_since_s is None


def test_a_probe_that_never_reached_the_sink_does_not_block_the_next() -> None:
    gate = _gate()
    gate.sent()
    gate.failed(0.0)
    gate.sent()
    gate.returned()
    assert gate.admits(1.0)
    assert gate.failures == 1


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_the_probe_comes_earlier_by_the_jitter(jitter: float) -> None:
    gate = Gate(Backoff(first_s=1.0, cap_s=4.0), lambda: jitter)
    gate.sent()
    gate.failed(0.0)
    assert gate.next_probe_s == pytest.approx(1.0 - 0.2 * jitter)
