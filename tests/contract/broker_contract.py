"""What senders and subscribers can observe of Knative's broker, as tests that speak only HTTP.

A test module inherits the classes and provides the fixture ``plane``: a broker on which ``SUBSCRIPTIONS`` are
registered, with the subscribers that they name. Nothing here knows how that is done, so the same tests run against the
one-machine broker and against the platform's own programs, whose ingress may be synchronous: a POST may return only
when every subscriber is done.
"""

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx
import pytest

from tests.support.broker_plane import (
    Manifest,
    Plane,
    Subscription,
    error_data,
    event_headers,
    event_of,
    new_id,
    retrying,
)
from tests.support.subscriber import Received, Reply

_SETTLED_S: Final = 0.4
_TRIES: Final = 10


@dataclass(frozen=True)
class Filtered:
    """Filters of a Trigger (or the older ``filter.attributes``), and which events of ``_EVENTS`` pass."""

    passing: set[str]
    filters: Sequence[Manifest] | None = None
    attributes: Mapping[str, str] | None = None


_TRADE: Final = {"exact": {"type": "filter.trade"}}
_OURS: Final = {"prefix": {"type": "filter."}}
_BTC: Final = {"exact": {"subject": "BTCUSDT"}}
_ETH: Final = {"exact": {"subject": "ETHUSDT"}}
_HOUR: Final = {"exact": {"timeframe": "1h"}}
_FILTERED: Final = {
    "exact": Filtered({"btc-trade", "eth-trade"}, [_TRADE]),
    "exact-two": Filtered({"btc-trade"}, [{"exact": {"type": "filter.trade", "subject": "BTCUSDT"}}]),
    "exact-extension": Filtered({"btc-kline"}, [_HOUR]),
    "prefix": Filtered({"btc-trade", "btc-kline"}, [{"prefix": {"type": "filter.", "subject": "BTC"}}]),
    "suffix": Filtered({"btc-kline"}, [{"suffix": {"type": ".kline"}}]),
    "several": Filtered({"btc-trade"}, [_TRADE, _BTC]),
    "all": Filtered({"eth-trade"}, [{"all": [_TRADE, {"suffix": {"subject": "USDT"}}, {"prefix": {"subject": "E"}}]}]),
    "any": Filtered({"eth-trade", "btc-kline"}, [{"any": [_ETH, _HOUR]}]),
    "not": Filtered({"eth-trade", "plain"}, [_OURS, {"not": _BTC}]),
    "nested": Filtered({"plain"}, [{"all": [_OURS, {"not": {"any": [_TRADE, _HOUR]}}]}]),
    "attributes": Filtered({"btc-trade", "eth-trade"}, attributes={"type": "filter.trade"}),
    "attributes-any": Filtered({"btc-kline"}, attributes={"type": "", "timeframe": ""}),
    "filters-win": Filtered({"btc-kline"}, [_HOUR], attributes={"type": "filter.trade"}),
}
_EVENTS: Final = {
    "btc-trade": {"ce-type": "filter.trade", "ce-subject": "BTCUSDT", "ce-count": "12"},
    "eth-trade": {"ce-type": "filter.trade", "ce-subject": "ETHUSDT", "ce-count": "9"},
    "btc-kline": {"ce-type": "filter.kline", "ce-subject": "BTCUSDT", "ce-timeframe": "1h"},
    "plain": {"ce-type": "filter.plain"},
}

RETRIED: Final = (404, 408, 409, 429, 500, 502, 503, 504)
REFUSED: Final = (300, 302, 400, 401, 413, 422)

