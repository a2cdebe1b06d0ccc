"""Events that the Broker could not deliver: which function refused them, with which status and words.

The Broker adds ``knativeerrordest``, ``knativeerrorcode`` and ``knativeerrordata`` to an event when it gives it up.
The data is JSON in base64, in which the answer's body is base64 once more and the function's address stands; other
brokers put the answer's body there, or nothing. All of it is read as far as it goes: an event is never refused here.
"""

import binascii
import hashlib
import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from common.events.envelope import Event
from common.events.redelivery import attributes_of_event
from common.events.statuses import is_retried
from common.models.dead_letters import DeadLetter, Reason, dead_letter
from common.symbols import is_symbol

DESTINATION: Final = "knativeerrordest"
CODE: Final = "knativeerrorcode"
DATA: Final = "knativeerrordata"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an event was given up.

    Attributes:
        code: status of the last answer; None when there was no answer.
        destination: address of the function, as far as it is known.
        field: the field at fault, when the function named one.
        text: what the function answered.
    """

    code: int | None
    destination: str
    field: str | None
    text: str

    @property
    def reason(self) -> Reason:
        """Whether the function refused the event, or the attempts ran out."""
        refused = self.code is not None and 400 <= self.code < 500 and not is_retried(self.code)
        return Reason.REFUSED if refused else Reason.EXHAUSTED

    @property
    def detail(self) -> str:
        """One line for the operator."""
        function = _host(self.destination) or "the subscriber"
        answer = "did not answer" if self.code is None else f"answered {self.code}"
        return f"{function} {answer}: {self.text}" if self.text else f"{function} {answer}"


def undelivered_letter(event: Event, *, time_ms: int) -> DeadLetter:
    """Return the dead letter of a whole event.

    Its key is the event's identity, the function that failed and the reason: an event that two functions refused is
    two dead letters, one that is delivered here twice is one.

    Args:
        event: as the Broker handed it over.
        time_ms: the present.
    """
    failure = failure_of(event)
    letter = dead_letter(
        event.data,
        time_ms=time_ms,
        kind=event.type,
        reason=failure.reason,
        field=failure.field,
        detail=failure.detail,
        symbol=event.subject if event.subject is not None and is_symbol(event.subject) else None,
        origin="broker",
        event_id=event.id,
        attributes=attributes_of_event(event),
        destination=failure.destination or None,
    )
    return letter._replace(dead_letter_id=_identity(event, failure))


def failure_of(event: Event) -> Failure:
    """Read what the Broker says about an event that it gave up."""
    body, destination = _answer(event.extension(DATA) or "")
    field, text = _explanation(body)
    return Failure(
        code=_code(event.extension(CODE)),
        destination=destination or event.extension(DESTINATION) or "",
        field=field,
        text=text,
    )


def _identity(event: Event, failure: Failure) -> str:
    # The data too: a stream that was made anew numbers its messages, and so the events made of them, from the start.
    parts = (event.source, event.id, event.type, failure.destination, failure.reason)
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=16, person=b"dead-letter")
    digest.update(event.data)
    return digest.hexdigest()


def _host(address: str) -> str:
    try:
        return urlsplit(address).netloc or address
    except ValueError:
        return address


def _code(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) == 3 else None


def _answer(data: str) -> tuple[str, str]:
    """Return the body of the function's answer and the function's address, as far as ``data`` has them."""
    text = _from_base64(data)
    wrapped = _json_object(text)
    if "errresponsebody" not in wrapped and "errdestination" not in wrapped:
        return text, ""
    return _from_base64(str(wrapped.get("errresponsebody", ""))), str(wrapped.get("errdestination", ""))


def _explanation(body: str) -> tuple[str | None, str]:
    """Return field and words of an answer; our functions answer ``{"error", "detail", "field"}``."""
    answer = _json_object(body)
    if not isinstance(answer.get("detail"), str):
        return None, " ".join(body.split())
    field = answer.get("field")
    return field if isinstance(field, str) else None, str(answer["detail"])


def _from_base64(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode("utf-8", "backslashreplace")
    except (binascii.Error, ValueError):
        return text


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
