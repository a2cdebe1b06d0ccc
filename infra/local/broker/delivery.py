"""Delivery of one event to one address, by Knative's rules: what counts as success, what is tried again and when.

Success is a 2xx answer with an empty body or a CloudEvent. Tried again: no answer, 5xx, 404, 408, 409, 429, and a 2xx
answer with a body that is no CloudEvent (counted as 502). Everything else goes to the dead-letter sink at once.
"""

import asyncio
import base64
import logging
from dataclasses import dataclass
from typing import Final, NamedTuple

import httpcore
import msgspec

from common.errors import MalformedEvent
from common.events.envelope import from_http
from infra.local.manifests import Delivery

log = logging.getLogger(__name__)

NO_ANSWER: Final = 0
_BAD_GATEWAY: Final = 502
_RETRIED: Final = frozenset({404, 408, 409, 429})
# The platform's own bound on a request without a timeout of its own.
_LONGEST_REQUEST_S: Final = 600.0
_CONNECT_S: Final = 5.0
_KEPT_RESPONSE_BYTES: Final = 1024
_EVENT_HEADERS: Final = ("content-type", "traceparent")


class Answer(NamedTuple):
    """What came back. ``status`` 0 stands for no answer at all."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Tell whether the event was taken."""
        return 200 <= self.status < 300

    @property
    def is_retried(self) -> bool:
        """Tell whether Knative would send the event again."""
        return self.status == NO_ANSWER or self.status >= 500 or self.status in _RETRIED

    @property
    def reply(self) -> tuple[dict[str, str], bytes] | None:
        """Return the event that the answer carries."""
        return (event_headers(self.headers), self.body) if self.body else None


class Poster:
    """Sends events over kept-alive connections."""

    def __init__(self, namespace: str) -> None:
        self._fixed = {"prefer": "reply", "kn-namespace": namespace}
        self._pool = httpcore.AsyncConnectionPool(max_connections=256, max_keepalive_connections=64)

    async def send(self, url: str, headers: dict[str, str], body: bytes, *, timeout_s: float | None) -> Answer:
        """Send one event once; a fault of the network is an answer of status 0."""
        longest = timeout_s or _LONGEST_REQUEST_S
        timeout = {"connect": min(_CONNECT_S, longest), "read": longest, "write": longest, "pool": longest}
        sent = list({**headers, **self._fixed}.items())
        try:
            async with asyncio.timeout(longest):
                response = await self._pool.request(
                    "POST", url, headers=sent, content=body, extensions={"timeout": timeout}
                )
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, TimeoutError) as error:
            return Answer(NO_ANSWER, {}, type(error).__name__.encode())
        received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return _judged(Answer(response.status, received, response.content))

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


def _judged(answer: Answer) -> Answer:
    if not answer.is_success or not answer.body:
        return answer
    try:
        from_http(answer.headers, answer.body)
    except MalformedEvent:
        return Answer(_BAD_GATEWAY, {}, b"")
    return answer


def event_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that belong to an event, without those of the connection."""
    return {name: value for name, value in headers.items() if name.startswith("ce-") or name in _EVENT_HEADERS}


@dataclass(frozen=True, slots=True)
class RetryTable:
    """When to try again.

    ``exponential`` waits delay × 2ⁿ before retry n = 0, 1, …; ``linear`` waits delay × n, so its first is immediate.
    """

    delivery: Delivery

    def wait_s(self, retry: int) -> float | None:
        """Return the wait before the retry of this number, or nothing when there is none left."""
        if retry >= self.delivery.retry:
            return None
        if self.delivery.policy == "linear":
            return self.delivery.delay_s * retry
        return float(self.delivery.delay_s * 2**retry)


def dead_letter_attributes(answer: Answer, *, trigger_url: str, destination: str) -> dict[str, str]:
    """Return the headers that a dead letter carries besides its own."""
    response = base64.b64encode(answer.body[:_KEPT_RESPONSE_BYTES]).decode()
    data = msgspec.json.encode({"errdestination": destination, "errresponsebody": response})
    code = "500" if answer.status == NO_ANSWER else str(answer.status)
    return {
        "ce-knativeerrordest": trigger_url,
        "ce-knativeerrorcode": code,
        "ce-knativeerrordata": base64.b64encode(data).decode(),
    }
