"""The producer's envelope as the feeds write it: bytes untouched, ids that follow from the event."""

import json
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.wire.classify import classify
from triggers.feeds.envelope import encode, message_id, stream_name, timestamp

EVENT = b'{"e":"trade","E":1760963696781,"s":"BTCUSDT","t":5412887013,"p":"64120.50","q":"0.012","T":1,"m":true}'


def test_the_envelope_has_the_fields_of_the_producer_and_the_event_byte_for_byte() -> None:
    payload, identity = encode("btcusdt@trade", EVENT, 1_760_963_696_802_113)
    envelope = json.loads(payload)
    assert list(envelope) == ["stream", "data", "timestamp", "message_id", "source", "version"]
    assert envelope["stream"] == "btcusdt@trade"
    assert envelope["timestamp"] == "2025-10-20T12:34:56.802113Z"
    assert envelope["message_id"] == identity
    assert (envelope["source"], envelope["version"]) == ("binance-websocket", "1.0")
    assert b'"data":' + EVENT + b"," in payload
    assert classify(payload)[:2] == ("trade", "BTCUSDT")


def test_odd_bytes_of_an_event_are_not_rewritten() -> None:
    event = '{"e":"trade" , "p":"1.50", "x":"Zürich\\u00fc"}'.encode()
    assert event in encode("btcusdt@trade", event, 0)[0]


@given(st.text(max_size=30), st.text(max_size=200))
def test_the_message_id_is_a_uuid_of_version_5_over_stream_and_event(stream: str, event: str) -> None:
    namespace = uuid.uuid5(uuid.UUID(int=0), "petrosa.feeds")
    identity = uuid.UUID(message_id(stream, event.encode()))
    assert identity.version == 5
    assert identity == uuid.uuid5(namespace, f"{stream} {event}")


def test_the_same_event_in_two_streams_is_two_messages() -> None:
    assert message_id("btcusdt@depth20@100ms", b"{}") != message_id("ethusdt@depth20@100ms", b"{}")


@pytest.mark.parametrize(
    ("event_name", "stream"),
    [
        ("trade", "ethusdt@trade"),
        ("24hrTicker", "ethusdt@ticker"),
        ("depthUpdate", "ethusdt@depth20@100ms"),
        ("markPriceUpdate", "ethusdt@markPrice@1s"),
        ("fundingRate", "ethusdt@fundingRate@1s"),
        ("kline", "ethusdt@kline"),
        ("aggTrade", "ethusdt@aggTrade"),
        ("bookTicker", "ethusdt@bookTicker"),
    ],
)
def test_streams_are_named_as_the_producer_names_them(event_name: str, stream: str) -> None:
    assert stream_name("ETHUSDT", event_name) == stream


@given(st.integers(0, 4_000_000_000_000_000))
def test_the_time_is_iso_with_microseconds_and_none_when_they_are_zero(time_us: int) -> None:
    text = timestamp(time_us)
    moment = datetime.fromtimestamp(time_us // 1_000_000, UTC).replace(microsecond=time_us % 1_000_000)
    assert text == moment.isoformat().replace("+00:00", "Z")
