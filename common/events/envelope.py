"""The CloudEvent as the code sees it: typed attributes, and data that stay bytes. The SDK stays behind this module.

Two things the SDK leaves to its user are done by the codec: the data stays bytes (its content type is never guessed
at), and attribute values are percent-coded in headers.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cloudevents.conversion import to_binary
from cloudevents.exceptions import GenericException
from cloudevents.http import CloudEvent
from cloudevents.http import from_http as sdk_from_http

from common.errors import MalformedEvent
from common.events.codec import CORE_ATTRIBUTES, attributes_of, headers_of, in_binary_mode, instant_ms
from common.times import to_iso

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"

_CONTENT_TYPE: Final = "content-type"
_DATA_CONTENT_TYPE: Final = "datacontenttype"


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
        """Return the value of an extension attribute, or None."""
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
        headers: with names in lower case, a character a byte as HTTP libraries give them.
        body: the request's body.

    Raises:
        MalformedEvent: not one CloudEvent of version 1.0.
    """
    raw = ((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())
    binary, data = in_binary_mode(raw, body)
    given = attributes_of(binary)
    try:
        event = sdk_from_http(_as_sdk_headers(given), data, data_unmarshaller=_as_is)
    except (GenericException, ValueError) as error:
        raise MalformedEvent(f"not a CloudEvent: {error}") from error
    attributes = {name: str(value) for name, value in event.get_attributes().items() if value is not None}
    time = attributes.pop("time", None) if "time" in given else None  # the SDK dates what has no date
    return Event(
        type=attributes["type"],
        source=attributes["source"],
        id=attributes["id"],
        subject=attributes.get("subject"),
        time_ms=None if time is None else instant_ms(time),
        datacontenttype=attributes.get("datacontenttype"),
        data=data,
        extensions={name: value for name, value in attributes.items() if name not in CORE_ATTRIBUTES},
    )


def to_http(event: Event) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of ``event`` in binary mode."""
    headers, body = to_binary(CloudEvent(event.attributes, event.data), data_marshaller=_as_is)
    if event.time_ms is None:
        del headers["ce-time"]  # the SDK dates what has no date
    attributes = {
        _DATA_CONTENT_TYPE if name == _CONTENT_TYPE else name.removeprefix("ce-"): value
        for name, value in headers.items()
    }
    return {name.decode(): value.decode() for name, value in headers_of(attributes)}, body or b""


def _as_sdk_headers(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return attributes as the headers that the SDK reads: as they are, not percent-coded."""
    return {_CONTENT_TYPE if name == _DATA_CONTENT_TYPE else f"ce-{name}": value for name, value in attributes.items()}


def _as_is(data: object) -> object:
    return data
