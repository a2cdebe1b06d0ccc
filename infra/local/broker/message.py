"""An event as the broker passes it on: the headers of binary mode and the body, byte for byte as they came.

A structured event becomes binary here, because that is how the platform delivers. Nothing else is decoded but what
filters look at; data is never parsed, so that a number keeps its digits.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from common.errors import MalformedEvent, PayloadTooLarge
from common.times import to_iso

Headers = tuple[tuple[bytes, bytes], ...]

TTL: Final = 255
TTL_HEADER: Final = b"ce-knativebrokerttl"
ARRIVAL_HEADER: Final = b"ce-knativearrivaltime"
CONTENT_TYPE: Final = b"content-type"

_STRUCTURED: Final = b"application/cloudevents"
_JSON: Final = "application/json"
_REQUIRED: Final = (b"ce-id", b"ce-source", b"ce-type")
# Headers that travel with an event although they are no attributes of it.
_PASSED: Final = frozenset({CONTENT_TYPE, b"x-request-id", b"traceparent", b"tracestate"})
_PASSED_PREFIXES: Final = (b"ce-", b"knative-", b"k-eventing-")
_ATTRIBUTE_HEADER: Final = re.compile(rb"ce-[a-z0-9]+")
_ATTRIBUTE_NAME: Final = re.compile(r"[a-z0-9]+")
# What HTTP allows as the value of a header.
_HEADER_VALUE: Final = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
# Characters that stand for themselves in a header: printable ASCII without blank, quote and percent.
_UNCODED: Final = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_JSON_TYPE: Final = re.compile(r"[^/;\s]+/([^;\s]+\+)?json\s*(;.*)?", re.IGNORECASE)


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
        named = {name[3:].decode("ascii"): _decoded(value) for name, value in self.headers if name.startswith(b"ce-")}
        content_type = self.value(CONTENT_TYPE)
        if content_type is not None:
            named["datacontenttype"] = _decoded(content_type)
        return named

    @property
    def ttl(self) -> int | None:
        """How often the event may still enter a broker; nothing when it says nothing that can be read."""
        value = self.value(TTL_HEADER)
        return int(value) if value is not None and value.isdigit() and len(value) < 10 else None


def is_event(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request or an answer claims to be a CloudEvent."""
    return any(name == b"ce-specversion" or _is_structured(name, value) for name, value in headers)


def read_message(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Message:
    """Read an event from a request or an answer, in binary or structured mode.

    Args:
        headers: with names in lower case.
        body: the body.

    Raises:
        MalformedEvent: not one CloudEvent of version 1.0.
    """
    passed: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _PASSED or name.startswith(_PASSED_PREFIXES):
            passed.setdefault(name, value)
    content_type = passed.get(CONTENT_TYPE, b"")
    if _is_structured(CONTENT_TYPE, content_type):
        message = _from_structured(passed, content_type, body)
    else:
        message = Message(tuple(passed.items()), body)
    _check(dict(message.headers))
    return message


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


def _is_structured(name: bytes, value: bytes) -> bool:
    return name == CONTENT_TYPE and value[: len(_STRUCTURED)].lower() == _STRUCTURED


def _check(headers: Mapping[bytes, bytes]) -> None:
    version = headers.get(b"ce-specversion")
    if version != b"1.0":
        raise MalformedEvent(f"not a CloudEvent: expected specversion 1.0, was {_shown(version)}")
    for name in _REQUIRED:
        if not headers.get(name):
            raise MalformedEvent(f"not a CloudEvent: {name[3:].decode()} is missing")
    for name, value in headers.items():
        if name.startswith(b"ce-") and _ATTRIBUTE_HEADER.fullmatch(name) is None:
            raise MalformedEvent(f"not a CloudEvent: {_shown(name)} is not the name of an attribute")
        if _HEADER_VALUE.fullmatch(value) is None:
            raise MalformedEvent(f"not a CloudEvent: {_shown(name)} has a character that no header can carry")
    _check_time(headers.get(b"ce-time"))


def _check_time(value: bytes | None) -> None:
    if value is None:
        return
    try:
        time = msgspec.convert(_decoded(value), datetime)
    except msgspec.ValidationError:
        time = None
    if time is None or time.tzinfo is None:
        raise MalformedEvent(f"not a CloudEvent: time is not an RFC 3339 timestamp, was {_shown(value)}")


def _from_structured(headers: Mapping[bytes, bytes], content_type: bytes, body: bytes) -> Message:
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type != b"application/cloudevents+json":
        raise MalformedEvent(f"expected one event in JSON or in binary mode, was {_shown(media_type)}")
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        data = _data(fields)
        attributes = {name: _text(raw) for name, raw in fields.items() if name not in ("data", "data_base64")}
    except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEvent(f"not a CloudEvent: {error}") from error
    kept = {name: value for name, value in headers.items() if not name.startswith(b"ce-") and name != CONTENT_TYPE}
    for name, text in attributes.items():
        if text is None:
            continue
        if _ATTRIBUTE_NAME.fullmatch(name) is None:
            raise MalformedEvent(f"not a CloudEvent: {_shown(name.encode())} is not the name of an attribute")
        header = CONTENT_TYPE if name == "datacontenttype" else b"ce-" + name.encode()
        kept[header] = text.encode() if header == CONTENT_TYPE else quote(text, safe=_UNCODED).encode()
    if data is not None and CONTENT_TYPE not in kept and "data" in fields:
        kept[CONTENT_TYPE] = _JSON.encode()
    return Message(tuple(kept.items()), data or b"")


def _data(fields: Mapping[str, msgspec.Raw]) -> bytes | None:
    """Return the data of a structured event as the bytes that its content type promises."""
    if "data_base64" in fields:
        return base64.b64decode(msgspec.json.decode(fields["data_base64"], type=str), validate=True)
    if "data" not in fields:
        return None
    raw = bytes(fields["data"]).strip()
    content_type = msgspec.json.decode(fields["datacontenttype"], type=str) if "datacontenttype" in fields else _JSON
    if raw.startswith(b'"') and _JSON_TYPE.fullmatch(content_type) is None:
        return msgspec.json.decode(raw, type=str).encode()
    return raw


def _text(raw: msgspec.Raw) -> str | None:
    """Return an attribute in its canonical text; nothing for null."""
    value = msgspec.json.decode(raw, type=str | bool | int | None)
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _decoded(value: bytes) -> str:
    """Return the value of an attribute's header: quotes removed, percent-coding resolved."""
    text = value.decode("utf-8", "surrogateescape")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    return unquote(text) if "%" in text else text


def _shown(value: bytes | None) -> str:
    return "nothing" if value is None else repr(value[:80].decode("utf-8", "replace"))
