"""The broker's memory: one JetStream stream that holds every event which is not delivered yet, a copy for each Trigger.

An event is in the stream before its sender gets an answer, and leaves it when it was delivered or dead-lettered. What
a broker that died had not delivered is read back by the next one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from common.errors import TemporaryError

log = logging.getLogger(__name__)

STREAM: Final = "PETROSA_BROKER"
_SUBJECTS: Final = "petrosa.broker"
# What the headers of an event and the framing of the server may add to its body.
_ENVELOPE_BYTES: Final = 16 * 1024
_PUBLISH_TIMEOUT_S: Final = 5.0
_RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event on its way to one Trigger.

    Attributes:
        trigger: name of the Trigger.
        headers: as they came (binary or structured mode), names in lower case.
        body: as it came.
        ttl: how often it may still re-enter the broker as a reply.
        sequence: its place in the stream.
    """

    trigger: str
    headers: dict[str, str]
    body: bytes
    ttl: int
    sequence: int = 0


class _Head(msgspec.Struct):
    headers: dict[str, str]
    ttl: int


class EventStore:
    """Keeps events on a NATS server; the connection is made again for as long as it takes."""

    def __init__(self, url: str, *, connect_timeout_s: float) -> None:
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._client = Client()
        self._jetstream: JetStreamContext | None = None
        self._deleting: set[asyncio.Task[None]] = set()

    @property
    def is_connected(self) -> bool:
        """Tell whether the server can be asked now."""
        return self._jetstream is not None and self._client.is_connected

    @property
    def max_body_bytes(self) -> int:
        """The largest body that the server takes."""
        return self._client.max_payload - _ENVELOPE_BYTES

    async def open(self) -> None:
        """Connect, for as long as it takes, and create the stream when it is missing."""
        await self._client.connect(
            self._url,
            name="petrosa-broker",
            connect_timeout=int(self._connect_timeout_s),
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            allow_reconnect=True,
            error_cb=_log_error,
            pending_size=64 * 1024 * 1024,
        )
        jetstream = self._client.jetstream(timeout=_PUBLISH_TIMEOUT_S)
        config = StreamConfig(
            name=STREAM,
            subjects=[f"{_SUBJECTS}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
        )
        while True:
            try:
                await jetstream.add_stream(config)
            except (NatsError, nats.js.errors.Error, TimeoutError) as error:
                log.warning("the stream could not be created yet", extra={"stream": STREAM, "error": str(error)})
                await asyncio.sleep(_RETRY_S)
            else:
                break
        self._jetstream = jetstream

    async def keep(self, event: StoredEvent) -> StoredEvent:
        """Write an event to the stream and return it with its place there.

        Raises:
            TemporaryError: the server did not take it.
        """
        if not self.is_connected or self._jetstream is None:
            raise TemporaryError("the broker's NATS server is away", retry_after_s=1)
        head = msgspec.json.encode(_Head(event.headers, event.ttl))
        try:
            ack = await self._jetstream.publish(
                f"{_SUBJECTS}.{event.trigger}", b"\n".join((head, event.body)), timeout=_PUBLISH_TIMEOUT_S
            )
        except (NatsError, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise TemporaryError(f"the event could not be kept: {type(error).__name__}", retry_after_s=1) from error
        return replace(event, sequence=ack.seq)

    def forget(self, event: StoredEvent) -> None:
        """Remove an event from the stream; goes on in the background until the server has done it."""
        task = asyncio.get_running_loop().create_task(self._delete(event.sequence))
        self._deleting.add(task)
        task.add_done_callback(self._deleting.discard)

    async def _delete(self, sequence: int) -> None:
        assert self._jetstream is not None  # noqa: S101 - nothing was kept before it was opened
        request = msgspec.json.encode({"seq": sequence, "no_erase": True})
        while True:
            try:
                await self._client.request(f"$JS.API.STREAM.MSG.DELETE.{STREAM}", request, timeout=_PUBLISH_TIMEOUT_S)
            except (NatsError, TimeoutError, OSError):
                await asyncio.sleep(_RETRY_S)  # deleting again, or what is gone already, does no harm
            else:
                return

    async def left_over(self) -> AsyncIterator[StoredEvent]:
        """Yield what an earlier broker had not delivered, oldest first."""
        assert self._jetstream is not None  # noqa: S101 - it is opened first
        sequence = 0
        while True:
            try:
                message = await self._jetstream.get_msg(STREAM, seq=sequence + 1, subject=f"{_SUBJECTS}.>", next=True)
            except NotFoundError:
                return
            sequence = message.seq or sequence + 1
            head, _, body = (message.data or b"").partition(b"\n")
            decoded = msgspec.json.decode(head, type=_Head)
            trigger = (message.subject or "").removeprefix(f"{_SUBJECTS}.")
            yield StoredEvent(trigger, decoded.headers, body, decoded.ttl, sequence)

    async def close(self) -> None:
        """Finish deleting what was delivered and disconnect."""
        if self._deleting and self._client.is_connected:
            await asyncio.wait(self._deleting, timeout=2)
        for task in self._deleting:
            task.cancel()
        await self._client.close()


async def _log_error(error: Exception) -> None:
    log.warning("NATS connection", extra={"error": str(error) or type(error).__name__})