SUBSCRIPTIONS: Final = (
    *(Subscription(name, each.filters, each.attributes) for name, each in _FILTERED.items()),
    Subscription("plain", delivery=retrying(2)),
    Subscription("refusing", delivery=retrying(2)),
    Subscription("second", filters=[{"exact": {"type": "contract.plain"}}]),
    Subscription("exponential", delivery=retrying(3, "exponential", "PT0.2S")),
    Subscription("linear", delivery=retrying(3, "linear", "PT0.2S")),
    Subscription("retried", delivery=retrying(1)),
    Subscription("hanging", delivery=retrying(1, timeout="PT0.3S")),
    Subscription("failing", delivery=retrying(2)),
    Subscription("once"),
    Subscription("gone", delivery=retrying(1), address="http://127.0.0.1:9/gone"),
    Subscription("no-letters", delivery=retrying(1), has_dead_letters=False),
    Subscription("asked", delivery=retrying(1)),
    Subscription("answered", filters=[{"prefix": {"type": "contract.answer"}}]),
    Subscription("loop", has_dead_letters=False),
)


class FiltersContract:
    """Which events a Trigger gets."""

    @pytest.fixture(scope="class")
    @classmethod
    @classmethod
    def sent(cls, plane: Plane) -> Plane:
        """All events of the table, delivered."""
        for event_id, headers in _EVENTS.items():
            plane.send("filter", headers, event_id=event_id)
        for name, each in _FILTERED.items():
            for event_id in each.passing:
                plane.called(name, event_id)
        time.sleep(_SETTLED_S)
        return plane

    @pytest.mark.parametrize("name", _FILTERED)
    def test_a_trigger_gets_the_events_that_pass_its_filters_and_no_others(self, sent: Plane, name: str) -> None:
        calls = [event_id for event_id in _EVENTS for _ in sent.calls(name, event_id)]
        assert sorted(calls) == sorted(_FILTERED[name].passing)


class DeliveryContract:
    """What a subscriber is sent."""

    def test_every_trigger_that_wants_an_event_gets_it_once(self, plane: Plane) -> None:
        event_id = plane.send("plain")
        plane.called("plain", event_id)
        plane.called("second", event_id)
        time.sleep(0.1)
        assert len(plane.calls("plain", event_id)) == len(plane.calls("second", event_id)) == 1

    def test_a_request_says_that_a_reply_is_welcome_and_where_it_comes_from(self, plane: Plane) -> None:
        event_id = plane.send("plain", body=b"{}")
        (call,) = plane.called("plain", event_id)
        assert call.headers["prefer"] == "reply"
        assert call.headers["kn-namespace"] == plane.namespace

    def test_an_event_says_when_it_arrived_and_not_how_often_it_may_go_round(self, plane: Plane) -> None:
        event_id = plane.send("plain", {"ce-knativearrivaltime": "2001-01-01T00:00:00Z"})
        (call,) = plane.called("plain", event_id)
        arrived = datetime.fromisoformat(call.headers["ce-knativearrivaltime"])
        assert abs(arrived.timestamp() - time.time()) < 30
        assert "ce-knativebrokerttl" not in call.headers

    @pytest.mark.parametrize(
        "value",
        [
            b"two words",
            b"100%",
            b"100%25",
            b"%E2%82%AC%20and%20%C3%BC",
            "Zürich €".encode(),
            b'"quoted \\" text"',
            b"a,b;c=d",
        ],
    )
    def test_values_of_headers_arrive_as_they_were_sent(self, plane: Plane, value: bytes) -> None:
        event_id = plane.send("plain", {"ce-label": value})
        (call,) = plane.called("plain", event_id)
        assert call.headers["ce-label"].encode("latin-1") == value

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", b'{"price": 64302.10, "quantity":1e3 }'),
            ("application/x-ndjson", b'{"a":1}\n{"a":2}'),
            ("text/plain; charset=latin-1", b"\xfc\x00\r\n"),
            ("application/octet-stream", bytes(range(256)) * 2344),
            ("application/json", b""),
        ],
        ids=["json", "ndjson", "text", "600 KB", "empty"],
    )
    def test_data_arrives_byte_for_byte(self, plane: Plane, content_type: str, body: bytes) -> None:
        event_id = plane.send("plain", {"content-type": content_type}, body)
        (call,) = plane.called("plain", event_id)
        assert call.body == body
        assert call.headers["content-type"] == content_type

    @pytest.mark.parametrize(
        ("fields", "data"),
        [
            ({"datacontenttype": "application/json", "data": {"price": 64302.5, "id": 2**53 + 1}}, None),
            ({"datacontenttype": "text/plain", "data": "two\nlines"}, b"two\nlines"),
            ({"datacontenttype": "application/x-ndjson", "data_base64": "eyJhIjoxfQp7fQ=="}, b'{"a":1}\n{}'),
            ({}, b""),
        ],
        ids=["json", "text", "binary", "none"],
    )
    def test_a_structured_event_is_delivered_with_its_attributes(
        self, plane: Plane, fields: dict[str, Any], data: bytes | None
    ) -> None:
        event = {
            "specversion": "1.0",
            "id": new_id(),
            "source": "/contract",
            "type": "contract.plain",
            "subject": "two words",
            "flag": "yes",
            **fields,
        }
        headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
        assert plane.post(headers, json.dumps(event).encode()).status_code == 202
        (call,) = plane.called("plain", str(event["id"]))
        assert (event_of(call).subject, event_of(call).extension("flag")) == ("two words", "yes")
        assert event_of(call).datacontenttype == fields.get("datacontenttype")
        if data is None:
            assert json.loads(event_of(call).data) == fields["data"]
        else:
            assert event_of(call).data == data


