"""The view of a broker that its contract tests have: Triggers to register, events to send, and what arrived where."""

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from common.events import Event, from_http
from tests.support.subscriber import Received, Reply, Subscribers

Manifest = dict[str, Any]

_NUMBERS: Final = itertools.count(1)


@dataclass(frozen=True)
class Subscription:
    """A Trigger of the suite. Without filters of its own it takes the events of type ``contract.<name>``."""

    name: str
    filters: Sequence[Manifest] | None = None
    attributes: Mapping[str, str] | None = None
    delivery: Mapping[str, Any] = field(default_factory=dict)
    has_dead_letters: bool = True
    address: str | None = None

    def spec(self, base_url: str) -> Manifest:
        """Return the Trigger's ``spec`` without the Broker's name; ``base_url`` is where all subscribers are."""
        base_url = base_url.rstrip("/")
        spec: Manifest = {"subscriber": {"uri": self.address or f"{base_url}/{self.name}"}}
        if self.attributes is not None:
            spec["filter"] = {"attributes": dict(self.attributes)}
        if self.filters is not None or self.attributes is None:
            spec["filters"] = list(self.filters or [{"exact": {"type": f"contract.{self.name}"}}])
        sink = {"deadLetterSink": {"uri": f"{base_url}/{self.name}/dead"}} if self.has_dead_letters else {}
        return {**spec, "delivery": {**self.delivery, **sink}}


@dataclass(frozen=True)
class Plane:
    """A broker that runs, and its subscribers."""

    namespace: str
    ingress_url: str
    subscribers: Subscribers

    def calls(self, name: str, event_id: str) -> list[Received]:
        """Return what the subscriber of a Trigger was sent of one event."""
        return self.subscribers.events(name, event_id)

    def called(self, name: str, event_id: str, count: int = 1) -> list[Received]:
        """Wait until the subscriber of a Trigger was sent an event so often."""
        return self.subscribers.wait_for(name, event_id, count)

    def dead_letter(self, name: str, event_id: str) -> Received:
        """Wait for the dead letter of an event and return it."""
        (letter,) = self.subscribers.wait_for(f"{name}/dead", event_id)
        return letter

    def answer(self, name: str, *replies: Reply) -> None:
        """Make a subscriber answer so, one reply a request; the last one stays."""
        left = list(replies)
        self.subscribers.answer_with(name, lambda _: left.pop(0) if len(left) > 1 else left[0])

    def post(self, headers: Mapping[str, str | bytes], body: bytes = b"", *, url: str | None = None) -> httpx.Response:
        """Post to the broker."""
        encoded = {
            name.encode(): value.encode() if isinstance(value, str) else value for name, value in headers.items()
        }
        return httpx.post(url or self.ingress_url, headers=encoded, content=body, timeout=60, verify=False)

    def send(
        self, name: str, headers: Mapping[str, str | bytes] | None = None, body: bytes = b"", *, event_id: str = ""
    ) -> str:
        """Send an event of the type that a Trigger takes and return its id."""
        event_id = event_id or new_id()
        response = self.post({**event_headers(name, event_id), **(headers or {})}, body)
        assert response.status_code == 202, response.text
        return event_id


def event_of(call: Received) -> Event:
    """Return the event that a request carries."""
    return from_http(call.headers, call.body)


def new_id() -> str:
    """Return an id that no other event of the run has."""
    return f"event-{next(_NUMBERS)}"


def event_headers(name: str, event_id: str) -> dict[str, str]:
    """Return the required attributes of an event for a Trigger."""
    return {
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": "/contract",
        "ce-type": f"contract.{name}",
        "content-type": "application/json",
    }


def error_data(letter: Received) -> bytes:
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
