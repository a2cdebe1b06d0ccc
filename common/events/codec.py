"""CloudEvents 1.0 over HTTP, for whoever sends, takes or passes them on: attributes in headers, data as it came.

The values of attributes are percent-coded in headers, as the HTTP binding of the specification demands. An event in
structured mode becomes one in binary mode. Data is never parsed, so that a number keeps its digits.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from common.errors import MalformedEvent

Headers = tuple[tuple[bytes, bytes], ...]

CONTENT_TYPE: Final = b"content-type"
CORE_ATTRIBUTES: Final = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"}
)
_PREFIX: Final = b"ce-"
_STRUCTURED: Final = b"application/cloudevents"
_JSON: Final = "application/json"
_REQUIRED: Final = (b"ce-id", b"ce-source", b"ce-type")
_ATTRIBUTE_NAME: Final = re.compile(r"[a-z0-9]+")
# What HTTP allows as the value of a header.
_HEADER_VALUE: Final = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
# Characters that stand for themselves in a header: printable ASCII without blank, quote and percent.
_UNCODED: Final = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_JSON_TYPE: Final = re.compile(r"[^/;\s]+/([^;\s]+\+)?json\s*(;.*)?", re.IGNORECASE)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def is_event(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request or an answer claims to be a CloudEvent."""
    return any(name == b"ce-specversion" or _is_structured(name, value) for name, value in headers)


def is_attribute_name(text: str) -> bool:
    """Tell whether an attribute may have this name."""
    return _ATTRIBUTE_NAME.fullmatch(text) is not None


def in_binary_mode(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> tuple[Headers, bytes]:
    """Return an event's headers and body in binary mode; one that came so is returned as it is.

    Args:
        headers: of a request or an answer, with names in lower case; of one that comes twice the first counts.
        body: its body.

    Raises:
        MalformedEvent: not one CloudEvent of version 1.0.
    """
    first: dict[bytes, bytes] = {}
    for name, value in headers:
        first.setdefault(name, value)
    if _is_structured(CONTENT_TYPE, first.get(CONTENT_TYPE, b"")):
        first, body = _from_structured(first, body)
    _check(first)
    return tuple(first.items()), body


def attributes_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the attributes that stand in the headers of binary mode, decoded; ``datacontenttype`` among them.

    Raises:
        MalformedEvent: a value is not UTF-8.
    """
    named = {name[3:].decode("ascii"): _decoded(value) for name, value in headers if name.startswith(_PREFIX)}
    content_type = next((value for name, value in headers if name == CONTENT_TYPE), None)
    return named if content_type is None else named | {"datacontenttype": _decoded(content_type)}


def headers_of(attributes: Mapping[str, str]) -> Headers:
    """Return the headers of binary mode that carry these attributes; inverse of ``attributes_of``."""
    return tuple(map(_header, attributes.items()))


def instant_ms(text: str) -> int:
    """Return an RFC 3339 timestamp in milliseconds since the epoch.

    Raises:
        MalformedEvent: the text is none.
    """
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise MalformedEvent(f"not a CloudEvent: time is not an RFC 3339 timestamp, was {text[:80]!r}")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _header(attribute: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = attribute
    if name == "datacontenttype":
        return CONTENT_TYPE, value.encode()
    return _PREFIX + name.encode(), quote(value, safe=_UNCODED).encode()


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
        if name.startswith(_PREFIX):
            _check_name(name[3:].decode("latin-1"))
        elif name != CONTENT_TYPE:
            continue
        if _HEADER_VALUE.fullmatch(value) is None:
            raise MalformedEvent(f"not a CloudEvent: {_shown(name)} has a character that no header can carry")
    if b"ce-time" in headers:
        instant_ms(_decoded(headers[b"ce-time"]))


def _check_name(name: str) -> None:
    if not is_attribute_name(name):
        raise MalformedEvent(f"not a CloudEvent: {name[:80]!r} is not the name of an attribute")


def _from_structured(headers: Mapping[bytes, bytes], body: bytes) -> tuple[dict[bytes, bytes], bytes]:
    media_type = headers[CONTENT_TYPE].partition(b";")[0].strip().lower()
    if media_type != b"application/cloudevents+json":
        raise MalformedEvent(f"expected one event in JSON or in binary mode, was {_shown(media_type)}")
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        data = _data(fields)
        texts = {name: _text(raw) for name, raw in fields.items() if name not in ("data", "data_base64")}
    except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEvent(f"not a CloudEvent: {error}") from error
    for name in texts:
        _check_name(name)
    attributes = {name: text for name, text in texts.items() if text is not None}
    if "data" in fields:
        attributes.setdefault("datacontenttype", _JSON)
    others = {name: value for name, value in headers.items() if name != CONTENT_TYPE and not name.startswith(_PREFIX)}
    return {**others, **dict(headers_of(attributes))}, data


def _data(fields: Mapping[str, msgspec.Raw]) -> bytes:
    """Return the data of a structured event as the bytes that its content type promises."""
    if "data_base64" in fields:
        return base64.b64decode(msgspec.json.decode(fields["data_base64"], type=str), validate=True)
    if "data" not in fields:
        return b""
    raw = bytes(fields["data"]).strip()
    content_type = msgspec.json.decode(fields["datacontenttype"], type=str) if "datacontenttype" in fields else _JSON
    if raw.startswith(b'"') and _JSON_TYPE.fullmatch(content_type) is None:
        return msgspec.json.decode(raw, type=str).encode()
    return raw


def _text(raw: msgspec.Raw) -> str | None:
    """Return an attribute in its canonical text; None for null."""
    value = msgspec.json.decode(raw, type=str | bool | int | None)
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _decoded(value: bytes) -> str:
    """Return the value of an attribute's header: quotes removed, percent-coding resolved."""
    if len(value) >= 2 and value[0] == value[-1] == ord('"'):
        value = re.sub(rb"\\(.)", rb"\1", value[1:-1])
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError as error:
        raise MalformedEvent(f"not a CloudEvent: {_shown(value)} is not UTF-8") from error


def _shown(value: bytes | None) -> str:
    return "nothing" if value is None else repr(value[:80].decode("utf-8", "replace"))
