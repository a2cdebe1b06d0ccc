"""Knative's rules of delivery: what counts as success, what is tried again and when, what a dead letter says.

Success is a 2xx answer with an empty body or a CloudEvent. Tried again: no answer, what ``common.events.statuses``
names, and a 2xx answer with a body that is no CloudEvent (which counts as 502). Everything else goes to the dead-letter
sink at once.
"""

import base64
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec

from common.errors import MalformedEvent
from common.events.codec import Headers, headers_of, is_event
from common.events.statuses import is_retried, is_success
from infra.local.broker.message import Message, read_message
from infra.local.manifests.model import Delivery

NO_ANSWER: Final = 0
# The longest value of the attribute with the answer's body.
_ERROR_DATA_CHARACTERS: Final = 1024


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back for an event.

    Attributes:
        status: of the response; 0 when there was none, 502 when it was neither empty nor a CloudEvent.
        body: of the response, or why there was none.
        reply: the event that it carried.
    """

    status: int
    body: bytes = b""
    reply: Message | None = None

    @property
    def is_success(self) -> bool:
        """Tell whether the event was taken."""
        return is_success(self.status)

    @property
    def is_retried(self) -> bool:
        """Tell whether the event is sent again."""
        return self.status == NO_ANSWER or is_retried(self.status)


def judged(status: int, headers: Headers, body: bytes) -> Returned:
    """Return what a response means.

    Args:
        status: its status.
        headers: with names in lower case.
        body: its body.
    """
    if not is_success(status):
        return Returned(status, body)
    if not is_event(headers):
        return Returned(HTTPStatus.BAD_GATEWAY if body else status)
    try:
        return Returned(status, reply=read_message(headers, body))
    except MalformedEvent:
        return Returned(HTTPStatus.BAD_GATEWAY)


def no_answer(reason: str) -> Returned:
    """Return what it means that no response came."""
    return Returned(NO_ANSWER, f"dispatch error: {reason}".encode())


@dataclass(frozen=True, slots=True)
class RetryTable:
    """When to try again.

    ``exponential`` waits delay × 2ⁿ before retry n = 0, 1, …; ``linear`` waits delay × n, so its first is immediate.
    """

    delivery: Delivery

    def wait_s(self, retry: int) -> float | None:
        """Return the wait before the retry of this number, or None when there is none left."""
        return self.growing_wait_s(retry) if retry < self.delivery.retry else None

    def growing_wait_s(self, retry: int) -> float:
        """Return the wait before the retry of this number, however many are allowed."""
        factor = retry if self.delivery.policy == "linear" else 2.0 ** min(retry, 64)
        return self.delivery.delay_s * factor


def dead_letter(message: Message, answer: Returned, destination: str) -> Message:
    """Return an event as its dead-letter sink gets it: as it was, and why it was given up.

    Args:
        message: the event.
        answer: the last answer.
        destination: who gave that answer.
    """
    code = HTTPStatus.INTERNAL_SERVER_ERROR if answer.status == NO_ANSWER else answer.status
    letter = message.without_header(b"ce-knativeerrordata")  # of an earlier life as a dead letter
    for name, value in headers_of({"knativeerrordest": destination, "knativeerrorcode": str(int(code))}):
        letter = letter.with_header(name, value)
    return letter.with_header(b"ce-knativeerrordata", _error_data(answer.body, destination)) if answer.body else letter


def _error_data(body: bytes, destination: str) -> bytes:
    """Return the answer's body, wrapped with its destination, in base64; the body is cut so that the whole fits."""
    wrapper = len(msgspec.json.encode(_ErrorData(destination, "")))
    room = max(0, _ERROR_DATA_CHARACTERS // 4 * 3 - wrapper) // 4 * 3
    data = _ErrorData(destination, base64.b64encode(body[:room]).decode())
    return base64.b64encode(msgspec.json.encode(data))


class _ErrorData(msgspec.Struct):
    errdestination: str
    errresponsebody: str
