"""Classification (design.md, "Kinds of messages"): every kind, every envelope form, everything broken."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events.types import MARKET_KINDS
from common.models.dead_letters import Reason
from common.wire.classify import classify


def _full(event: dict[str, object], stream: str = "btcusdt@x") -> bytes:
    return json.dumps({"stream": stream, "data": event, "timestamp": "2025-10-20T12:34:56Z", "version": "1.0"}).encode()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("trade", "trade"),
        ("aggTrade", "aggtrade"),
        ("24hrTicker", "ticker"),
        ("depthUpdate", "depth"),
        ("depthLevel", "depth"),
        ("markPriceUpdate", "markprice"),
        ("fundingRate", "funding"),
        ("kline", "kline"),
    ],
)
def test_each_kind_in_each_form_of_the_envelope(name: str, kind: str) -> None:
    event: dict[str, object] = {"e": name, "s": "btcusdt"}
    for raw in (_full(event), json.dumps({"stream": "x@y", "data": event}).encode(), json.dumps(event).encode()):
        classified = classify(raw)
        assert (classified.kind, classified.symbol, classified.reason) == (kind, "BTCUSDT", None)
        assert kind in MARKET_KINDS


def test_without_an_event_name_the_stream_tells() -> None:
    assert classify(_full({"lastUpdateId": 5}, "ethusdt@depth20@100ms"))[:2] == ("depth", "ETHUSDT")
    assert classify(_full({"x": 1}, "btcusdt@kline_1h")).kind == "kline"
    assert classify(_full({"x": 1}, "btcusdt@markPrice@1s")).kind == "markprice"


def test_an_unknown_event_name_falls_through_to_the_stream() -> None:
    assert classify(_full({"e": "novelty", "s": "BTCUSDT"}, "btcusdt@trade")).kind == "trade"


def test_a_book_ticker_is_not_a_ticker() -> None:
    assert classify(_full({"e": "bookTicker", "s": "BTCUSDT"}, "btcusdt@bookTicker")).kind == "bookticker"
    assert classify(_full({"u": 1, "s": "BTCUSDT"}, "btcusdt@bookTicker")).kind == "bookticker"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"hello", Reason.NOT_JSON),
        (b'{"e":"trade"', Reason.NOT_JSON),
        (b'{"e":"trade","p":NaN}', Reason.NOT_JSON),
        (b"[1,2]", Reason.NOT_AN_OBJECT),
        (b'"text"', Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
        (b'{"data":[{"e":"trade"}]}', Reason.NOT_AN_OBJECT),
        (b'{"e":5}', Reason.WRONG_TYPE),
        (b'{"x":' + b"[" * 200_000, Reason.TOO_DEEP),
        (b'{"e":"\xff\xfe"}', Reason.NOT_UTF8),
        (b"{}", Reason.MISSING_FIELD),
        (b'{"hello":1}', Reason.MISSING_FIELD),
    ],
)
def test_broken_messages_get_a_reason(raw: bytes, reason: Reason) -> None:
    classified = classify(raw)
    assert classified.reason is reason
    assert classified.detail


@given(st.binary(max_size=300))
def test_no_bytes_at_all_raise(raw: bytes) -> None:
    classified = classify(raw)
    assert classified.reason is not None or classified.kind


@pytest.mark.recorded
def test_a_recorded_session_is_classified_whole(recorded_data: Path) -> None:
    counted: Counter[str] = Counter()
    with gzip.open(recorded_data / "ws" / "um_live_BTCUSDT_20240808T2354.ndjson.gz") as lines:
        for line in lines:
            record = json.loads(line)
            if record["src"] == "ws":
                counted[classify(json.dumps(record["msg"]).encode()).kind] += 1
    assert counted == {"depth": 6551, "bookticker": 66_089, "trade": 21_313}
