"""What senders and subscribers can observe of Knative's broker, as tests that speak only HTTP.

A test module inherits the classes and provides the fixture ``plane``: a broker on which ``SUBSCRIPTIONS`` are
registered, with the subscribers that they name. Nothing here knows how that is done, so the same tests run against the
one-machine broker and against the platform's own programs, whose ingress may be synchronous: a POST may return only
when every subscriber is done.
"""

import base64
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import httpx
import pytest

from tests.support.subscribers import Answer, Call, Subscriber, Subscribers

Manifest = dict[str, Any]

_SETTLED_S: Final = 0.4
_NUMBERS: Final = itertools.count(1)


@dataclass(frozen=True)
class Subscription:
    """A Trigger of the suite. Without filters of its own it takes the events of type ``contract.<name>``."""

    name: str
    filters: Sequence[Manifest] | None = None
    attributes: Mapping[str, str] | None = None
    delivery: Mapping[str, Any] = field(default_factory=dict)
    has_dead_letters: bool = True

    def trigger(self, namespace: str, broker: str, base_url: str) -> Manifest:
        """Return the Trigger; ``base_url`` is the server of the subscribers."""
        spec: Manifest = {"broker": broker, "subscriber": {"uri": f"{base_url}/{self.name}"}}
        if self.attributes is not None:
            spec["filter"] = {"attributes": dict(self.attributes)}
        if self.filters is not None or self.attributes is None:
            spec["filters"] = list(self.filters or [{"exact": {"type": f"contract.{self.name}"}}])
        sink = {"deadLetterSink": {"uri": f"{base_url}/{self.name}/dead"}} if self.has_dead_letters else {}
        spec["delivery"] = {**self.delivery, **sink}
        metadata = {"name": self.name, "namespace": namespace}
        return {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": metadata, "spec": spec}


@dataclass(frozen=True)
class Plane:
    """A broker that runs, and its subscribers."""

    namespace: str
    ingress_url: str
    subscribers: Subscribers

    def subscriber(self, name: str) -> Subscriber:
        """Return the subscriber of a Trigger."""
        return self.subscribers.at(name)

    def dead_letters(self, name: str) -> Subscriber:
        """Return the dead-letter sink of a Trigger."""
        return self.subscribers.at(f"{name}/dead")

    def post(self, headers: Mapping[str, str | bytes], body: bytes = b"", *, url: str | None = None) -> httpx.Response:
        """Post to the broker."""
        encoded = {
            name.encode(): value.encode() if isinstance(value, str) else value for name, value in headers.items()
        }
        return httpx.post(url or self.ingress_url, headers=encoded, content=body, timeout=60)

    def send(
        self, name: str, headers: Mapping[str, str | bytes] | None = None, body: bytes = b"", *, event_id: str = ""
    ) -> str:
        """Send an event of the type that a Trigger takes and return its id."""
        event_id = event_id or new_id()
        response = self.post({**event_headers(name, event_id), **(headers or {})}, body)
        assert response.status_code == 202, response.text
        return event_id


def new_id() -> str:
    """Return an id that no other event of the run has."""
    return f"event-{next(_NUMBERS)}"


def event_headers(name: str, event_id: str) -> dict[str, str | bytes]:
    """Return the required attributes of an event for a Trigger."""
    return {
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": "/contract",
        "ce-type": f"contract.{name}",
        "content-type": "application/json",
    }


def error_data(letter: Call) -> bytes:
    """Return the body of the answer that made an event a dead letter.

    It is coded twice when the platform does not recognise its own filter by host name, once otherwise, and left out
    when it is empty.
    """
    decoded = base64.b64decode(letter.headers.get("ce-knativeerrordata", ""))
    try:
        wrapped = json.loads(decoded)["errresponsebody"]
    except (ValueError, KeyError, TypeError):
        return decoded
    return base64.b64decode(wrapped or "")


def retrying(retry: int, policy: str = "exponential", delay: str = "PT0.05S", **others: str) -> dict[str, Any]:
    """Return delivery settings."""
    return {"retry": retry, "backoffPolicy": policy, "backoffDelay": delay, **others}


# Name → filters (or the older attributes), and the events that pass. The events are those of ``_EVENTS``.
_FILTERED: Final[Mapping[str, tuple[Sequence[Manifest] | None, Mapping[str, str] | None, set[str]]]] = {
    "exact": ([{"exact": {"type": "filter.trade"}}], None, {"btc-trade", "eth-trade"}),
    "exact-two": ([{"exact": {"type": "filter.trade", "subject": "BTCUSDT"}}], None, {"btc-trade"}),
    "exact-extension": ([{"exact": {"timeframe": "1h"}}], None, {"btc-kline"}),
    "prefix": ([{"prefix": {"type": "filter.", "subject": "BTC"}}], None, {"btc-trade", "btc-kline"}),
    "suffix": ([{"suffix": {"type": ".kline"}}, {"prefix": {"type": "filter."}}], None, {"btc-kline"}),
    "all": ([{"all": [{"prefix": {"type": "filter."}}, {"suffix": {"subject": "USDT"}}]}], None, {"btc-trade", "eth-trade", "btc-kline"}),
    "any": ([{"any": [{"exact": {"subject": "ETHUSDT"}}, {"exact": {"timeframe": "1h"}}]}], None, {"eth-trade", "btc-kline"}),
    "not": ([{"not": {"exact": {"subject": "BTCUSDT"}}}, {"prefix": {"type": "filter."}}], None, {"eth-trade", "plain"}),
    "nested": (
        [{"all": [{"prefix": {"type": "filter."}}, {"not": {"any": [{"suffix": {"type": "trade"}}, {"exact": {"timeframe": "1h"}}]}}]}],
        None,
        {"plain"},
    ),
    "attributes": (None, {"type": "filter.trade"}, {"btc-trade", "eth-trade"}),
    "attributes-any": (None, {"type": "", "timeframe": ""}, {"btc-kline"}),
    "filters-win": ([{"exact": {"type": "filter.kline"}}], {"type": "filter.trade"}, {"btc-kline"}),
    "cesql-like": ([{"cesql": "type LIKE 'filter.%' AND subject LIKE 'BTC____'"}], None, {"btc-trade", "btc-kline"}),
    "cesql-in": ([{"cesql": "subject IN ('ETHUSDT', 'SOLUSDT')"}], None, {"eth-trade"}),
    "cesql-exists": ([{"cesql": "EXISTS timeframe"}], None, {"btc-kline"}),
    "cesql-number": ([{"cesql": "type LIKE 'filter.%' AND count > 10"}], None, {"btc-trade"}),
    "cesql-error": ([{"cesql": "type = 'filter.plain' AND nothing = 'x'"}], None, set()),
    "cesql-text": ([{"cesql": "subject"}], None, set()),
}  # fmt: skip
_EVENTS: Final = {
    "btc-trade": {"ce-type": "filter.trade", "ce-subject": "BTCUSDT", "ce-count": "12"},
    "eth-trade": {"ce-type": "filter.trade", "ce-subject": "ETHUSDT", "ce-count": "9"},
    "btc-kline": {"ce-type": "filter.kline", "ce-subject": "BTCUSDT", "ce-timeframe": "1h"},
    "plain": {"ce-type": "filter.plain"},
}

RETRIED: Final = (404, 408, 409, 429, 500, 502, 503, 504)
REFUSED: Final = (300, 302, 400, 401, 413, 422)

SUBSCRIPTIONS: Final = (
    *(Subscription(name, filters, attributes) for name, (filters, attributes, _) in _FILTERED.items()),
    Subscription("plain", delivery=retrying(2)),
    Subscription("second", filters=[{"exact": {"type": "contract.plain"}}]),
    Subscription("exponential", delivery=retrying(3, "exponential", "PT0.2S")),
    Subscription("linear", delivery=retrying(3, "linear", "PT0.2S")),
    Subscription("retried", delivery=retrying(1)),
    Subscription("hanging", delivery=retrying(1, timeout="PT0.3S")),
    Subscription("failing", delivery=retrying(2)),
    Subscription("no-letters", delivery=retrying(1), has_dead_letters=False),
    Subscription("asked", delivery=retrying(1)),
    Subscription("answered", filters=[{"prefix": {"type": "contract.answer"}}]),
    Subscription("loop", has_dead_letters=False),
)


class FiltersContract:
    """Which events a Trigger gets."""

    @pytest.fixture(scope="class")
    def sent(self, plane: Plane) -> Plane:
        """All events of the table, delivered."""
        for event_id, headers in _EVENTS.items():
            plane.send("filter", headers, event_id=event_id)
        for name, (_, _, expected) in _FILTERED.items():
            for event_id in expected:
                plane.subscriber(name).wait(event_id)
        time.sleep(_SETTLED_S)
        return plane

    @pytest.mark.parametrize("name", _FILTERED)
    def test_a_trigger_gets_the_events_that_pass_its_filters_and_no_others(self, sent: Plane, name: str) -> None:
        calls = [call.id for call in sent.subscriber(name).calls if call.id in _EVENTS]
        assert sorted(calls) == sorted(_FILTERED[name][2])


class DeliveryContract:
    """What a subscriber is sent."""

    def test_every_trigger_that_wants_an_event_gets_it_once(self, plane: Plane) -> None:
        event_id = plane.send("plain")
        plane.subscriber("plain").wait(event_id)
        plane.subscriber("second").wait(event_id)
        time.sleep(0.1)
        assert len(plane.subscriber("plain").of(event_id)) == len(plane.subscriber("second").of(event_id)) == 1

    def test_a_request_says_that_a_reply_is_welcome_and_where_it_comes_from(self, plane: Plane) -> None:
        event_id = plane.send("plain", body=b"{}")
        (call,) = plane.subscriber("plain").wait(event_id)
        assert call.method == "POST"
        assert call.headers["prefer"] == "reply"
        assert call.headers["kn-namespace"] == plane.namespace

    def test_an_event_says_when_it_arrived_and_not_how_often_it_may_go_round(self, plane: Plane) -> None:
        event_id = plane.send("plain", {"ce-knativearrivaltime": "2001-01-01T00:00:00Z"})
        (call,) = plane.subscriber("plain").wait(event_id)
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
        (call,) = plane.subscriber("plain").wait(event_id)
        assert dict(call.raw_headers)[b"ce-label"] == value

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
        (call,) = plane.subscriber("plain").wait(event_id)
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
        (call,) = plane.subscriber("plain").wait(str(event["id"]))
        assert (call.event.subject, call.event.extension("flag")) == ("two words", "yes")
        assert call.event.datacontenttype == fields.get("datacontenttype")
        if data is None:
            assert json.loads(call.event.data) == fields["data"]
        else:
            assert call.event.data == data


class RetryContract:
    """Which answers are tried again, and when."""

    def test_exponential_waits_double_from_the_first_on(self, plane: Plane) -> None:
        plane.subscriber("exponential").answers = (Answer(503), Answer(503), Answer(204))
        waits = _waits(plane.subscriber("exponential").wait(plane.send("exponential"), 3))
        assert waits == [pytest.approx(0.2, abs=0.15), pytest.approx(0.4, abs=0.15)]
        assert all(wait > planned - 0.02 for wait, planned in zip(waits, (0.2, 0.4), strict=True))

    def test_the_first_linear_retry_is_immediate(self, plane: Plane) -> None:
        plane.subscriber("linear").answers = (Answer(503), Answer(503), Answer(503), Answer(204))
        waits = _waits(plane.subscriber("linear").wait(plane.send("linear"), 4))
        assert waits == [
            pytest.approx(0.0, abs=0.15),
            pytest.approx(0.2, abs=0.15),
            pytest.approx(0.4, abs=0.15),
        ]

    @pytest.mark.parametrize("status", RETRIED)
    def test_what_may_pass_is_tried_again(self, plane: Plane, status: int) -> None:
        plane.subscriber("retried").answers = (Answer(status), Answer(204))
        event_id = plane.send("retried")
        plane.subscriber("retried").wait(event_id, 2)
        time.sleep(0.1)
        assert len(plane.subscriber("retried").of(event_id)) == 2
        assert not plane.dead_letters("retried").of(event_id)

    def test_no_answer_in_time_is_tried_again(self, plane: Plane) -> None:
        plane.subscriber("hanging").answers = (Answer(hangs_s=1.0), Answer(hangs_s=1.0))
        event_id = plane.send("hanging")
        calls = plane.subscriber("hanging").wait(event_id, 2)
        assert _waits(calls) == [pytest.approx(0.35, abs=0.2)]
        (letter,) = plane.dead_letters("hanging").wait(event_id)
        assert letter.headers["ce-knativeerrorcode"] == "500"

    @pytest.mark.parametrize("status", REFUSED)
    def test_what_can_never_succeed_is_a_dead_letter_at_once(self, plane: Plane, status: int) -> None:
        plane.subscriber("plain").judge = lambda _call, _before: Answer(status, body=b"no")
        try:
            event_id = plane.send("plain")
            (letter,) = plane.dead_letters("plain").wait(event_id)
        finally:
            plane.subscriber("plain").judge = lambda _call, _before: None
        assert len(plane.subscriber("plain").of(event_id)) == 1
        assert letter.headers["ce-knativeerrorcode"] == str(status)

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_success_with_an_empty_body_ends_the_delivery(self, plane: Plane, status: int) -> None:
        plane.subscriber("failing").answers = (Answer(status),)
        event_id = plane.send("failing")
        plane.subscriber("failing").wait(event_id)
        time.sleep(0.15)
        assert len(plane.subscriber("failing").of(event_id)) == 1
        assert not plane.dead_letters("failing").of(event_id)

    @pytest.mark.parametrize(
        ("content_type", "body"), [("text/plain", b"OK"), ("application/json", b'{"ok": true}')], ids=["text", "json"]
    )
    def test_success_with_a_body_that_is_no_event_is_a_failure(
        self, plane: Plane, content_type: str, body: bytes
    ) -> None:
        plane.subscriber("failing").answers = (Answer(200, {"content-type": content_type}, body),)
        event_id = plane.send("failing")
        (letter,) = plane.dead_letters("failing").wait(event_id)
        assert len(plane.subscriber("failing").of(event_id)) == 3
        assert letter.headers["ce-knativeerrorcode"] == "502"
        assert error_data(letter) == b""

    def test_an_event_without_a_dead_letter_sink_is_given_up_after_its_retries(self, plane: Plane) -> None:
        plane.subscriber("no-letters").answers = (Answer(503),)
        event_id = new_id()
        plane.post(event_headers("no-letters", event_id))  # a synchronous broker reports the failure to the sender
        plane.subscriber("no-letters").wait(event_id, 2)
        time.sleep(0.3)
        assert len(plane.subscriber("no-letters").of(event_id)) == 2


class DeadLettersContract:
    """What the dead-letter sink gets."""

    def test_a_dead_letter_is_the_event_with_what_went_wrong(self, plane: Plane) -> None:
        plane.subscriber("failing").answers = (Answer(422, {"content-type": "text/plain"}, b"price is negative"),)
        body = bytes(range(256))
        event_id = plane.send("failing", {"ce-subject": "two words", "content-type": "application/octet-stream"}, body)
        (letter,) = plane.dead_letters("failing").wait(event_id)
        assert (letter.event.type, letter.event.source, letter.event.subject) == (
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
        plane.subscriber("failing").answers = (Answer(400, body=b"x" * 100_000),)
        (letter,) = plane.dead_letters("failing").wait(plane.send("failing"))
        assert len(letter.headers["ce-knativeerrordata"]) <= 1024

    def test_after_its_retries_the_last_answer_counts(self, plane: Plane) -> None:
        plane.subscriber("failing").answers = (Answer(503), Answer(500), Answer(429))
        event_id = plane.send("failing")
        (letter,) = plane.dead_letters("failing").wait(event_id)
        assert len(plane.subscriber("failing").of(event_id)) == 3
        assert letter.headers["ce-knativeerrorcode"] == "429"

    def test_a_dead_letter_sink_that_fails_is_tried_again(self, plane: Plane) -> None:
        plane.subscriber("failing").answers = (Answer(400),)
        plane.dead_letters("failing").answers = (Answer(503), Answer(204))
        event_id = plane.send("failing")
        plane.dead_letters("failing").wait(event_id, 2)
        plane.dead_letters("failing").answers = (Answer(),)


class RepliesContract:
    """Replies are events of their own."""

    @pytest.mark.parametrize("mode", ["binary", "structured"])
    def test_a_reply_goes_to_the_triggers_that_want_it(self, plane: Plane, mode: str) -> None:
        reply_id, body = new_id(), b'{"price": 1.10}'
        fields = {"specversion": "1.0", "id": reply_id, "source": "/function", "type": "contract.answer"}
        binary = {f"ce-{name}": value for name, value in fields.items()} | {"content-type": "application/json"}
        structured = json.dumps({**fields, "datacontenttype": "application/json"})[:-1] + ', "data": {"price": 1.10}}'
        answer = (
            Answer(200, binary, body)
            if mode == "binary"
            else Answer(200, {"content-type": "application/cloudevents+json"}, structured.encode())
        )
        plane.subscriber("asked").answers = (answer,)
        event_id = plane.send("asked")
        (call,) = plane.subscriber("answered").wait(reply_id)
        assert json.loads(call.event.data) == {"price": 1.1}
        assert call.event.source == "/function"
        assert len(plane.subscriber("asked").of(event_id)) == 1

    def test_a_reply_without_data_is_one_too(self, plane: Plane) -> None:
        reply_id = new_id()
        headers = event_headers("answer", reply_id)
        plane.subscriber("asked").answers = (Answer(200, {name: str(value) for name, value in headers.items()}),)
        plane.send("asked")
        plane.subscriber("answered").wait(reply_id)

    def test_a_loop_of_replies_ends(self, plane: Plane) -> None:
        def reply(call: Call, _before: int) -> Answer:
            headers = {name: value for name, value in call.headers.items() if name.startswith("ce-")}
            return Answer(200, {**headers, "content-type": "application/json"}, b"{}")

        plane.subscriber("loop").judge = reply
        event_id = plane.send("loop", {"ce-knativebrokerttl": "5"})  # a sender's own is respected, less one
        plane.subscriber("loop").wait(event_id, 4)
        time.sleep(_SETTLED_S)
        assert len(plane.subscriber("loop").of(event_id)) == 4


class IngressContract:
    """What the broker answers to senders."""

    def test_an_event_that_nobody_wants_is_taken(self, plane: Plane) -> None:
        assert plane.post(event_headers("nobody", new_id())).status_code == 202

    @pytest.mark.parametrize("missing", ["ce-specversion", "ce-id", "ce-source", "ce-type"])
    def test_a_request_that_is_no_event_is_refused(self, plane: Plane, missing: str) -> None:
        headers = event_headers("plain", event_id := new_id())
        del headers[missing]
        assert plane.post(headers, b"{}").status_code == 400
        assert not plane.subscriber("plain").of(event_id) if missing == "ce-id" else True

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


def _waits(calls: Sequence[Call]) -> list[float]:
    return [later.at_s - earlier.at_s for earlier, later in itertools.pairwise(calls)]
