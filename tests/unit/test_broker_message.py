"""Events on their way through the broker: which headers travel with them, and how often they may enter."""

import pytest

from common.errors import MalformedEvent
from infra.local.broker.message import ARRIVAL_HEADER, TTL_HEADER, admitted, read_message

REQUIRED = ((b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t"))


def test_headers_of_the_connection_stay_behind_and_those_of_the_event_travel() -> None:
    travelling = (
        *REQUIRED,
        (b"ce-label", b"a%20b"),
        (b"content-type", b"application/x-ndjson"),
        (b"traceparent", b"00-1-2-01"),
        (b"x-request-id", b"7"),
        (b"knative-reply", b"yes"),
    )
    staying = ((b"host", b"broker"), (b"content-length", b"2"), (b"authorization", b"Bearer x"), (b"prefer", b"reply"))
    message = read_message((*travelling, *staying), b"{}")
    assert (message.headers, message.body) == (travelling, b"{}")
    assert message.attributes["label"] == "a b"


def test_an_event_that_enters_gets_its_arrival_time_and_its_entries() -> None:
    event = admitted(read_message((*REQUIRED, (ARRIVAL_HEADER, b"old")), b""), now_ms=1_700_000_000_000)
    assert event.value(ARRIVAL_HEADER) == b"2023-11-14T22:13:20.000Z"
    assert event.ttl == 255
    assert admitted(event, now_ms=0).ttl == 254


@pytest.mark.parametrize("ttl", [b"1", b"0"])
def test_an_event_that_went_round_too_often_is_refused(ttl: bytes) -> None:
    with pytest.raises(MalformedEvent, match="too often"):
        admitted(read_message((*REQUIRED, (TTL_HEADER, ttl)), b""), now_ms=0)


@pytest.mark.parametrize("ttl", [b"-1", b"many", b""])
def test_a_count_of_entries_that_cannot_be_read_begins_anew(ttl: bytes) -> None:
    assert admitted(read_message((*REQUIRED, (TTL_HEADER, ttl)), b""), now_ms=0).ttl == 255
