"""Hands events to the sink over kept-alive connections, and says what its answer means for the messages."""

import asyncio
import json
import ssl
from dataclasses import replace
from enum import Enum
from typing import Final, NamedTuple

import httpcore

from common.errors import ConfigurationError
from common.events.envelope import Event, to_http

_CONNECT_S: Final = 5.0
_SHOWN_BYTES: Final = 200
_SUCCESS: Final = range(200, 300)
_CLIENT_ERRORS: Final = range(400, 500)
# What Knative retries, and what speaks of the sink's address or of permissions: no message is at fault.
_NOT_THE_MESSAGE: Final = frozenset({401, 403, 404, 405, 407, 408, 409, 421, 425, 426, 429})


class Outcome(Enum):
    """What became of an event."""

    TAKEN = "taken"
    REFUSED = "refused"  # it can never be processed
    FAILED = "failed"  # it may be taken later


class Answer(NamedTuple):
    """The sink's answer: what it means, and its status or the error that came instead."""

    outcome: Outcome
    detail: str


def outcome_of(status: int) -> Outcome:
    """Return what a status means (the retry table of Knative, research/knative.md §3.3)."""
    if status in _SUCCESS:
        return Outcome.TAKEN
    if status in _CLIENT_ERRORS and status not in _NOT_THE_MESSAGE:
        return Outcome.REFUSED
    return Outcome.FAILED


def overrides_of(setting: str | None) -> dict[str, str]:
    """Return the extension attributes that ``K_CE_OVERRIDES`` adds to every event.

    Raises:
        ConfigurationError: it is not a JSON object with extensions.
    """
    if not setting:
        return {}
    try:
        extensions = json.loads(setting).get("extensions") or {}
        return {str(name): str(value) for name, value in extensions.items()}
    except (ValueError, AttributeError) as error:
        raise ConfigurationError("K_CE_OVERRIDES: expected a JSON object with extensions") from error


def _trusting(authorities: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=authorities)
    except ssl.SSLError as error:
        raise ConfigurationError("K_CA_CERTS: expected certificates in PEM") from error


class Sink:
    """Posts events to one URL.

    Args:
        url: ``K_SINK``.
        timeout_s: how long an answer may take.
        connections: how many are kept.
        overrides: extension attributes that every event gets.
        authorities: certificates in PEM that an https sink is checked against (``K_CA_CERTS``); the usual ones
            without it.

    Raises:
        ConfigurationError: the URL or the certificates cannot be used.
    """

    def __init__(
        self, url: str, *, timeout_s: float, connections: int, overrides: dict[str, str], authorities: str | None = None
    ) -> None:
        self._url = httpcore.URL(url)
        if self._url.scheme not in {b"http", b"https"} or not self._url.host:
            raise ConfigurationError(f"K_SINK: expected an address such as http://host/path, was {url!r}")
        self._timeout_s = timeout_s
        self._overrides = overrides
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trusting(authorities) if authorities else None,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=60.0,
        )
        waits = dict.fromkeys(("read", "write", "pool"), timeout_s)
        self._extensions = {"timeout": {**waits, "connect": min(_CONNECT_S, timeout_s)}}

    async def post(self, event: Event) -> Answer:
        """Send one event and return what became of it; never raises for the sink's faults."""
        if self._overrides:
            event = replace(event, extensions={**event.extensions, **self._overrides})
        headers, body = to_http(event)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._pool.request(
                    "POST", self._url, headers=list(headers.items()), content=body, extensions=self._extensions
                )
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(Outcome.FAILED, f"no answer within {self._timeout_s:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            return Answer(Outcome.FAILED, f"{type(error).__name__}: {error}".rstrip(": "))
        outcome = outcome_of(response.status)
        shown = "" if outcome is Outcome.TAKEN else response.content[:_SHOWN_BYTES].decode("utf-8", "replace")
        return Answer(outcome, f"{response.status} {shown}".strip())

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()
