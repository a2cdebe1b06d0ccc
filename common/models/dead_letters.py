"""What could not be processed, kept with the reason: the dead letters that operators read."""

import hashlib
from enum import StrEnum
from typing import Final, NamedTuple

EXCERPT_BYTES: Final = 512
PAYLOAD_BYTES: Final = 1024 * 1024
DEAD_LETTERS: Final = "dead_letters"  # the dataset that they form


class Reason(StrEnum):
    """Why something became a dead letter."""

    NOT_JSON = "not_json"
    NOT_UTF8 = "not_utf8"
    NOT_AN_OBJECT = "not_an_object"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    INVALID_VALUE = "invalid_value"
    INVALID_SYMBOL = "invalid_symbol"
    IMPLAUSIBLE_TIME = "implausible_time"
    REFUSED = "refused"  # the function answered that it can never process the event
    EXHAUSTED = "exhausted"  # every delivery attempt failed


class DeadLetter(NamedTuple):
    """One message or event that will not be tried again. Key: ``dead_letter_id``.

    Attributes:
        dead_letter_id: digest of what it is and why it failed: a redelivery is the same dead letter.
        time_ms: when it was set aside.
        kind: market kind (``trade`` …) or, for a whole event, the event's type.
        reason: why.
        field: the field at fault, dotted, when there is one.
        detail: what was expected and what was found.
        symbol: when it could still be read.
        origin: the part that set it aside: ``bridge``, ``ingest``, ``broker``.
        excerpt: beginning of the payload, as text.
        event_id: id of the event it came in.
        size_bytes: length of the whole payload.
        attributes: those of the event that delivers it once more, as JSON text; None when it fits into none. The id
            is missing where it is ``dead_letter_id``.
        payload: the data of that event, whole; None above ``PAYLOAD_BYTES``. Lists of dead letters do without it.
        destination: the address to which a whole event could not be delivered; None for a message, which goes to
            whoever subscribes to its type.
    """

    dead_letter_id: str
    time_ms: int
    kind: str
    reason: Reason
    field: str | None
    detail: str
    symbol: str | None
    origin: str
    excerpt: str
    event_id: str | None
    size_bytes: int
    attributes: str | None = None
    payload: bytes | None = None
    destination: str | None = None


def dead_letter(
    payload: bytes,
    *,
    time_ms: int,
    kind: str,
    reason: Reason,
    detail: str,
    origin: str,
    field: str | None = None,
    symbol: str | None = None,
    event_id: str | None = None,
    attributes: str | None = None,
    destination: str | None = None,
) -> DeadLetter:
    """Return the dead letter of ``payload``; the same payload, kind and reason always give the same id."""
    digest = hashlib.blake2b(payload, digest_size=16, person=b"dead-letter")
    digest.update(f"\0{kind}\0{reason}".encode())
    return DeadLetter(
        dead_letter_id=digest.hexdigest(),
        time_ms=time_ms,
        kind=kind,
        reason=reason,
        field=field,
        detail=detail[:300],
        symbol=symbol,
        origin=origin,
        excerpt=excerpt_of(payload),
        event_id=event_id,
        size_bytes=len(payload),
        attributes=attributes,
        payload=payload if len(payload) <= PAYLOAD_BYTES else None,
        destination=destination,
    )


def excerpt_of(payload: bytes) -> str:
    """Return the beginning of ``payload`` as printable text; bytes that are not UTF-8 are shown escaped."""
    text = payload[:EXCERPT_BYTES].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    return text if len(payload) <= EXCERPT_BYTES else f"{text}…"
