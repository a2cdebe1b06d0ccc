"""The way of a message through the bridge, from its arrival to the answer to the server.

::

    take ──▶ OPEN ──▶ WAITING ──▶ SENDING ──▶ SETTLED    taken: acknowledged; or terminated, when it is a dead letter
                         ▲          │ ▲ └───▶ SETTLED    refused: two halves WAIT in its place; one message alone
                         │          ▼ │                  becomes a dead letter
                         └─halves  RETRYING ▶ SETTLED    failed for too long, or the bridge stops: given back

A message belongs to one batch at a time, and every change of a batch's state stands in this module. While the sink
fails, one batch at a time finds out when it is back, and the server is told that work on all of them goes on.
"""

import asyncio
import bisect
import functools
import logging
import random
from typing import Final

from common.clock import Clock
from common.events.sink import Sink, SinkAnswer
from common.events.statuses import Outcome
from common.events.types import MARKET_KINDS
from common.models.dead_letters import DeadLetter
from common.wire.classify import classify
from triggers.nats_bridge import acks, metrics
from triggers.nats_bridge.backoff import REDELIVERY, SINK
from triggers.nats_bridge.batch import REJECTED, Batch, State, event_of
from triggers.nats_bridge.connection import Connection
from triggers.nats_bridge.gate import Gate
from triggers.nats_bridge.limits import PROBE_MESSAGES, Limits
from triggers.nats_bridge.rejection import DeadLetterStream, error_type, letter_of, refused_letter, too_large

log = logging.getLogger(__name__)

_KINDS: Final = frozenset(MARKET_KINDS)
# Stands for the kinds that are not handled: counted by name, acknowledged and not sent.
_UNHANDLED: Final = "unknown"
# Names come from the wire: a sender that invents a new one each time must not fill the metrics.
_MAX_NAMES: Final = 50
_OTHER: Final = "other"
_jitter: Final = random.random
# A timer may fire a little before its time.
_TIMER_SLACK_S: Final = 0.005
# A little less than the interval, so that the tick that is due does not miss it.
_DUE_SHARE: Final = 0.9


