"""Data of the system's own events: what travels, and what is said about what is wrong."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidEvent, MalformedEvent
from common.events import Event, from_http, to_http
from common.events.declaration import EventData, Symbol
from common.events.own import AnalyticsComputed, AnalyticsRequested, AuditRequested, RetentionRequested, own_events
from common.timeframes import Timeframe
from common.times import LATEST_INSTANT_MS

NOON = 1_760_961_600_000
GOOD = {"metric": "volume", "symbols": ["BTCUSDT"], "timeframe": "1h", "as_of": "2025-10-20T12:00:00Z"}


def carrying(data: object) -> Event:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Event(type=AnalyticsRequested.TYPE, source="/test", data=raw)


def over_http(event: Event) -> Event:
    headers, body = to_http(event)
    return from_http(headers, body)


symbols = st.from_regex(r"[A-Z0-9]{2,12}", fullmatch=True)
instants = st.integers(0, LATEST_INSTANT_MS)
timeframes = st.sampled_from(Timeframe)


@given(symbol=symbols, timeframe=st.none() | timeframes, as_of_ms=instants)
def test_a_request_arrives_as_it_was_sent(symbol: str, timeframe: Timeframe | None, as_of_ms: int) -> None:
    sent = AnalyticsRequested(metric="volume", symbols=(symbol,), timeframe=timeframe, as_of_ms=as_of_ms)
    event = over_http(sent.to_event(source="/functions/planner", cause="analytics/x", time_ms=as_of_ms))
    assert AnalyticsRequested.of(event) == sent
    assert event.extension("metric") == "volume"
    assert event.extension("timeframe") == timeframe


def test_what_travels_is_json_with_the_documented_names() -> None:
    data = AnalyticsRequested(metric="volume", symbols=("BTCUSDT",), timeframe=Timeframe.H1, as_of_ms=NOON)
    event = data.to_event(source="/functions/planner", cause="analytics/2025", time_ms=NOON)
    assert json.loads(event.data) == {**GOOD, "as_of": "2025-10-20T12:00:00.000Z"}
    assert event.id == "analytics/2025/volume/BTCUSDT/1h"


def test_a_request_for_several_pairs_has_no_subject() -> None:
    data = AnalyticsRequested(
        metric="correlation", symbols=("BTCUSDT", "ETHUSDT"), timeframe=Timeframe.H1, as_of_ms=NOON
    )
    event = data.to_event(source="/functions/planner", cause="c", time_ms=NOON)
    assert (event.subject, event.id) == (None, "c/correlation/1h")
    with pytest.raises(InvalidEvent, match="symbols: expected one symbol"):
        data.one_symbol()


def test_the_other_requests_arrive_too() -> None:
    audit = AuditRequested(symbol="BTCUSDT", timeframe=Timeframe.M5, as_of_ms=NOON)
    assert AuditRequested.of(over_http(audit.to_event(source="/p", cause="audit/1", time_ms=NOON))) == audit
    retention = RetentionRequested(as_of_ms=NOON)
    assert RetentionRequested.of(over_http(retention.to_event(source="/p", cause="r/1", time_ms=NOON))) == retention


def test_a_computed_document_arrives_whole() -> None:
    data = AnalyticsComputed(
        metric="volume", symbol="BTCUSDT", timeframe=Timeframe.H1, as_of_ms=NOON, document={"vwap": "1.5", "obv": None}
    )
    event = over_http(data.to_event(source="/functions/volume", cause="analytics/1", time_ms=NOON + 7))
    assert AnalyticsComputed.of(event) == data
    assert (event.type, event.subject, event.time_ms) == (AnalyticsComputed.TYPE, "BTCUSDT", NOON + 7)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metric": None}, "metric"),
        ({"metric": "../volume"}, "metric"),
        ({"symbols": []}, "symbols"),
        ({"symbols": "BTCUSDT"}, "symbols"),
        ({"symbols": ["BTCUSDT", "../x"]}, "symbols.1"),
        ({"symbols": ["UNKNOWN"]}, "symbols.0"),
        ({"timeframe": "7h"}, "timeframe"),
        ({"timeframe": 60}, "timeframe"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"as_of": True}, "as_of"),
        ({"as_of": 1e300}, "as_of"),
        ({"as_of": "12025-01-01"}, "as_of"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        AnalyticsRequested.of(carrying({**GOOD, **change}))
    assert caught.value.field == field
    assert caught.value.status == 422


@pytest.mark.parametrize("missing", ["metric", "symbols", "as_of"])
def test_a_missing_field_is_named(missing: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        AnalyticsRequested.of(carrying({name: value for name, value in GOOD.items() if name != missing}))
    assert caught.value.field == missing


def test_a_metric_of_candles_needs_a_timeframe() -> None:
    request = AnalyticsRequested.of(carrying({name: value for name, value in GOOD.items() if name != "timeframe"}))
    with pytest.raises(InvalidEvent, match="timeframe: expected one of 1m, "):
        request.one_timeframe()


def test_an_event_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="type: expected io"):
        RetentionRequested.of(carrying(GOOD))


def test_an_event_of_our_own_is_one_declaration() -> None:
    class Closed(EventData):
        TYPE = "io.petrosa.test.closed.v1"
        WAY = "nobody → nobody"
        IDENTITY = ("symbol", "number")
        EXTENSIONS = ("number",)

        symbol: Symbol
        number: int

    sent = Closed(symbol="BTCUSDT", number=7)
    event = over_http(sent.to_event(source="/test", cause="a/b", time_ms=NOON))
    assert Closed.of(event) == sent
    assert (event.type, event.id, event.subject) == (Closed.TYPE, "a/b/BTCUSDT/7", "BTCUSDT")
    assert event.extensions == {"number": "7"}


def test_the_documented_table_is_that_of_the_declarations() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    rows = [row.strip("| ").split(" | ") for row in readme.splitlines() if row.startswith("| `io.petrosa.")]
    documented = {re.findall(r"`([^`]+)`", row[0])[0]: (re.findall(r"`([^`]+)`", row[0])[1:], row[-1]) for row in rows}
    assert [name for name in documented if ".market." not in name] == [event.TYPE for event in own_events()]
    for event in own_events():
        assert documented[event.TYPE] == (list(event.EXTENSIONS), event.WAY)


def test_fields_of_a_newer_sender_are_ignored() -> None:
    assert AnalyticsRequested.of(carrying({**GOOD, "priority": 3})).metric == "volume"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedEvent):
        AnalyticsRequested.of(carrying(data))


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_no_data_can_be_taken_for_a_request(data: object) -> None:
    with pytest.raises((MalformedEvent, InvalidEvent)):
        AnalyticsRequested.of(carrying(data))
