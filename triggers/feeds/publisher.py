"""Publishing through JetStream until acknowledged: no message is lost when the server restarts, none stands twice.

A message goes out with its id (``Nats-Msg-Id``) and a reply subject of its own; some thousands may wait for their
acknowledgement at once. What is not acknowledged is sent again with the same id, after a reconnect at once, otherwise
after a while; the server drops what it has already. Acknowledged messages are in the stream's file.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import Header

from common.errors import ConfigurationError, PayloadTooLarge
from common.settings import Settings
from triggers.stream import ensure_stream

log = logging.getLogger(__name__)

_WINDOW: Final = 8192
_ACK_TIMEOUT_S: Final = 5.0
_RETRY_DELAY_S: Final = 0.25
_WARN_EVERY_S: Final = 10.0
_HEADER_BYTES: Final = len(b"NATS/1.0\r\nNats-Msg-Id: \r\n\r\n") + 36  # they count as payload at the server
_CLIENT_NAME: Final = "petrosa-feed"
# Errors of an acknowledgement below this code mean that the message itself was refused.
_TEMPORARY_FROM: Final = 500


@dataclass(slots=True)
class Counts:
    """What became of the messages.

    Attributes:
        published: messages handed over, each once however often it was sent.
        acknowledged: of these, the ones that the server has.
        duplicates: of these, the ones that it already had before.
        resent: sendings that were repeated because an acknowledgement did not come.
    """

    published: int = 0
    acknowledged: int = 0
    duplicates: int = 0
    resent: int = 0


class MessageSink(Protocol):
    """Where feeds put their messages."""

    async def publish(self, payload: bytes, message_id: str) -> None:
        """Take a message; may wait for room."""
        ...

    async def flush(self) -> None:
        """Wait until every message is safe."""
        ...


class Publisher:
    """One connection to NATS, made by ``open_publisher``. ``counts`` and ``connected`` may be read at any time."""

    def __init__(self, settings: Settings, *, window: int = _WINDOW, ack_timeout_s: float = _ACK_TIMEOUT_S) -> None:
        self.counts = Counts()
        self._settings = settings
        self._subject = settings.nats_consumer_subject
        self._window = window
        self._ack_timeout_s = ack_timeout_s
        self._client = Client()
        self._inbox = ""
        # Unacknowledged messages by number, in the order of their numbers, with the time of their last sending.
        self._waiting: dict[int, tuple[bytes, str, float]] = {}
        self._resent: set[int] = set()
        self._connected = False
        # Set when what `_until` waits for may have come true.
        self._changed = asyncio.Event()
        self._retry = asyncio.Event()
        self._refusal: ConfigurationError | None = None
        self._warned_at = float("-inf")

    @property
    def connected(self) -> bool:
        """Whether the server can be reached at this moment."""
        return self._connected

    @property
    def unacknowledged(self) -> int:
        """Messages that wait for their acknowledgement."""
        return len(self._waiting)

    async def publish(self, payload: bytes, message_id: str) -> None:
        """Send a message; returns at once unless too many wait for their acknowledgement or the server is away.

        Raises:
            PayloadTooLarge: the server takes no message of this size.
            ConfigurationError: the stream refuses what is published.
        """
        if not self._may_send():
            await self._until(self._may_send)
        self._raise_refusal()
        limit = self._client.max_payload - _HEADER_BYTES
        if len(payload) > limit:
            raise PayloadTooLarge(f"expected at most {limit} bytes, was {len(payload)}")
        number = self.counts.published
        self.counts.published += 1
        self._waiting[number] = (payload, message_id, asyncio.get_running_loop().time())
        await self._send(number, payload, message_id)

    async def flush(self) -> None:
        """Wait until every message published so far is acknowledged, however long the server is away.

        Raises:
            ConfigurationError: the stream refuses what was published.
        """
        await self._until(lambda: not self._waiting)
        self._raise_refusal()

    async def run(self) -> None:
        """Keep the connection and send again what needs it, until cancelled (``open_publisher`` does this)."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._retry.wait(), self._ack_timeout_s / 2)
            lost = self._retry.is_set()
            if self._client.is_connected and (lost or self._overdue()):
                try:
                    await self._send_again(everything=lost)
                except ConfigurationError as error:
                    self._refuse(error)

    async def connect(self) -> None:
        """Connect, for as long as it takes, and create the stream when it is missing.

        Raises:
            ConfigurationError: the stream is not what the settings say.
        """
        await self._client.connect(
            self._settings.nats_url,
            name=_CLIENT_NAME,
            connect_timeout=int(self._settings.nats_connect_timeout) or 1,
            reconnect_time_wait=self._settings.nats_reconnect_time_wait,  # type: ignore[arg-type]  # takes fractions
            max_reconnect_attempts=-1,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
        )
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on_ack, pending_msgs_limit=0)
        while not await self._has_stream():  # noqa: ASYNC110 - the server is asked, nobody here could set an event
            await asyncio.sleep(_RETRY_DELAY_S)
        self._connected = True

    async def close(self) -> None:
        """Close the connection; what is not acknowledged by then may or may not be in the stream."""
        self._connected = False
        with contextlib.suppress(NatsError, OSError):
            await self._client.close()

    def _may_send(self) -> bool:
        return self._connected and len(self._waiting) < self._window

    async def _until(self, holds: Callable[[], bool]) -> None:
        while self._refusal is None and not holds():
            self._changed.clear()
            await self._changed.wait()

    async def _send(self, number: int, payload: bytes, message_id: str) -> None:
        try:
            await self._client.publish(
                self._subject, payload, reply=f"{self._inbox}.{number}", headers={Header.MSG_ID: message_id}
            )
        except MaxPayloadError:
            self._refuse(ConfigurationError(f"the server's max_payload was lowered below {len(payload)} bytes"))
        except (NatsError, OSError):
            # Not connected at this moment: it stays unacknowledged and goes out again after the reconnect.
            self._retry.set()

    async def _send_again(self, *, everything: bool) -> None:
        self._retry.clear()
        if not await self._has_stream():
            self._retry.set()
            await asyncio.sleep(_RETRY_DELAY_S)
            return
        self._connected = True
        self._changed.set()
        now = asyncio.get_running_loop().time()
        for number, (payload, message_id, sent_at) in list(self._waiting.items()):
            if number in self._waiting and (everything or now - sent_at >= self._ack_timeout_s):
                self._waiting[number] = (payload, message_id, now)
                self._resent.add(number)
                self.counts.resent += 1
                await self._send(number, payload, message_id)

    def _overdue(self) -> bool:
        oldest = next(iter(self._waiting.values()), None)
        return oldest is not None and asyncio.get_running_loop().time() - oldest[2] >= self._ack_timeout_s

    async def _has_stream(self) -> bool:
        try:
            await ensure_stream(JetStreamContext(self._client, timeout=self._ack_timeout_s), self._settings)
        except (NatsError, OSError, TimeoutError):
            return False
        return True

    async def _on_ack(self, message: Msg) -> None:
        number = int(message.subject.rpartition(".")[2])
        if number not in self._waiting:
            return
        data = message.data
        if b'"error"' in data or not data:
            self._on_failed_ack(number, data)
            return
        self.counts.acknowledged += 1
        if b'"duplicate"' in data and number not in self._resent:
            self.counts.duplicates += 1
        self._acknowledged(number)

    def _on_failed_ack(self, number: int, data: bytes) -> None:
        """Note that a message is not stored: nobody answers for the stream yet (no data), or it was refused."""
        error = json.loads(data)["error"] if data else {"code": _TEMPORARY_FROM}
        if error.get("code", _TEMPORARY_FROM) >= _TEMPORARY_FROM:
            asyncio.get_running_loop().call_later(_RETRY_DELAY_S, self._retry.set)
            return
        self._acknowledged(number)
        self._refuse(ConfigurationError(f"the stream refused a message: {error.get('description')}"))

    def _acknowledged(self, number: int) -> None:
        del self._waiting[number]
        self._resent.discard(number)
        if not self._waiting or len(self._waiting) == self._window // 2:
            self._changed.set()

    def _refuse(self, error: ConfigurationError) -> None:
        self._refusal = error
        self._changed.set()

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    async def _on_error(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        if not self.connected and now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            log.warning("waiting for NATS", extra={"server": shown_url(self._settings.nats_url), "error": str(error)})

    async def _on_disconnect(self) -> None:
        self._connected = False

    async def _on_reconnect(self) -> None:
        log.info("connected to NATS again", extra={"unacknowledged": len(self._waiting)})
        self._retry.set()


@contextlib.asynccontextmanager
async def open_publisher(
    settings: Settings, *, window: int = _WINDOW, ack_timeout_s: float = _ACK_TIMEOUT_S
) -> AsyncIterator[Publisher]:
    """Connect and give a publisher; closes it at the end without waiting for acknowledgements (``flush`` waits)."""
    publisher = Publisher(settings, window=window, ack_timeout_s=ack_timeout_s)
    keeper: asyncio.Task[None] | None = None
    try:
        await publisher.connect()
        keeper = asyncio.create_task(publisher.run())
        yield publisher
    finally:
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConfigurationError):
                await keeper
        await publisher.close()


def shown_url(url: str) -> str:
    """Return a server's address without the account it may name."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 4222}" if parts.hostname else url
