"""The rules of delivery: the retry table, the waits, what an answer means and what a dead letter says."""

import base64
import json

import pytest

from infra.local.broker.delivery import NO_ANSWER, Answer, RetryTable, dead_letter, judged, no_answer
from infra.local.broker.message import Message
from infra.local.manifests import Delivery

EVENT = Message(
    ((b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t")), b'{"price":1}'
)
REPLY = ((b"ce-specversion", b"1.0"), (b"ce-id", b"2"), (b"ce-source", b"/f"), (b"ce-type", b"u"))
URL = "http://ingest.petrosa-apps.svc.cluster.local"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_an_empty_success_is_the_end(status: int) -> None:
    answer = judged(status, (), b"")
    assert answer.is_success
    assert answer.reply is None


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 501, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert judged(status, (), b"").is_retried


@pytest.mark.parametrize("status", [300, 301, 302, 307, 400, 401, 403, 405, 410, 413, 415, 422, 451])
def test_everything_else_is_not(status: int) -> None:
    answer = judged(status, (), b"")
    assert not answer.is_success
    assert not answer.is_retried


def test_no_answer_is_tried_again() -> None:
    assert no_answer("ConnectError").is_retried
    assert not no_answer("ConnectError").is_success


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (((b"content-type", b"text/plain"),), b"OK"),
        (((b"content-type", b"application/json"),), b"{}"),
        (REPLY[:3], b"{}"),
        (((b"content-type", b"application/cloudevents-batch+json"),), b"[]"),
    ],
    ids=["text", "json", "incomplete event", "batch"],
)
def test_a_success_with_a_body_that_is_no_event_counts_as_502(
    headers: tuple[tuple[bytes, bytes], ...], body: bytes
) -> None:
    answer = judged(200, headers, body)
    assert (answer.status, answer.body, answer.is_retried) == (502, b"", True)


@pytest.mark.parametrize("body", [b"{}", b""])
def test_an_event_in_a_success_is_a_reply(body: bytes) -> None:
    answer = judged(200, REPLY, body)
    assert answer.is_success
    assert answer.reply is not None
    assert answer.reply.attributes["type"] == "u"


def test_exponential_waits_double() -> None:
    table = RetryTable(Delivery(retry=4, policy="exponential", delay_s=0.2))
    assert [table.wait_s(retry) for retry in range(5)] == pytest.approx([0.2, 0.4, 0.8, 1.6, None])


def test_linear_waits_grow_by_the_delay_and_begin_with_none() -> None:
    table = RetryTable(Delivery(retry=4, policy="linear", delay_s=0.5))
    assert [table.wait_s(retry) for retry in range(5)] == [0.0, 0.5, 1.0, 1.5, None]


def test_without_retries_there_is_no_wait() -> None:
    assert RetryTable(Delivery()).wait_s(0) is None


def test_a_wait_of_many_retries_is_still_a_number() -> None:
    assert RetryTable(Delivery(retry=10_000, delay_s=1)).growing_wait_s(9_999) > 0


def data_of(letter: Message) -> tuple[str, bytes]:
    wrapped = json.loads(base64.b64decode(letter.value(b"ce-knativeerrordata") or b""))
    return wrapped["errdestination"], base64.b64decode(wrapped["errresponsebody"])


def test_a_dead_letter_is_the_event_and_why_it_was_given_up() -> None:
    letter = dead_letter(EVENT, Answer(422, b"price is negative"), URL)
    assert letter.headers[:4] == EVENT.headers
    assert letter.body == EVENT.body
    assert letter.value(b"ce-knativeerrorcode") == b"422"
    assert letter.value(b"ce-knativeerrordest") == URL.encode()
    assert data_of(letter) == (URL, b"price is negative")


def test_a_long_answer_is_cut_so_that_the_rest_can_be_read() -> None:
    letter = dead_letter(EVENT, Answer(400, bytes(100_000)), URL)
    value = letter.value(b"ce-knativeerrordata") or b""
    destination, body = data_of(letter)
    assert len(value) <= 1024
    assert destination == URL
    assert 300 < len(body) < 1024
    assert set(body) == {0}


def test_an_answer_without_a_body_leaves_no_data() -> None:
    assert dead_letter(EVENT, Answer(502), URL).value(b"ce-knativeerrordata") is None


def test_no_answer_is_reported_as_500_with_its_reason() -> None:
    letter = dead_letter(EVENT, no_answer("ConnectError"), URL)
    assert letter.value(b"ce-knativeerrorcode") == b"500"
    assert data_of(letter)[1] == b"dispatch error: ConnectError"
    assert no_answer("x").status == NO_ANSWER


def test_a_dead_letter_that_fails_again_tells_only_its_last_failure() -> None:
    first = dead_letter(EVENT, Answer(422, b"first"), URL)
    second = dead_letter(first, Answer(502), "http://other")
    assert second.value(b"ce-knativeerrordest") == b"http://other"
    assert second.value(b"ce-knativeerrordata") is None
    assert len(second.headers) == 6
