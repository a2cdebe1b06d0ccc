"""The connection to NATS, kept for ever: at start, after losses, and when the client library has given up."""

import asyncio
import logging
from typing import Final

import nats.errors
from nats.aio.client import Client

from common.errors import ConfigurationError, TemporaryError
from common.settings import Settings
from triggers.nats_bridge import metrics, nats_wire
from triggers.nats_bridge.acks import Answers
from triggers.nats_bridge.backoff import SERVER

log = logging.getLogger(__name__)

_NAME: Final = "petrosa-nats-bridge"
_PING_S: Final = 10
_MAX_PINGS_OUT: Final = 2
# Answers that wait for a lost connection. Beyond it they are dropped: the server delivers those messages again.
_MAX_UNSENT_BYTES: Final = 4 * 1024 * 1024
_PUBLISH_ERRORS: Final = (nats.errors.OutboundBufferLimitError, nats.errors.MaxPayloadError)
_SUBSCRIPTION_ERRORS: Final = (nats.errors.SlowConsumerError, nats.errors.BadSubscriptionError)


class Connection:
    """One connection at a time. ``run`` keeps it; everybody else waits for it or writes to it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._connected = asyncio.Event()
        self._ended = asyncio.Event()
        self._is_closing = False
        self.parser: nats_wire.DirectParser | None = None
        self.generation = 0  # counts connections, made and lost
        self.last_error: str | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the server can be reached, as far as is known."""
        return self._connected.is_set()

    async def run(self) -> None:
        """Connect, and connect anew whenever the client ended for good.

        Raises:
            ConfigurationError: ``NATS_URL`` is not an address.
        """
        while not self._is_closing:
            self._ended.clear()
            client = Client()
            parser = nats_wire.install(client)
            try:
                await client.connect(
                    servers=[url.strip() for url in self._settings.nats_url.split(",")],
                    name=_NAME,
                    connect_timeout=self._settings.nats_connect_timeout,  # type: ignore[arg-type] # fractions work
                    reconnect_time_wait=self._settings.nats_reconnect_time_wait,  # type: ignore[arg-type]
                    max_reconnect_attempts=-1,
                    ping_interval=_PING_S,
                    max_outstanding_pings=_MAX_PINGS_OUT,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_disconnected,
                    reconnected_cb=self._on_reconnected,
                    closed_cb=self._on_closed,
                )
            except (nats.errors.Error, ValueError) as error:
                raise ConfigurationError(f"NATS_URL: expected addresses such as nats://host:4222, {error}") from error
            self._client = client
            self.parser = parser
            self._up()
            await self._ended.wait()
            await asyncio.sleep(SERVER.first_s)

    async def client(self) -> Client:
        """Wait for the connection and return its client."""
        await self._connected.wait()
        return self.connected_client()

    def connected_client(self) -> Client:
        """Return the client of the present connection.

        Raises:
            TemporaryError: there is none.
        """
        if self._client is None or not self._client.is_connected:
            raise TemporaryError("not connected to NATS")
        return self._client

    async def answer(self, answers: Answers) -> None:
        """Send answers about messages; they wait for a lost connection within bounds."""
        client = self._client
        if client is None or client.is_closed or client.pending_data_size > _MAX_UNSENT_BYTES:
            return
        await nats_wire.publish(client, answers)

    async def renew(self) -> None:
        """Drop a connection that seems dead and make a new one."""
        if self._client is not None:
            await self._client.force_reconnect()

    async def close(self, timeout_s: float) -> None:
        """Send what is waiting and end the connection."""
        self._is_closing = True  # first of all: ending the client must not be taken for losing it
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                if client.is_connected:
                    await client.flush()
                await client.close()
        except (TimeoutError, nats.errors.Error, OSError) as error:
            log.warning("the connection was not closed in order", extra={"error": repr(error)})

    def _up(self) -> None:
        self.generation += 1
        self._connected.set()
        self.last_error = None
        metrics.CONNECTED.set(1)
        log.info("connected to NATS")

    def _down(self) -> None:
        self.generation += 1
        self._connected.clear()
        metrics.CONNECTED.set(0)

    async def _on_disconnected(self) -> None:
        if self.is_connected:
            log.warning("lost the connection to NATS, trying again for ever")
        self._down()

    async def _on_reconnected(self) -> None:
        metrics.RECONNECTIONS.inc()
        self._up()

    async def _on_closed(self) -> None:
        self._down()
        self._ended.set()

    async def _on_error(self, error: Exception) -> None:
        metrics.NATS_ERRORS.labels(_error_type(error)).inc()
        text = repr(error)
        if text != self.last_error:  # a server that stays away is told of once
            log.warning("NATS error", extra={"error": text})
        self.last_error = text


def _error_type(error: Exception) -> str:
    if isinstance(error, _SUBSCRIPTION_ERRORS):
        return "subscription"
    if isinstance(error, _PUBLISH_ERRORS):
        return "publish"
    if isinstance(error, (OSError, TimeoutError, nats.errors.Error)):
        return "connection"
    return "general"