class RetryContract:
    """Which answers are tried again, and when."""

    def test_exponential_waits_double_from_the_first_on(self, plane: Plane) -> None:
        def deliver() -> Sequence[Received]:
            plane.answer("exponential", Reply(503), Reply(503), Reply(204))
            return plane.called("exponential", plane.send("exponential"), 3)

        assert_waits(deliver, 0.2, 0.4)

    def test_the_first_linear_retry_is_immediate(self, plane: Plane) -> None:
        def deliver() -> Sequence[Received]:
            plane.answer("linear", Reply(503), Reply(503), Reply(503), Reply(204))
            return plane.called("linear", plane.send("linear"), 4)

        assert_waits(deliver, 0.0, 0.2, 0.4)

    @pytest.mark.parametrize("status", RETRIED)
    def test_what_may_pass_is_tried_again(self, plane: Plane, status: int) -> None:
        plane.answer("retried", Reply(status), Reply(204))
        event_id = plane.send("retried")
        plane.called("retried", event_id, 2)
        time.sleep(0.1)
        assert len(plane.calls("retried", event_id)) == 2
        assert not plane.calls("retried/dead", event_id)

    def test_no_answer_in_time_is_tried_again(self, plane: Plane) -> None:
        plane.answer("hanging", Reply(after_s=1.0), Reply(after_s=1.0))

        def deliver() -> Sequence[Received]:
            event_id = plane.send("hanging")
            letter = plane.dead_letter("hanging", event_id)
            assert letter.headers["ce-knativeerrorcode"] == "500"
            return plane.called("hanging", event_id, 2)

        assert_waits(deliver, 0.35)

    def test_a_subscriber_that_is_not_there_counts_as_one_that_fails(self, plane: Plane) -> None:
        letter = plane.dead_letter("gone", plane.send("gone"))
        assert letter.headers["ce-knativeerrorcode"] == "500"

    def test_without_retries_the_first_failure_is_the_last(self, plane: Plane) -> None:
        plane.answer("once", Reply(503))
        event_id = plane.send("once")
        assert plane.dead_letter("once", event_id).headers["ce-knativeerrorcode"] == "503"
        assert len(plane.calls("once", event_id)) == 1

    @pytest.mark.parametrize("status", REFUSED)
    def test_what_can_never_succeed_is_a_dead_letter_at_once(self, plane: Plane, status: int) -> None:
        plane.answer("refusing", Reply(status, body=b"no"))
        event_id = plane.send("refusing")
        letter = plane.dead_letter("refusing", event_id)
        assert len(plane.calls("refusing", event_id)) == 1
        assert letter.headers["ce-knativeerrorcode"] == str(status)

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_success_with_an_empty_body_ends_the_delivery(self, plane: Plane, status: int) -> None:
        plane.answer("failing", Reply(status))
        event_id = plane.send("failing")
        plane.called("failing", event_id)
        time.sleep(0.15)
        assert len(plane.calls("failing", event_id)) == 1
        assert not plane.calls("failing/dead", event_id)

    @pytest.mark.parametrize(
        ("content_type", "body"), [("text/plain", b"OK"), ("application/json", b'{"ok": true}')], ids=["text", "json"]
    )
    def test_success_with_a_body_that_is_no_event_is_a_failure(
        self, plane: Plane, content_type: str, body: bytes
    ) -> None:
        plane.answer("failing", Reply(200, {"content-type": content_type}, body))
        event_id = plane.send("failing")
        letter = plane.dead_letter("failing", event_id)
        assert len(plane.calls("failing", event_id)) == 3
        assert letter.headers["ce-knativeerrorcode"] == "502"
        assert error_data(letter) == b""

    def test_an_event_without_a_dead_letter_sink_is_given_up_after_its_retries(self, plane: Plane) -> None:
        plane.answer("no-letters", Reply(503))
        event_id = new_id()
        plane.post(event_headers("no-letters", event_id))  # a synchronous broker reports the failure to the sender
        plane.called("no-letters", event_id, 2)
        time.sleep(0.3)
        assert len(plane.calls("no-letters", event_id)) == 2


