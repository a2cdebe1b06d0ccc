"""The CloudEvent as the code sees it, and its HTTP binary mode. The SDK stays behind this module.

Two things the SDK leaves to its user are done here: the data stays bytes (its content type is never guessed at), and
attribute values are percent-coded in headers, as the HTTP binding of the specification demands.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from cloudevents.conversion import to_binary
from cloudevents.exceptions import GenericException
from cloudevents.http import CloudEvent
from cloudevents.http import from_http as sdk_from_http

from common.errors import MalformedEvent
from common.times import parse_instant, to_iso

_STRUCTURED: Final = "application/cloudevents"
# Characters that stand for themselves in a header (printable ASCII without space, quote and percent).
_UNCODED: Final = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_CORE: Final = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"})

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent, version 1.0.

    Attributes:
        type: what happened, ``io.petrosa.<area>.<what>.v1`` for our own.
        source: URI path of whoever emitted it.
        id: unique within the source; deterministic where the same cause must not act twice.
        subject: the symbol or dataset, when there is one.
        time_ms: when it happened.
        datacontenttype: media type of ``data``.
        data: the payload, untouched.
        extensions: further attributes, all as text.
    """

    type: str
    source: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    subject: str | None = None
    time_ms: int | None = None
    datacontenttype: str | None = None
    data: bytes = b""
    extensions: Mapping[str, str] = field(default_factory=dict)

    def extension(self, name: str) -> str | None:
        """Return the value of an extension attribute, or nothing."""
        return self.extensions.get(name)

    @property
    def attributes(self) -> dict[str, str]:
        """All attributes by their name on the wire: what filters match on."""
        named = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": None if self.time_ms is None else to_iso(self.time_ms),
            "datacontenttype": self.datacontenttype,
            **self.extensions,
        }
        return {name: value for name, value in named.items() if value is not None}


def from_http(headers: Mapping[str, str], body: bytes) -> Event:
    """Read an event from a request, in binary or structured mode.

    Args:
        headers: with names in lower case.
        body: the request's body.

    Raises:
        MalformedEvent: not a CloudEvent 1.0, or a batch.
    """
    content_type = headers.get("content-type", "")
    if content_type.lower().startswith("application/cloudevents-batch"):
        raise MalformedEvent("a batch of events is not accepted: send one event per request")
    try:
        if content_type.lower().startswith(_STRUCTURED):
            decoded, is_dated = dict(headers), "time" in json.loads(body)
        else:
            decoded, is_dated = _decoded(headers), "ce-time" in headers
        event = sdk_from_http(decoded, body, data_unmarshaller=_as_is)
    except (GenericException, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedEvent(f"not a CloudEvent: {_reason(error)}") from error
    return _from_sdk(event, is_dated=is_dated)


def to_http(event: Event) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of ``event`` in binary mode."""
    sdk_headers, body = to_binary(CloudEvent(event.attributes, event.data), data_marshaller=_as_is)
    if event.time_ms is None:
        sdk_headers.pop("ce-time")  # the SDK dates what has no date
    headers = {
        name: quote(value, safe=_UNCODED) if name.startswith("ce-") else value for name, value in sdk_headers.items()
    }
    return headers, body or b""


def _from_sdk(event: CloudEvent, *, is_dated: bool) -> Event:
    attributes = {name: str(value) for name, value in event.get_attributes().items() if value is not None}
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise MalformedEvent(f"not a CloudEvent: {name} is empty")
    data = event.get_data()
    return Event(
        type=attributes["type"],
        source=attributes["source"],
        id=attributes["id"],
        subject=attributes.get("subject"),
        time_ms=_instant(attributes["time"]) if is_dated else None,  # the SDK dates what has no date
        datacontenttype=attributes.get("datacontenttype"),
        data=_data_bytes(data),
        extensions={name: value for name, value in attributes.items() if name not in _CORE},
    )


def _data_bytes(data: object) -> bytes:
    if data is None:
        return b""
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    return json.dumps(data, separators=(",", ":")).encode()


def _instant(text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise MalformedEvent("not a CloudEvent: time is not an RFC 3339 timestamp") from error


def _decoded(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: _unquoted(value) if name.startswith("ce-") else value for name, value in headers.items()}


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return unquote_to_bytes(value).decode("utf-8") if "%" in value else value


def _as_is(data: object) -> object:
    return data


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
