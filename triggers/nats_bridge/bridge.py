"""The bridge as a whole: the parts wired together, the way of one message, and an orderly end."""

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Any, Final

from common.clock import Clock
from common.events.sink import Sink, SinkAnswer
from common.events.types import MARKET_KINDS
from common.settings import Settings
from common.wire.classify import Classified, classify
from triggers.nats_bridge import acks, metrics
from triggers.nats_bridge.batch import Batch, event_of
from triggers.nats_bridge.batching import Batcher
from triggers.nats_bridge.connection import Connection
from triggers.nats_bridge.ignored import Ignored
from triggers.nats_bridge.limits import limits_of
from triggers.nats_bridge.outbox import Outbox
from triggers.nats_bridge.pulling import Puller
from triggers.nats_bridge.rejection import DeadLetterStream, letter_of, refused_letter, too_large
from triggers.nats_bridge.survey import Survey

log = logging.getLogger(__name__)

_KINDS: Final = frozenset(MARKET_KINDS)
_FINISH_S: Final = 8.0
_CLOSE_S: Final = 2.0


class Bridge:
    """One process's share of the consumer. Make it inside a running event loop."""

    def __init__(self, settings: Settings, sink: Sink, clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        self._limits = limits_of(settings)
        self._max_bytes = self._limits.batch_bytes
        self._sink = sink
        self._clock = clock
        self._is_draining = False
        self._returned: list[str] = []
        self._writes: set[asyncio.Task[None]] = set()
        self.connection = Connection(settings)
        self._batcher = Batcher(self._limits, loop, self._closed)
        self._ignored = Ignored(self._limits.batch_s, loop, self._acknowledge)
        self._puller = Puller(self.connection, settings, self._limits, room=self._room, take=self._take)
        self._outbox = Outbox(
            self._limits,
            post=self._post,
            keep=DeadLetterStream(self.connection, settings).keep,
            answer=self.connection.write,
            refused=self._refuse,
            settled=self._puller.pull,
            jitter=random.random,
        )
        self._survey = Survey(self.connection, settings)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then end in order.

        Raises:
            ExceptionGroup: of ``ConfigurationError`` when the settings cannot work.
        """
        async with asyncio.TaskGroup() as tasks:
            parts = [
                tasks.create_task(part)
                for part in (self.connection.run(), self._puller.run(), self._survey.run(), self._tick())
            ]
            await stop.wait()
            await self._drain()
            for part in parts:
                part.cancel()

    def status(self) -> dict[str, Any]:
        """Return what the readiness probe tells: ready or not, and each condition by itself."""
        gate = self._outbox.gate
        ready = self.connection.is_connected and self._puller.is_active and gate.is_open
        return {
            "ready": ready,
            "nats": "connected" if self.connection.is_connected else "disconnected",
            "consumer": "pulling" if self._puller.is_active else "stopped",
            "sink": "accepting" if gate.is_open else "failing",
            "nats_error": self.connection.last_error,
            "consumer_error": None if self._puller.is_active else self._puller.fault,
            "sink_error": None if gate.is_open else self._outbox.last_answer,
            "held_messages": self._held_messages(),
            "batches_in_flight": self._outbox.in_flight,
        }

    def _take(self, raw: bytes, reply: str) -> None:
        """Put a message where it belongs. Called for every single one."""
        if self._is_draining:
            self._returned.append(reply)
            return
        if len(raw) > self._max_bytes:
            self._reject(raw, too_large(raw, self._max_bytes), reply)
            return
        verdict = classify(raw)
        if verdict.reason is not None:
            self._reject(raw, verdict, reply)
        elif verdict.kind in _KINDS:
            self._batcher.add(verdict.kind, verdict.symbol, raw, reply)
        else:
            self._ignored.add(verdict.kind, reply)

    def _reject(self, raw: bytes, verdict: Classified, reply: str) -> None:
        self._batcher.reject(letter_of(raw, verdict, self._clock), raw, reply)

    def _refuse(self, batch: Batch, answer: str) -> None:
        letter = refused_letter(batch, answer, self._clock)
        log.warning("the sink refused a message", extra={"kind": batch.kind, "answer": answer})
        self._batcher.reject(letter, batch.payloads[0], batch.replies[0])

    def _closed(self, batch: Batch) -> None:
        again = batch.seal()
        metrics.RECEIVED.labels(batch.kind).inc(len(batch))
        metrics.REDELIVERED.inc(again)
        metrics.BATCH_MESSAGES.labels(batch.kind).observe(len(batch))
        metrics.BATCH_BYTES.labels(batch.kind).observe(batch.size_bytes)
        self._outbox.put(batch)

    async def _post(self, batch: Batch) -> SinkAnswer:
        return await self._sink.post(event_of(batch, self._clock.now_ms()))

    def _acknowledge(self, replies: Sequence[str]) -> None:
        task = asyncio.get_running_loop().create_task(self.connection.write(acks.acknowledged(replies)))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    def _held(self) -> list[Batch]:
        return self._batcher.open_batches + self._outbox.held

    def _held_messages(self) -> int:
        return sum(map(len, self._held())) + len(self._ignored)

    def _room(self, outstanding: int) -> int:
        """Return how many more messages may be asked for."""
        if self._is_draining:
            return 0
        held = self._held()
        if sum(batch.size_bytes for batch in held) >= self._limits.held_bytes:
            return 0
        room = self._limits.held_messages - sum(map(len, held)) - outstanding
        allowance = self._outbox.allowance()
        return room if allowance is None else min(room, allowance - outstanding)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._limits.progress_s / 2)
            await self._outbox.tick()
            held = self._held()
            metrics.HELD_MESSAGES.set(sum(map(len, held)))
            metrics.HELD_BYTES.set(sum(batch.size_bytes for batch in held))
            metrics.IN_FLIGHT.set(self._outbox.in_flight)

    async def _drain(self) -> None:
        """Stop pulling, finish what is at the sink, give back the rest."""
        log.info("stopping", extra={"held_messages": self._held_messages()})
        self._is_draining = True
        await self._puller.stop()
        self._ignored.flush()
        self._returned += [reply for batch in self._batcher.take_open() for reply in batch.replies]
        await self.connection.write(acks.given_back(self._returned, lambda _: 0.0))
        await self._outbox.drain(_FINISH_S)
        await asyncio.gather(*self._writes)
        await self.connection.close(_CLOSE_S)
        await self._sink.close()
        log.info("stopped")
