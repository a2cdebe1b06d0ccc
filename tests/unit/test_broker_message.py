"""Events on their way through the broker: what is passed on untouched, what is refused. The SDK judges the reading."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MalformedEvent
from common.events import Event, from_http, to_http
from infra.local.broker.message import ARRIVAL_HEADER, TTL_HEADER, Message, admitted, is_event, read_message

REQUIRED = ((b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t"))
STRUCTURED = ((b"content-type", b"application/cloudevents+json"),)


def as_event(message: Message) -> Event:
    return from_http({name.decode(): value.decode("latin-1") for name, value in message.headers}, message.body)


def structured(**fields: Any) -> bytes:
    return json.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **fields}).encode()


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
    assert sorted(message.headers) == sorted(travelling)
    assert message.body == b"{}"


def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    message = read_message((*REQUIRED, (b"ce-id", b"2")), b"")
    assert [value for name, value in message.headers if name == b"ce-id"] == [b"1"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"plain", "plain"),
        (b"two words", "two words"),
        (b"a%20b%25", "a b%"),
        ("Zürich".encode(), "Zürich"),
        (b"%E2%82%AC", "€"),
        (b'"quoted \\" text"', 'quoted " text'),
    ],
)
def test_filters_see_the_decoded_value(raw: bytes, expected: str) -> None:
    assert read_message((*REQUIRED, (b"ce-label", raw)), b"").attributes["label"] == expected


def test_the_content_type_is_an_attribute() -> None:
    message = read_message((*REQUIRED, (b"content-type", b"text/plain")), b"x")
    assert message.attributes == {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "t",
        "datacontenttype": "text/plain",
    }


_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(
    subject=_text,
    extension=st.one_of(_text, st.booleans(), st.integers(-(2**31), 2**31 - 1)),
    data=st.one_of(st.dictionaries(_text, st.one_of(st.integers(), _text, st.none()), max_size=3), st.just([])),
)
def test_a_structured_event_says_the_same_in_binary_mode(subject: str, extension: Any, data: Any) -> None:
    body = structured(subject=subject, datacontenttype="application/json", ext=extension, data=data)
    message = read_message(STRUCTURED, body)
    event = as_event(message)
    text = str(extension).lower() if isinstance(extension, bool) else str(extension)
    assert (event.type, event.source, event.id, event.subject) == ("t", "/s", "1", subject)
    assert event.extension("ext") == text
    assert message.attributes["ext"] == text
    assert json.loads(event.data) == data


@given(label=_text, data=st.binary(max_size=50))
def test_an_event_of_ours_passes_as_it_is(label: str, data: bytes) -> None:
    event = Event(type="t", source="/s", id="1", datacontenttype="text/plain", data=data, extensions={"label": label})
    headers, body = to_http(event)
    message = read_message([(name.encode(), value.encode()) for name, value in headers.items()], body)
    assert as_event(message) == event
    assert message.attributes["label"] == label


@pytest.mark.parametrize(
    ("fields", "content_type", "data"),
    [
        ({"data": {"price": 1}}, b"application/json", b'{"price": 1}'),
        ({"data": "text", "datacontenttype": "text/plain"}, b"text/plain", b"text"),
        ({"data": "text", "datacontenttype": "application/json"}, b"application/json", b'"text"'),
        ({"data": "text"}, b"application/json", b'"text"'),
        ({"data": "t", "datacontenttype": "application/vnd.x+json"}, b"application/vnd.x+json", b'"t"'),
        ({"data_base64": "AAE=", "datacontenttype": "image/png"}, b"image/png", b"\0\1"),
        ({"data_base64": "AAE="}, None, b"\0\1"),
        ({}, None, b""),
        ({"subject": None}, None, b""),
    ],
)
def test_structured_data_becomes_the_bytes_that_its_content_type_promises(
    fields: dict[str, Any], content_type: bytes | None, data: bytes
) -> None:
    message = read_message(STRUCTURED, structured(**fields))
    assert (message.value(b"content-type"), message.body) == (content_type, data)


def test_numbers_in_structured_data_keep_their_digits() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"price":64302.10}}'
    assert read_message(STRUCTURED, body).body == b'{"price":64302.10}'


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((), b"{}"),
        (REQUIRED[1:], b""),
        ((*REQUIRED[1:], (b"ce-specversion", b"0.3")), b""),
        ((*REQUIRED[:3], (b"ce-type", b"")), b""),
        ((*REQUIRED, (b"ce-my-ext", b"1")), b""),
        ((*REQUIRED, (b"ce-time", b"yesterday")), b""),
        ((*REQUIRED, (b"ce-time", b"2024-01-01T00:00:00")), b""),
        ((*REQUIRED, (b"ce-ext", b"a\x01b")), b""),
        (((b"content-type", b"application/cloudevents-batch+json"),), b"[]"),
        (((b"content-type", b"application/cloudevents+xml"),), b"<event/>"),
        (STRUCTURED, b"{"),
        (STRUCTURED, b"[]"),
        (STRUCTURED, structured(id=None)),
        (STRUCTURED, structured(ext={"a": 1})),
        (STRUCTURED, structured(Upper="x")),
        (STRUCTURED, structured(data_base64="%")),
        (STRUCTURED, structured(datacontenttype="text/plain\r\nx: y")),
        (STRUCTURED, b"\xff"),
        (STRUCTURED, b'{"a":' * 100_000),
    ],
)
def test_what_is_no_event_is_refused(headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        read_message(headers, body)


def test_an_answer_claims_to_be_an_event_by_its_headers() -> None:
    assert is_event(REQUIRED)
    assert is_event(((b"content-type", b"Application/CloudEvents+json"),))
    assert not is_event(((b"content-type", b"application/json"),))


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
