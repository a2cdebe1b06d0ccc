"""What kind of message this is, and for which symbol, read with a partial decode: the bridge asks for each message.

The rules are those of design.md, "Kinds of messages": the event name first, then the stream's name after the first
``@``. A message that is no JSON object, or has no event name at all, can never be processed and gets a reason.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from common.models.dead_letters import Reason
from common.models.families import FAMILIES
from common.symbols import is_symbol

MAX_NAME: Final = 40

_EVENT_KINDS: Final = {event: spec.kind for spec in FAMILIES.values() for event in spec.events}
_STREAM_KINDS: Final = {stream: spec.kind for spec in FAMILIES.values() for stream in spec.streams}
_STREAMS_OF_ANY_END: Final = {stream[:-1]: kind for stream, kind in _STREAM_KINDS.items() if stream.endswith("*")}


class _Inner(msgspec.Struct, gc=False):
    e: str | None = None
    s: str | None = None
    last_update_id: int | None = msgspec.field(default=None, name="lastUpdateId")


class _Head(msgspec.Struct, gc=False):
    data: _Inner | msgspec.UnsetType = msgspec.UNSET
    stream: str | None = None
    e: str | None = None
    s: str | None = None
    last_update_id: int | None = msgspec.field(default=None, name="lastUpdateId")


_decode: Final = msgspec.json.Decoder(_Head).decode


class Classified(NamedTuple):
    """The answer: a kind that is handled, the name of one that is not, or a reason why this is no event.

    Attributes:
        kind: one of ``MARKET_KINDS``, or the lower-case name of an event kind that is not handled.
        symbol: the pair, when the event names a valid one.
        reason: set when the message can never be processed.
        detail: what was expected instead.
        field: the field at fault.
    """

    kind: str
    symbol: str | None = None
    reason: Reason | None = None
    detail: str | None = None
    field: str | None = None


def classify(raw: bytes) -> Classified:
    """Tell the kind and the symbol of one message in any of the three envelope forms."""
    try:
        head = _decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        reason, field, detail = explain(error, raw)
        return Classified("unknown", None, reason, detail, field)
    event = head if head.data is msgspec.UNSET else head.data
    if event.e is not None:
        kind = _EVENT_KINDS.get(event.e) or _named(event.e)
        if kind in _KINDS:
            return Classified(kind, _valid(event.s))
    else:
        kind = None
    by_stream = _stream_kind(head.stream) if head.stream else None
    if by_stream in _KINDS or (kind is None and by_stream):
        return Classified(by_stream or "", _valid(event.s) or _stream_symbol(head.stream))
    if kind is None and event.last_update_id is not None:
        return Classified("depth", _valid(event.s))
    if kind is None:
        return Classified("unknown", None, Reason.MISSING_FIELD, "expected an event name (e) or a stream name", "e")
    return Classified(kind, _valid(event.s))


_KINDS: Final = frozenset(_EVENT_KINDS.values())


@lru_cache(maxsize=4096)
def _valid(symbol: str | None) -> str | None:
    if symbol is None:
        return None
    upper = symbol.upper()
    return upper if is_symbol(upper) else None


@lru_cache(maxsize=1024)
def _named(event_name: str) -> str:
    lowered = event_name.lower()[:MAX_NAME]
    return _EVENT_KINDS.get(lowered, lowered)


@lru_cache(maxsize=1024)
def _stream_kind(stream: str) -> str | None:
    _, separator, rest = stream.lower().partition("@")
    if not separator:
        return None
    name = rest.partition("@")[0].partition("_")[0]
    for beginning, kind in _STREAMS_OF_ANY_END.items():
        if name.startswith(beginning):
            return kind
    return _STREAM_KINDS.get(name, name[:MAX_NAME] or None)


def _stream_symbol(stream: str | None) -> str | None:
    return _valid(stream.partition("@")[0]) if stream and "@" in stream else None


def explain(error: Exception, raw: bytes) -> tuple[Reason, str | None, str]:
    """Return reason, field and detail of a message that did not decode."""
    if isinstance(error, RecursionError):
        return Reason.TOO_DEEP, None, "expected JSON of ordinary depth, was nested too deeply"
    if isinstance(error, msgspec.ValidationError):
        return _explain_validation(str(error))
    if isinstance(error, UnicodeDecodeError) or not _is_utf8(raw):
        return Reason.NOT_UTF8, None, "expected UTF-8 text"
    return Reason.NOT_JSON, None, f"expected one JSON object: {error}"


def _explain_validation(text: str) -> tuple[Reason, str | None, str]:
    message, _, path = text.partition(" - at `")
    field = path.rstrip("`").removeprefix("$.") or None
    if "missing required field" in message:
        name = message.rpartition("`")[0].rpartition("`")[2]
        field = f"{field}.{name}" if field and field != "$" else name
        return Reason.MISSING_FIELD, field, message
    if message.startswith("Expected `object`") and field in {None, "$", "data"}:
        return Reason.NOT_AN_OBJECT, None if field == "$" else field, message
    reason = Reason.WRONG_TYPE if ", got `" in message else Reason.INVALID_VALUE
    return reason, field, message


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