class DeadLettersContract:
    """What the dead-letter sink gets."""

    def test_a_dead_letter_is_the_event_with_what_went_wrong(self, plane: Plane) -> None:
        plane.answer("failing", Reply(422, {"content-type": "text/plain"}, b"price is negative"))
        body = bytes(range(256))
        event_id = plane.send("failing", {"ce-subject": "two words", "content-type": "application/octet-stream"}, body)
        letter = plane.dead_letter("failing", event_id)
        assert (event_of(letter).type, event_of(letter).source, event_of(letter).subject) == (
            "contract.failing",
            "/contract",
            "two words",
        )
        assert letter.body == body
        assert letter.headers["ce-knativeerrorcode"] == "422"
        assert error_data(letter) == b"price is negative"
        assert letter.headers["ce-knativeerrordest"].startswith("http://")
        assert {"ce-knativearrivaltime", "ce-knativebrokerttl"} <= letter.headers.keys()

    def test_a_long_answer_is_cut(self, plane: Plane) -> None:
        plane.answer("failing", Reply(400, body=b"x" * 100_000))
        letter = plane.dead_letter("failing", plane.send("failing"))
        assert len(letter.headers["ce-knativeerrordata"]) <= 1024

    def test_after_its_retries_the_last_answer_counts(self, plane: Plane) -> None:
        plane.answer("failing", Reply(503), Reply(500), Reply(429))
        event_id = plane.send("failing")
        letter = plane.dead_letter("failing", event_id)
        assert len(plane.calls("failing", event_id)) == 3
        assert letter.headers["ce-knativeerrorcode"] == "429"

    def test_a_dead_letter_sink_that_fails_is_tried_again(self, plane: Plane) -> None:
        plane.answer("failing", Reply(400))
        plane.answer("failing/dead", Reply(503), Reply(204))
        event_id = plane.send("failing")
        plane.called("failing/dead", event_id, 2)
        plane.answer("failing/dead", Reply())