class Pipeline:
    """All messages that were received and not settled. Make it inside a running event loop.

    Attributes:
        gate: whether the sink takes batches.
        freed: is set whenever there may be room for more messages.
        last_answer: what the sink answered last.
    """

    def __init__(
        self, limits: Limits, connection: Connection, sink: Sink, dead_letters: DeadLetterStream, clock: Clock
    ) -> None:
        self._limits = limits
        self._max_bytes = limits.batch_bytes
        self._connection = connection
        self._sink = sink
        self._dead_letters = dead_letters
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._open: dict[str, Batch] = {}
        self._closed: list[Batch] = []  # and not settled, the oldest first
        self._sending: dict[asyncio.Task[None], Batch] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._names: set[str] = set()
        self._is_stopping = False
        self.gate = Gate(SINK, _jitter)
        self.freed = asyncio.Event()
        self.last_answer: str | None = None

    @property
    def held_messages(self) -> int:
        """Messages that were received and not settled."""
        return sum(map(len, self._held()))

    @property
    def in_flight(self) -> int:
        """How many batches are at the sink."""
        return len(self._sending)

    # Arrival: into the open batch of its kind.

    def take(self, raw: bytes, reply: str) -> None:
        """Put a message where it belongs. Called for every single one."""
        if len(raw) > self._max_bytes:
            self._reject(letter_of(raw, too_large(raw, self._max_bytes), self._clock), raw, reply)
            return
        verdict = classify(raw)
        if verdict.reason is not None:
            self._reject(letter_of(raw, verdict, self._clock), raw, reply)
        elif verdict.kind in _KINDS:
            self._add(verdict.kind, raw, reply, verdict.symbol)
        else:
            metrics.IGNORED.labels(self._name(verdict.kind)).inc()
            self._add(_UNHANDLED, b"", reply, None)

    def _add(self, kind: str, raw: bytes, reply: str, symbol: str | None, letter: DeadLetter | None = None) -> None:
        batch = self._open.get(kind)
        if batch is not None and batch.size_bytes + len(raw) > self._max_bytes:
            self._close(batch)
            batch = None
        if batch is None:
            batch = self._open[kind] = Batch(kind, self._loop.time())
            self._loop.call_later(self._limits.batch_s, self._close, batch)
        batch.add(raw, reply, symbol)
        if letter is not None:
            batch.letters.append(letter)
        if len(batch.replies) >= self._limits.batch_messages:
            self._close(batch)

    def _reject(self, letter: DeadLetter, raw: bytes, reply: str) -> None:
        self._add(REJECTED, raw, reply, letter.symbol, letter)

    def _name(self, kind: str) -> str:
        if kind in self._names:
            return kind
        if len(self._names) >= _MAX_NAMES:
            return _OTHER
        self._names.add(kind)
        log.info("messages of this kind are not handled", extra={"kind": kind})
        return kind

    def _close(self, batch: Batch) -> None:
        """OPEN → WAITING: it is full, or old. Kinds that are not handled are SETTLED."""
        if batch.state is not State.OPEN:
            return  # the timer of a batch that was full before
        del self._open[batch.kind]
        metrics.REDELIVERED.inc(batch.seal())
        metrics.RECEIVED.labels(batch.kind).inc(len(batch))
        if batch.kind == _UNHANDLED:
            batch.state = State.SETTLED
            write = self._loop.create_task(self._connection.answer(acks.acknowledged(batch.replies)))
            self._writes.add(write)
            write.add_done_callback(self._writes.discard)
            return
        metrics.BATCH_MESSAGES.labels(batch.kind).observe(len(batch))
        metrics.BATCH_BYTES.labels(batch.kind).observe(batch.size_bytes)
        self._wait(batch)
        self._fill()

    def _wait(self, batch: Batch) -> None:
        batch.state = State.WAITING
        bisect.insort(self._closed, batch, key=_number)

    # At the sink: a few batches at once.

    def _fill(self) -> None:
        """WAITING, RETRYING → SENDING: as many as may go now."""
        while len(self._sending) < self._limits.in_flight and not self._is_stopping:
            now_s = self._loop.time()
            ready = [batch for batch in self._waiting() if batch.not_before_s <= now_s]
            if not ready or not self.gate.admits(now_s):
                return  # a timer is set for then
            # The oldest first; while the sink fails, the least tried.
            batch = ready[0] if self.gate.is_open else min(ready, key=_least_tried)
            batch.state = State.SENDING
            self.gate.sent()
            task = self._loop.create_task(self._send(batch))
            self._sending[task] = batch
            task.add_done_callback(functools.partial(self._ended, batch))

    def _ended(self, batch: Batch, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a batch was lost to a bug, the server will deliver it again", exc_info=error)
            self._settled(batch)
        self.freed.set()
        self._fill()

    async def _send(self, batch: Batch) -> None:
        """Offer a batch to the sink and do what its answer says."""
        try:
            answer = await self._offer(batch)
        finally:
            self.gate.returned()
        if answer is None or answer.outcome is Outcome.FAILED:
            await self._retry(batch)
        elif answer.outcome is Outcome.TAKEN:
            await self._acknowledge(batch)
        else:
            await self._refused(batch, answer.detail)

    async def _offer(self, batch: Batch) -> SinkAnswer | None:
        """Return the sink's answer; None while the dead-letter stream does not take what has to lie there first."""
        if batch.kind == REJECTED and not batch.is_kept:
            batch.is_kept = await self._dead_letters.keep(batch)
            if not batch.is_kept:
                return None
        started_s = self._loop.time()
        answer = await self._sink.post(event_of(batch, self._clock.now_ms()))
        metrics.SINK_SECONDS.labels(answer.outcome.value).observe(self._loop.time() - started_s)
        self._note(answer)
        return answer

    def _note(self, answer: SinkAnswer) -> None:
        self.last_answer = answer.detail
        has_failed = answer.outcome is Outcome.FAILED
        if has_failed and self.gate.is_open:
            log.warning("the sink does not take batches", extra={"error": answer.detail})
        elif not has_failed and not self.gate.is_open:
            log.info("the sink takes batches again")
        if has_failed:
            self.gate.failed(self._loop.time())
        else:
            self.gate.succeeded()
        metrics.SINK_UP.set(not has_failed)

    # What becomes of it.

    async def _acknowledge(self, batch: Batch) -> None:
        """SENDING → SETTLED: the sink took it, or what it refused is kept."""
        if batch.kind == REJECTED:
            await self._connection.answer(acks.terminated(batch.replies))
            for letter in batch.letters:
                metrics.DEAD_LETTERS.labels(str(letter.reason)).inc()
                metrics.FAILED.labels(letter.kind, error_type(letter.reason)).inc()
        else:
            await self._connection.answer(acks.acknowledged(batch.replies))
            metrics.DELIVERED.labels(batch.kind).inc(len(batch))
        self._settled(batch)

    async def _refused(self, batch: Batch, answer: str) -> None:
        """SENDING → WAITING in two halves, until the message at fault stands alone and becomes a dead letter."""
        if self._is_stopping:
            await self._give_back([batch], at_once=True)
        elif len(batch) > 1:
            self._settled(batch)
            for half in batch.halves():
                self._wait(half)
        elif batch.kind == REJECTED:
            log.error("the sink refuses a dead letter, it is in the stream alone", extra={"answer": answer})
            await self._acknowledge(batch)
        else:
            log.warning("the sink refused a message", extra={"kind": batch.kind, "answer": answer})
            self._settled(batch)
            self._reject(refused_letter(batch, answer, self._clock), batch.payloads[0], batch.replies[0])

    async def _retry(self, batch: Batch) -> None:
        """SENDING → RETRYING: the sink failed, or could not be asked."""
        if self._is_stopping:
            await self._give_back([batch], at_once=True)
            return
        now_s = self._loop.time()
        batch.state = State.RETRYING
        batch.failures += 1
        batch.failed_s = now_s if batch.failed_s is None else batch.failed_s
        batch.not_before_s = now_s + SINK.delay_s(batch.failures, _jitter())
        again_s = max(batch.not_before_s, self.gate.next_probe_s)
        self._loop.call_later(again_s - now_s + _TIMER_SLACK_S, self._fill)

    async def _give_back(self, batches: list[Batch], *, at_once: bool) -> None:
        """Any state → SETTLED: the server delivers the messages again, to whoever asks."""
        if not batches:
            return
        delay_s = _no_delay if at_once else REDELIVERY.delay_s
        count = sum(map(len, batches))
        log.info("messages given back to the server", extra={"count": count, "batches": len(batches)})
        metrics.RETURNED.inc(count)
        for batch in batches:
            self._settled(batch)
        await self._connection.answer([group for batch in batches for group in acks.given_back(batch.replies, delay_s)])

    def _settled(self, batch: Batch) -> None:
        batch.state = State.SETTLED
        if batch in self._closed:
            self._closed.remove(batch)

    # Room, time, end.

    def room(self, outstanding: int) -> int:
        """Return how many more messages may be asked for, beside those already asked for."""
        held = self._held()
        if self._is_stopping or sum(batch.size_bytes for batch in held) >= self._limits.held_bytes:
            return 0
        room = self._limits.held_messages - sum(map(len, held)) - outstanding
        return room if self.gate.is_open else min(room, self._probe_messages() - outstanding)

    async def run(self) -> None:
        """Keep the server and the metrics informed, for ever."""
        while True:
            await asyncio.sleep(self._limits.progress_s / 2)
            await self._signal()
            await self._give_back(self._overdue(), at_once=False)
            self._fill()
            self.freed.set()
            held = self._held()
            metrics.HELD_MESSAGES.set(sum(map(len, held)))
            metrics.HELD_BYTES.set(sum(batch.size_bytes for batch in held))
            metrics.IN_FLIGHT.set(self.in_flight)

    def stop_sending(self) -> None:
        """Begin to stop: nothing more goes to the sink, and no more messages are asked for."""
        self._is_stopping = True

    async def drain(self, grace_s: float) -> None:
        """Let the batches at the sink finish within ``grace_s`` seconds, and give back everything else at once."""
        self._is_stopping = True
        for batch in list(self._open.values()):
            self._close(batch)
        await self._give_back(self._waiting(), at_once=True)
        if self._sending:
            await asyncio.wait(list(self._sending), timeout=grace_s)
        unfinished = dict(self._sending)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, *self._writes, return_exceptions=True)
        await self._give_back(list(unfinished.values()), at_once=True)

    def _held(self) -> list[Batch]:
        return [*self._open.values(), *self._closed]

    def _waiting(self) -> list[Batch]:
        return [batch for batch in self._closed if batch.state is not State.SENDING]

    def _probe_messages(self) -> int:
        """Return how many messages may be pulled while the sink fails: none, or a few for one kept too long."""
        return PROBE_MESSAGES if len(self._closed) <= 1 and all(map(self._is_overdue, self._closed)) else 0

    async def _signal(self) -> None:
        now_s = self._loop.time()
        due = [batch for batch in self._closed if now_s - batch.signalled_s >= _DUE_SHARE * self._limits.progress_s]
        for batch in due:
            batch.signalled_s = now_s
        if due:
            await self._connection.answer([group for batch in due for group in acks.in_progress(batch.replies)])

    def _overdue(self) -> list[Batch]:
        overdue = [batch for batch in self._waiting() if self._is_overdue(batch)]
        if not self.gate.is_open and len(overdue) == len(self._closed):
            return overdue[1:]  # one stays, to find out when the sink is back
        return overdue

    def _is_overdue(self, batch: Batch) -> bool:
        """Tell whether a batch has waited for too long for a sink that fails."""
        since_s, shut_s = batch.failed_s, self.gate.shut_since_s
        if since_s is None and shut_s is not None:
            since_s = max(shut_s, batch.opened_s)
        return since_s is not None and self._loop.time() - since_s >= self._limits.hold_s


def _number(batch: Batch) -> int:
    return batch.number


def _least_tried(batch: Batch) -> tuple[int, int]:
    return batch.failures, batch.number


def _no_delay(_deliveries: int) -> float:
    return 0.0
