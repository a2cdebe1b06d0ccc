"""An event as the broker passes it on: the headers of binary mode and the body, byte for byte as they came.

A structured event becomes binary here, because that is how the platform delivers. Nothing else is decoded but what
filters look at.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from common.errors import MalformedEvent, PayloadTooLarge
from common.events.codec import CONTENT_TYPE, Headers, attributes_of, in_binary_mode
from common.times import to_iso

TTL: Final = 255
TTL_HEADER: Final = b"ce-knativebrokerttl"
ARRIVAL_HEADER: Final = b"ce-knativearrivaltime"

# Headers that travel with an event although they are no attributes of it.
_PASSED: Final = frozenset({CONTENT_TYPE, b"x-request-id", b"traceparent", b"tracestate"})
_PASSED_PREFIXES: Final = (b"ce-", b"knative-", b"k-eventing-")


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One event in binary mode. Names of headers are in lower case, none is there twice."""

    headers: Headers
    body: bytes

    def value(self, name: bytes) -> bytes | None:
        """Return the value of a header."""
        return next((value for each, value in self.headers if each == name), None)

    def with_header(self, name: bytes, value: bytes) -> "Message":
        """Return the same event with this value of a header."""
        return Message((*self._without(name), (name, value)), self.body)

    def without_header(self, name: bytes) -> "Message":
        """Return the same event without a header."""
        return Message(self._without(name), self.body)

    def _without(self, name: bytes) -> Headers:
        return tuple(header for header in self.headers if header[0] != name)

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes by name, decoded: what filters match on."""
        return attributes_of(self.headers)

    @property
    def ttl(self) -> int | None:
        """How often the event may still enter a broker; None when it says nothing that can be read."""
        value = self.value(TTL_HEADER)
        return int(value) if value is not None and value.isdigit() and len(value) < 10 else None


def read_message(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Message:
    """Read an event from a request or an answer, in binary or structured mode.

    Args:
        headers: with names in lower case.
        body: the body.

    Raises:
        MalformedEvent: not one CloudEvent of version 1.0.
    """
    passed = ((name, value) for name, value in headers if name in _PASSED or name.startswith(_PASSED_PREFIXES))
    return Message(*in_binary_mode(passed, body))


def too_large(limit: int) -> PayloadTooLarge:
    """Return the error that says how large an event may be."""
    return PayloadTooLarge(f"expected an event of at most {limit} bytes, headers included")


def admitted(message: Message, now_ms: int) -> Message:
    """Return an event as it enters the broker: with the time of its arrival, and one entry less to its TTL.

    Raises:
        MalformedEvent: it has entered too often.
    """
    ttl = TTL if message.ttl is None else message.ttl - 1
    if ttl <= 0:
        raise MalformedEvent("the event went through the broker too often: end the loop of Triggers and replies")
    arrived = message.with_header(ARRIVAL_HEADER, to_iso(now_ms).encode())
    return arrived.with_header(TTL_HEADER, str(ttl).encode())
