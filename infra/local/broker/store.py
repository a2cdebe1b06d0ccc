"""The broker's memory: one JetStream stream that holds every event which is not delivered yet, a copy for each Trigger.

An event leaves the stream when its subscriber or its dead-letter sink took it. What a broker that died had not
delivered is read back by the next one. The stream is bounded: before it is full new events are refused, and none that
was taken is ever given up for another. Its limit of age clears away what no broker delivers any more; an event that is
still tried is written anew before it is that old.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, PubAck, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError
from nats.js.errors import Error as JetStreamError

from common.errors import TemporaryError
from common.settings import Settings, duration_ms
from infra.local.broker import metrics
from infra.local.broker.message import Message, too_large

log = logging.getLogger(__name__)

STREAM: Final = "PETROSA_BROKER"
_SUBJECTS: Final = "petrosa.broker"
_REQUEST_TIMEOUT_S: Final = 5.0
_RETRY_S: Final = 1.0
_RECONNECT_S: Final = 1
# What may be deleted at once; the server refuses requests when too many wait.
_DELETES_AT_ONCE: Final = 64
_NAME_IN_USE: Final = 10058
_DUPLICATE_WINDOW_S: Final = 120.0  # the server's own; it must not be longer than the largest age
_NO_MESSAGE: Final = "no message found"
_FAULTS: Final = (NatsError, JetStreamError, TimeoutError, OSError)
# New events are refused above this share of the stream; the rest is for replies, and for what is written anew.
NEW_FILL: Final = 0.9
# What the server adds to an event in its file.
_RECORD_BYTES: Final = 30
# An event that is still tried at this share of the largest age is written anew.
_RENEWED_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event on its way to one Trigger.

    Attributes:
        trigger: name of the Trigger.
        message: the event.
        sequence: its place in the stream.
        stream_created: which stream that is; one that is made anew counts from the beginning.
        size: bytes that it takes there.
        kept_s: when it was written, in seconds since 1970.
    """

    trigger: str
    message: Message
    sequence: int
    stream_created: datetime | None
    size: int
    kept_s: float