class RepliesContract:
    """Replies are events of their own."""

    @pytest.mark.parametrize("mode", ["binary", "structured"])
    def test_a_reply_goes_to_the_triggers_that_want_it(self, plane: Plane, mode: str) -> None:
        reply_id, body = new_id(), b'{"price": 1.10}'
        fields = {"specversion": "1.0", "id": reply_id, "source": "/function", "type": "contract.answer"}
        binary = {f"ce-{name}": value for name, value in fields.items()} | {"content-type": "application/json"}
        structured = json.dumps({**fields, "datacontenttype": "application/json"})[:-1] + ', "data": {"price": 1.10}}'
        answer = (
            Reply(200, binary, body)
            if mode == "binary"
            else Reply(200, {"content-type": "application/cloudevents+json"}, structured.encode())
        )
        plane.answer("asked", answer)
        event_id = plane.send("asked")
        (call,) = plane.called("answered", reply_id)
        assert json.loads(event_of(call).data) == {"price": 1.1}
        assert event_of(call).source == "/function"
        assert len(plane.calls("asked", event_id)) == 1

    def test_a_reply_without_data_is_one_too(self, plane: Plane) -> None:
        reply_id = new_id()
        headers = event_headers("answer", reply_id)
        plane.answer("asked", Reply(200, {name: str(value) for name, value in headers.items()}))
        plane.send("asked")
        plane.called("answered", reply_id)

    def test_a_loop_of_replies_ends(self, plane: Plane) -> None:
        def reply(call: Received) -> Reply:
            headers = {name: value for name, value in call.headers.items() if name.startswith("ce-")}
            return Reply(200, {**headers, "content-type": "application/json"}, b"{}")

        plane.subscribers.answer_with("loop", reply)
        event_id = new_id()
        # A sender's own limit is respected, less one. A synchronous broker reports the end of the loop to the sender.
        plane.post({**event_headers("loop", event_id), "ce-knativebrokerttl": "5"})
        plane.called("loop", event_id, 4)
        time.sleep(_SETTLED_S)
        assert len(plane.calls("loop", event_id)) == 4


class IngressContract:
    """What the broker answers to senders."""

    def test_an_event_that_nobody_wants_is_taken(self, plane: Plane) -> None:
        assert plane.post(event_headers("nobody", new_id())).status_code == 202

    @pytest.mark.parametrize("missing", ["ce-specversion", "ce-id", "ce-source", "ce-type"])
    def test_a_request_that_is_no_event_is_refused(self, plane: Plane, missing: str) -> None:
        headers = event_headers("plain", event_id := new_id())
        del headers[missing]
        assert plane.post(headers, b"{}").status_code == 400
        time.sleep(0.05)
        assert not plane.calls("plain", event_id)

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/cloudevents-batch+json", b"[]"),
            (
                "application/cloudevents-batch+json",
                b'[{"specversion":"1.0","id":"1","source":"/s","type":"contract.plain"}]',
            ),
            ("application/cloudevents+json", b"{"),
            ("application/cloudevents+json", b'["no", "object"]'),
            ("application/cloudevents+json", b'{"specversion":"1.0","id":"1","source":"/s"}'),
            ("application/json", b"{}"),
        ],
        ids=["empty batch", "batch", "broken", "list", "incomplete", "plain JSON"],
    )
    def test_batches_and_broken_events_are_refused(self, plane: Plane, content_type: str, body: bytes) -> None:
        assert plane.post({"content-type": content_type}, body).status_code == 400

    def test_an_unknown_broker_is_not_found(self, plane: Plane) -> None:
        root = plane.ingress_url.removesuffix(httpx.URL(plane.ingress_url).path)
        for path in (f"/{plane.namespace}/unknown", "/unknown/default"):
            assert plane.post(event_headers("plain", new_id()), url=root + path).status_code == 404

    def test_only_posts_are_allowed(self, plane: Plane) -> None:
        assert httpx.get(plane.ingress_url).status_code == 405


def assert_waits(deliver: Callable[[], Sequence[Received]], *planned_s: float) -> None:
    """Check the time from each request to the next.

    A busy machine may be late, so one of several deliveries has to be on time; nothing may ever be early.
    """
    late = []
    for _ in range(_TRIES):
        waits = [later.at_s - earlier.at_s for earlier, later in itertools.pairwise(deliver())]
        over = [wait - planned for wait, planned in zip(waits, planned_s, strict=True)]
        assert min(over) > -0.03, f"waits were {waits}, planned {planned_s}"
        if max(over) < 0.19:
            return
        late.append(waits)
    raise AssertionError(f"waits were {late}, planned {planned_s}")
