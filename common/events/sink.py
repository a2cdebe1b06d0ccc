"""Handing events to the sink that the platform injects: ``K_SINK``, ``K_CE_OVERRIDES``, ``K_CA_CERTS``."""

import asyncio
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from common.errors import ConfigurationError, SinkUnavailable
from common.events.codec import CORE_ATTRIBUTES, is_attribute_name
from common.events.envelope import Event, to_http
from common.events.statuses import Outcome, outcome_of
from common.settings import Settings
from common.telemetry.tracing import with_trace

if TYPE_CHECKING:
    import httpcore

CONNECTIONS: Final = 8
_CONNECT_S: Final = 5.0
# Longer than a pause between two batches, shorter than servers here keep a connection.
_KEEP_ALIVE_S: Final = 60.0
_SHOWN_BYTES: Final = 200


class SinkAnswer(NamedTuple):
    """The sink's answer: what it means, and its status or the error that came instead."""

    outcome: Outcome
    detail: str


class Sink:
    """Posts events to one URL over kept-alive connections. The HTTP client loads at the first event.

    Args:
        url: ``K_SINK``; without one every event fails.
        timeout_s: how long an answer may take.
        connections: how many are kept, and used at once.
        overrides: extension attributes that every event gets.
        authorities: certificates in PEM that an https sink is checked against; the usual ones without it.
        delivery_wait_s: how long the sink may wait for the delivery of an event before it answers; one that was
            delivered need not be kept. A sink that does not know such a wish answers as always. It is never more
            than half of ``timeout_s``: a sink that waited for longer would be taken for one that fails.

    Raises:
        ConfigurationError: the URL or the certificates cannot be used.
    """

    def __init__(
        self,
        url: str | None,
        *,
        timeout_s: float = 30.0,
        connections: int = CONNECTIONS,
        overrides: Mapping[str, str] | None = None,
        authorities: str | None = None,
        delivery_wait_s: int = 0,
    ) -> None:
        self._url = _checked(url) if url else None
        self._timeout_s = timeout_s
        self._connections = connections
        self._overrides = overrides or {}
        wait_s = min(delivery_wait_s, int(timeout_s / 2))
        self._wishes = {"prefer": f"wait={wait_s}"} if wait_s else {}
        self._trust = _trusting(authorities) if authorities else None
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def emit(self, event: Event) -> None:
        """Hand one event to the sink; returns when the sink has taken it.

        Raises:
            SinkUnavailable: no sink is set, it did not answer in time, or it answered anything but 2xx.
        """
        answer = await self.post(event)
        if answer.outcome is not Outcome.TAKEN:
            raise SinkUnavailable(f"the sink did not take {event.type}: {answer.detail}")

    async def emit_all(self, events: Iterable[Event]) -> None:
        """Hand events to the sink, a few at once; returns when all are taken.

        Raises:
            SinkUnavailable: at least one is not.
        """
        left = iter(events)
        senders = (self._emit_each(left) for _ in range(self._connections))
        for outcome in await asyncio.gather(*senders, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def post(self, event: Event) -> SinkAnswer:
        """Send one event, as a part of the current trace, and return what became of it."""
        if self._url is None:
            return SinkAnswer(Outcome.FAILED, "K_SINK is not set")
        event = with_trace(event)
        if self._overrides:
            event = replace(event, extensions={**event.extensions, **self._overrides})
        headers, body = to_http(event)
        return await self._answer(self._url, [*headers.items(), *self._wishes.items()], body)

    async def close(self) -> None:
        """Close the connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def _emit_each(self, events: Iterator[Event]) -> None:
        for event in events:
            await self.emit(event)

    async def _answer(self, url: str, headers: list[tuple[str, str]], body: bytes) -> SinkAnswer:
        import httpcore

        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    response = await self._request(url, headers, body)
                except (httpcore.NetworkError, httpcore.ProtocolError):
                    # A kept connection may have been closed just when it was used, by a sink that is well.
                    response = await self._request(url, headers, body)
        except (TimeoutError, httpcore.TimeoutException):
            return SinkAnswer(Outcome.FAILED, f"no answer within {self._timeout_s:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            return SinkAnswer(Outcome.FAILED, f"{type(error).__name__}: {error}".rstrip(": "))
        outcome = outcome_of(response.status)
        shown = "" if outcome is Outcome.TAKEN else response.content[:_SHOWN_BYTES].decode("utf-8", "replace")
        return SinkAnswer(outcome, f"{response.status} {shown}".strip())

    async def _request(self, url: str, headers: list[tuple[str, str]], body: bytes) -> "httpcore.Response":
        if self._pool is None:
            self._pool = self._new_pool()
        extensions = {"timeout": {"connect": min(_CONNECT_S, self._timeout_s)}}
        return await self._pool.request("POST", url, headers=headers, content=body, extensions=extensions)

    def _new_pool(self) -> "httpcore.AsyncConnectionPool":
        import httpcore

        return httpcore.AsyncConnectionPool(
            ssl_context=self._trust,
            max_connections=self._connections,
            max_keepalive_connections=self._connections,
            keepalive_expiry=_KEEP_ALIVE_S,
        )


def sink_of(settings: Settings, *, connections: int = CONNECTIONS, delivery_wait_s: int = 0) -> Sink:
    """Return the sink that the platform chose.

    Raises:
        ConfigurationError: naming the variable that is wrong.
    """
    return Sink(
        settings.k_sink,
        timeout_s=settings.sink_timeout_seconds,
        connections=connections,
        overrides=overrides_of(settings.k_ce_overrides),
        authorities=settings.k_ca_certs,
        delivery_wait_s=delivery_wait_s,
    )


def overrides_of(setting: str | None) -> dict[str, str]:
    """Return the extension attributes that ``K_CE_OVERRIDES`` adds to every event.

    Raises:
        ConfigurationError: it is not a JSON object with extensions.
    """
    try:
        extensions = (json.loads(setting) if setting else {}).get("extensions") or {}
        overrides = {str(name): str(value) for name, value in extensions.items()}
    except (ValueError, AttributeError) as error:
        raise ConfigurationError("K_CE_OVERRIDES: expected a JSON object with extensions") from error
    for name in overrides:
        if not is_attribute_name(name) or name in CORE_ATTRIBUTES:
            raise ConfigurationError(f"K_CE_OVERRIDES: expected names of extension attributes, was {name!r}")
    return overrides


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigurationError(f"K_SINK: expected an address such as http://host/path, was {url!r}")
    return url


def _trusting(authorities: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=authorities)
    except ssl.SSLError as error:
        raise ConfigurationError("K_CA_CERTS: expected certificates in PEM") from error
