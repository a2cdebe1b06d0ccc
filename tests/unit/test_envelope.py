"""The CloudEvent envelope, with the SDK and the specification's own rules as judges."""

import json
from urllib.parse import unquote

import pytest
from cloudevents.conversion import to_structured
from cloudevents.http import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MalformedEvent
from common.events.envelope import Event, from_http, to_http

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x7f"), min_size=1, max_size=40)


@given(event_id=TEXT, source=TEXT, subject=TEXT, extension=TEXT, data=st.binary(max_size=200))
def test_what_is_sent_in_binary_mode_is_read_again(
    event_id: str, source: str, subject: str, extension: str, data: bytes
) -> None:
    event = Event(
        type="io.petrosa.test.v1",
        source=source,
        id=event_id,
        subject=subject,
        time_ms=1_760_963_696_781,
        datacontenttype="application/octet-stream",
        data=data,
        extensions={"note": extension},
    )
    headers, body = to_http(event)
    assert from_http(headers, body) == event


@given(value=TEXT)
def test_header_values_are_printable_ascii_and_decode_to_the_value(value: str) -> None:
    headers, _ = to_http(Event(type="t", source="/s", id="1", subject=value))
    coded = headers["ce-subject"]
    assert all("!" <= character <= "~" and character != '"' for character in coded)
    assert unquote(coded) == value


def test_data_stays_bytes_whatever_its_content_type_says() -> None:
    core = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
    for content_type, body in [
        ("text/plain", b"123"),
        ("application/json", b"{bad"),
        ("application/x-ndjson", b"a\nb"),
    ]:
        event = from_http({**core, "content-type": content_type}, body)
        assert event.data == body
        assert event.datacontenttype == content_type


def test_percent_coded_headers_are_decoded_in_either_case_and_when_quoted() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "a%20b", "ce-source": "/%c3%A9", "ce-type": "t", "ce-subject": '"x y"'}
    event = from_http(headers, b"")
    assert (event.id, event.source, event.subject) == ("a b", "/é", "x y")


def test_structured_mode_of_the_sdk_is_read() -> None:
    sdk = CloudEvent({"type": "t", "source": "/s", "id": "7", "metric": "volume"}, {"price": "1.10"})
    headers, body = to_structured(sdk)
    event = from_http(headers, body)
    assert event.extension("metric") == "volume"
    assert json.loads(event.data) == {"price": "1.10"}


def test_structured_mode_carries_bytes_as_base64() -> None:
    body = b'{"specversion":"1.0","id":"7","source":"/s","type":"t","data_base64":"AP8="}'
    event = from_http({"content-type": "application/cloudevents+json"}, body)
    assert event.data == b"\x00\xff"
    assert event.time_ms is None


def test_an_event_without_a_time_stays_without_one() -> None:
    headers, body = to_http(Event(type="t", source="/s", id="7"))
    assert "ce-time" not in headers
    assert from_http(headers, body).time_ms is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b""),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s"}, b""),
        ({"ce-specversion": "1.0", "ce-id": "", "ce-source": "/s", "ce-type": "t"}, b""),
        ({"ce-specversion": "0.2", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}, b""),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-time": "yesterday"}, b""),
        ({"ce-specversion": "1.0", "ce-id": "%ff", "ce-source": "/s", "ce-type": "t"}, b""),
        ({"content-type": "application/cloudevents+json"}, b"not json"),
        ({"content-type": "application/cloudevents+json"}, b"[1]"),
        ({"content-type": "application/cloudevents+json"}, b'{"specversion":"1.0"}'),
        ({"content-type": "application/cloudevents-batch+json"}, b"[]"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(MalformedEvent) as caught:
        from_http(headers, body)
    assert caught.value.status == 400
    assert str(caught.value)
