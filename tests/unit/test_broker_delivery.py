"""Rules of delivery that no sender or subscriber can be made to show: the contract suite has the others."""

import pytest

from infra.local.broker.delivery import RetryTable, Returned, dead_letter, judged
from infra.local.broker.message import Message
from infra.local.manifests.model import Delivery

EVENT = Message(
    ((b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t")), b'{"price":1}'
)
BATCH = ((b"content-type", b"application/cloudevents-batch+json"),)


@pytest.mark.parametrize(("headers", "body"), [(EVENT.headers[:3], b"{}"), (BATCH, b"[]")], ids=["incomplete", "batch"])
def test_a_success_with_a_broken_event_counts_as_502(headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
    answer = judged(200, headers, body)
    assert (answer.status, answer.body, answer.is_retried) == (502, b"", True)


def test_a_wait_of_many_retries_is_still_a_number() -> None:
    assert RetryTable(Delivery(retry=10_000, delay_s=1)).growing_wait_s(9_999) > 0


def test_a_dead_letter_that_fails_again_tells_only_its_last_failure() -> None:
    first = dead_letter(EVENT, Returned(422, b"first"), "http://ingest")
    second = dead_letter(first, Returned(502), "http://other")
    assert second.value(b"ce-knativeerrordest") == b"http://other"
    assert second.value(b"ce-knativeerrordata") is None
    assert len(second.headers) == 6
