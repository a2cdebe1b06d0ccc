"""The CloudEvent as the code sees it: typed attributes, and data that stay bytes."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from common.events.codec import attributes_of, headers_of, in_binary_mode, instant_ms
from common.times import to_iso

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
    attributes = attributes_of(binary)
    del attributes["specversion"]
    time = attributes.pop("time", None)
    return Event(
        type=attributes.pop("type"),
        source=attributes.pop("source"),
        id=attributes.pop("id"),
        subject=attributes.pop("subject", None),
        time_ms=None if time is None else instant_ms(time),
        datacontenttype=attributes.pop("datacontenttype", None),
        data=data,
        extensions=attributes,
    )


def to_http(event: Event) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of ``event`` in binary mode."""
    return {name.decode(): value.decode() for name, value in headers_of(event.attributes)}, event.data