class EventStore:
    """Keeps events on a NATS server; a lost connection is made again for as long as it takes.

    Attributes:
        is_in_doubt: set when an event may be in the stream although its sender was told otherwise.
    """

    def __init__(self, settings: Settings, *, namespace: str, broker: str) -> None:
        self._settings = settings
        self._prefix = f"{_SUBJECTS}.{namespace}.{broker}."
        self._max_bytes = settings.broker_stream_max_bytes
        self._max_age_s = duration_ms(settings.broker_stream_max_age) / 1000
        self._bytes = 0
        self._client = Client()
        self._jetstream = JetStreamContext(self._client, timeout=_REQUEST_TIMEOUT_S)
        self._created: datetime | None = None
        self._held: set[int] = set()
        self._unsettled: set[asyncio.Future[None]] = set()
        self._deletes = asyncio.Semaphore(_DELETES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_in_doubt = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Tell whether events can be kept now."""
        return self._created is not None and self._client.is_connected

    @property
    def max_payload(self) -> int:
        """Bytes that an event may have, headers included."""
        return self._client.max_payload

    async def open(self) -> None:
        """Connect, for as long as it takes, and create the stream when it is missing."""
        await self._client.connect(
            self._settings.nats_url,
            name="petrosa-broker",
            connect_timeout=int(self._settings.nats_connect_timeout),
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_S,
            error_cb=_log_error,
            reconnected_cb=self._prepare,
        )
        await self._prepare()

    async def keep(self, trigger: str, message: Message, *, fill: float = NEW_FILL) -> StoredEvent:
        """Write an event to the stream and return it with its place there.

        Args:
            trigger: name of the Trigger.
            message: the event.
            fill: how full the stream may become, as a share of its limit.

        Raises:
            PayloadTooLarge: it is larger than the server takes.
            TemporaryError: the stream is full, or the server did not take the event.
        """
        if not self.is_connected:
            raise TemporaryError("the broker's NATS server is away", retry_after_s=1)
        subject, payload = self._prefix + trigger, msgspec.msgpack.encode(message)
        size = _size(subject, payload)
        await self._require_room(size, fill)
        ack = await self._write(subject, payload)
        self._count(size)
        return StoredEvent(trigger, message, ack.seq, self._created, size, time.time())

    async def require_room(self, message: Message, *, copies: int) -> None:
        """Raise unless so many copies of a new event could be kept now.

        Raises:
            TemporaryError: the stream is full, or the server does not answer.
        """
        if copies:
            size = _size(self._prefix, msgspec.msgpack.encode(message))
            await self._require_room(copies * size, NEW_FILL)

    async def renewed(self, event: StoredEvent) -> StoredEvent:
        """Return an event that is not about to be cleared away for its age: itself, or written anew.

        Raises:
            TemporaryError: it is old, and the server does not take it now.
        """
        if time.time() - event.kept_s < self._max_age_s * _RENEWED_SHARE:
            return event
        anew = await self.keep(event.trigger, event.message, fill=1.0)
        self.forget(event)
        return anew

    async def _write(self, subject: str, payload: bytes) -> PubAck:
        settled = asyncio.get_running_loop().create_future()
        self._unsettled.add(settled)
        try:
            ack = await self._jetstream.publish(subject, payload)
            self._held.add(ack.seq)
        except MaxPayloadError as error:
            raise too_large(self.max_payload) from error
        except APIError as error:
            raise TemporaryError(f"the event could not be kept: {error.description}", retry_after_s=1) from error
        except _FAULTS as error:
            self.is_in_doubt.set()
            raise TemporaryError(f"the event could not be kept: {type(error).__name__}", retry_after_s=1) from error
        finally:
            self._unsettled.discard(settled)
            settled.set_result(None)
        return ack

    def forget(self, event: StoredEvent) -> None:
        """Remove an event from the stream; goes on in the background until the server has done it."""
        task = asyncio.get_running_loop().create_task(self._delete(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def left_over(self, *, settle_s: float = 0.0) -> AsyncIterator[StoredEvent]:
        """Yield what is in the stream and not held by this process, oldest first.

        Args:
            settle_s: time for the server to write what it has received.

        Raises:
            TemporaryError: the server does not answer.
        """
        try:
            await self._jetstream.stream_info(STREAM)  # once it answers, it has received all that was sent before
            await asyncio.sleep(settle_s)
            last = (await self._recounted()).state.last_seq
            if self._unsettled:  # whose events may be among these, but are not held yet
                await asyncio.wait(set(self._unsettled))
            sequence = 0
            while sequence < last:
                event = await self._next(sequence + 1)
                if event is None or event.sequence > last:
                    return
                sequence = event.sequence
                if sequence not in self._held:
                    self._held.add(sequence)
                    yield event
        except _FAULTS as error:
            raise TemporaryError(f"the stream cannot be read: {type(error).__name__}", retry_after_s=1) from error

    async def close(self) -> None:
        """Finish deleting what was delivered and disconnect."""
        if self._tasks and self._client.is_connected:
            await asyncio.wait(self._tasks, timeout=2)
        for task in self._tasks:
            task.cancel()
        await self._client.close()

    async def _prepare(self) -> None:
        while True:
            try:
                await self._ensure_stream()
                created = (await self._recounted()).created
            except _FAULTS as error:
                log.warning("the stream cannot be prepared yet", extra={"stream": STREAM, "error": str(error)})
                await asyncio.sleep(_RETRY_S)
                continue
            if created != self._created:
                self._held.clear()
                self._created = created
            return

    async def _require_room(self, size: int, fill: float) -> None:
        """Raise unless so many bytes fit; the server is asked before anything is refused."""
        if self._bytes + size <= fill * self._max_bytes:
            return
        try:
            await self._recounted()
        except _FAULTS as error:
            raise TemporaryError(f"the stream cannot be read: {type(error).__name__}", retry_after_s=1) from error
        if self._bytes + size > fill * self._max_bytes:
            raise TemporaryError("the broker's stream is full: its subscribers are away or slow", retry_after_s=1)

    async def _recounted(self) -> StreamInfo:
        info = await self._jetstream.stream_info(STREAM)
        self._count(info.state.bytes - self._bytes)
        return info

    def _count(self, size: int) -> None:
        self._bytes = max(0, self._bytes + size)
        metrics.stored(STREAM, self._bytes, self._max_bytes)

    async def _ensure_stream(self) -> None:
        config = StreamConfig(
            name=STREAM,
            subjects=[f"{_SUBJECTS}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=self._max_bytes,
            max_age=self._max_age_s,
            duplicate_window=min(_DUPLICATE_WINDOW_S, self._max_age_s),
            allow_direct=True,
        )
        try:
            await self._jetstream.add_stream(config)
        except APIError as error:
            if error.err_code != _NAME_IN_USE:
                raise
            # The server would drop what is above a lowered limit at once; here it only takes nothing new.
            held = (await self._jetstream.stream_info(STREAM)).state.bytes
            await self._jetstream.update_stream(config.evolve(max_bytes=max(self._max_bytes, held)))

    async def _next(self, sequence: int) -> StoredEvent | None:
        """Return the first event at or after a place in the stream."""
        while True:
            try:
                found = await self._jetstream.get_msg(
                    STREAM, seq=sequence, subject=f"{self._prefix}>", next=True, direct=True
                )
            except NotFoundError:
                return None
            sequence = found.seq or sequence
            try:
                message = msgspec.msgpack.decode(found.data or b"", type=Message)
            except msgspec.MsgspecError:
                log.exception("an event in the stream cannot be read", extra={"sequence": sequence})
                sequence += 1
                continue
            subject, kept = found.subject or "", found.time
            return StoredEvent(
                trigger=subject.removeprefix(self._prefix),
                message=message,
                sequence=sequence,
                stream_created=self._created,
                size=_size(subject, found.data or b""),
                kept_s=kept.timestamp() if kept else 0.0,
            )

    async def _delete(self, event: StoredEvent) -> None:
        request = msgspec.json.encode({"seq": event.sequence, "no_erase": True})
        async with self._deletes:
            while event.stream_created == self._created:
                try:
                    answer = await self._client.request(
                        f"$JS.API.STREAM.MSG.DELETE.{STREAM}", request, timeout=_REQUEST_TIMEOUT_S
                    )
                    if _is_deleted(answer.data):
                        self._held.discard(event.sequence)
                        self._count(-event.size)
                        return
                except _FAULTS:
                    pass  # deleting again, or what is gone already, does no harm
                await asyncio.sleep(_RETRY_S)


def _size(subject: str, payload: bytes) -> int:
    return len(subject) + len(payload) + _RECORD_BYTES


class _ApiError(msgspec.Struct, frozen=True):
    description: str = ""


class _DeleteAnswer(msgspec.Struct):
    success: bool = False
    error: _ApiError = _ApiError()


def _is_deleted(answer: bytes) -> bool:
    decoded = msgspec.json.decode(answer, type=_DeleteAnswer)
    return decoded.success or decoded.error.description == _NO_MESSAGE


async def _log_error(error: Exception) -> None:
    log.warning("NATS connection", extra={"error": str(error) or type(error).__name__})
