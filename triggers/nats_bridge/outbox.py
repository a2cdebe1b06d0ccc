"""Hands closed batches to the sink, a few at once, and settles them with the server by what the sink answered."""

import asyncio
import bisect
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from common.events.sink import SinkAnswer
from common.events.statuses import Outcome
from triggers.nats_bridge import acks, metrics
from triggers.nats_bridge.backoff import REDELIVERY, SINK
from triggers.nats_bridge.batch import Batch, RejectedBatch
from triggers.nats_bridge.gate import Gate
from triggers.nats_bridge.limits import PROBE_MESSAGES, Limits
from triggers.nats_bridge.rejection import error_type

log = logging.getLogger(__name__)

# A timer may fire a little before its time.
_TIMER_SLACK_S: Final = 0.005
# A little less than the interval, so that the tick that is due does not miss it.
_DUE_SHARE: Final = 0.9
_LEFT_OUT: Final = SinkAnswer(Outcome.FAILED, "the dead-letter stream did not take it")


class Outbox:
    """Batches that wait, and batches that are out.

    A batch that the sink failed to take is kept and tried again, while the server is told that work goes on; when that
    lasts, it is given back to the server. A batch that the sink refused is halved until the message at fault stands
    alone.

    Args:
        limits: bounds.
        post: sends a batch to the sink.
        keep: puts rejected messages into the dead-letter stream; tells whether it did.
        answer: sends answers to the server.
        refused: is called with a batch of the one message that the sink refused.
        settled: is called whenever there is room for more.
        jitter: random numbers from 0 to 1.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        post: Callable[[Batch], Awaitable[SinkAnswer]],
        keep: Callable[[RejectedBatch], Awaitable[bool]],
        answer: Callable[[bytes], Awaitable[None]],
        refused: Callable[[Batch, str], None],
        settled: Callable[[], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._post = post
        self._keep = keep
        self._answer = answer
        self._refused = refused
        self._settled = settled
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Batch] = []
        self._out: dict[asyncio.Task[None], Batch] = {}
        self._is_draining = False
        self.gate = Gate(SINK, jitter)
        self.last_answer: str | None = None

    @property
    def held(self) -> list[Batch]:
        """All batches that are not settled."""
        return [*self._waiting, *self._out.values()]

    @property
    def in_flight(self) -> int:
        """How many batches are at the sink."""
        return len(self._out)

    def put(self, batch: Batch) -> None:
        """Send a batch as soon as it is its turn."""
        bisect.insort(self._waiting, batch, key=_number)
        self._fill()

    def allowance(self) -> int | None:
        """Return how many messages may be pulled in view of the sink: no bound, or few or none while it fails."""
        if self.gate.is_open:
            return None
        now_s = self._loop.time()
        held = self.held
        if all(now_s - self._kept_since_s(batch) >= self._limits.hold_s for batch in held) and len(held) <= 1:
            return PROBE_MESSAGES  # in exchange for the one that has been kept too long
        return 0

    async def tick(self) -> None:
        """Tell the server that work goes on, and give back what was kept too long. Call it every ``progress_s`` / 2."""
        await self._signal()
        overdue = self._overdue()
        for batch in overdue:
            self._waiting.remove(batch)
        await self._give_back(overdue, at_once=False)
        self._fill()
        await self._settled()

    async def drain(self, grace_s: float) -> None:
        """Let the batches at the sink finish within ``grace_s`` seconds, and give back everything else at once."""
        self._is_draining = True
        waiting, self._waiting = self._waiting, []
        await self._give_back(waiting, at_once=True)
        if not self._out:
            return
        _, unfinished = await asyncio.wait(list(self._out), timeout=grace_s)
        batches = [self._out[task] for task in unfinished]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        await self._give_back(batches, at_once=True)

    def _fill(self) -> None:
        """Start as many batches as may go now, the oldest first; while the sink fails, the least tried first."""
        while self._waiting and len(self._out) < self._limits.in_flight and not self._is_draining:
            now_s = self._loop.time()
            ready = [batch for batch in self._waiting if batch.not_before_s <= now_s]
            if not ready or not self.gate.admits(now_s):
                return  # a timer is set for then
            batch = ready[0] if self.gate.is_open else min(ready, key=_least_tried)
            self._waiting.remove(batch)
            self.gate.sent()
            task = self._loop.create_task(self._send(batch))
            self._out[task] = batch
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._out.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a batch was lost to a bug, the server will deliver it again", exc_info=error)
        self._fill()

    async def _send(self, batch: Batch) -> None:
        try:
            if isinstance(batch, RejectedBatch) and not batch.is_kept:
                batch.is_kept = await self._keep(batch)
                if not batch.is_kept:
                    await self._retry(batch, _LEFT_OUT)
                    return
            started_s = self._loop.time()
            answer = await self._post(batch)
            metrics.SINK_SECONDS.labels(answer.outcome.value).observe(self._loop.time() - started_s)
            await self._settle(batch, answer)
        finally:
            self.gate.returned()
        await self._settled()

    async def _settle(self, batch: Batch, answer: SinkAnswer) -> None:
        self.last_answer = answer.detail
        if answer.outcome is Outcome.FAILED:
            if self.gate.is_open:
                log.warning("the sink does not take batches", extra={"error": answer.detail})
            self.gate.failed(self._loop.time())
            metrics.SINK_UP.set(0)
            await self._retry(batch, answer)
            return
        if not self.gate.is_open:
            log.info("the sink takes batches again")
        self.gate.succeeded()
        metrics.SINK_UP.set(1)
        if answer.outcome is Outcome.TAKEN:
            await self._done(batch)
        else:
            await self._split(batch, answer.detail)

    async def _done(self, batch: Batch) -> None:
        if isinstance(batch, RejectedBatch):
            await self._answer(acks.terminated(batch.replies))
            for letter in batch.letters:
                metrics.DEAD_LETTERS.labels(str(letter.reason)).inc()
                metrics.FAILED.labels(letter.kind, error_type(letter.reason)).inc()
            return
        await self._answer(acks.acknowledged(batch.replies))
        metrics.DELIVERED.labels(batch.kind).inc(len(batch))

    async def _split(self, batch: Batch, answer: str) -> None:
        if self._is_draining:
            await self._give_back([batch], at_once=True)
        elif len(batch) > 1:
            for half in batch.halves():
                self.put(half)
        elif isinstance(batch, RejectedBatch):
            log.error("the sink refuses a dead letter, it is in the stream alone", extra={"answer": answer})
            await self._done(batch)
        else:
            self._refused(batch, answer)

    async def _retry(self, batch: Batch, answer: SinkAnswer) -> None:
        if self._is_draining:
            await self._give_back([batch], at_once=True)
            return
        now_s = self._loop.time()
        batch.failures += 1
        batch.failed_s = now_s if batch.failed_s is None else batch.failed_s
        batch.not_before_s = now_s + SINK.delay_s(batch.failures, self._jitter())
        log.debug("will try again", extra={"batch": batch.number, "count": len(batch), "error": answer.detail})
        bisect.insort(self._waiting, batch, key=_number)
        again_s = max(batch.not_before_s, self.gate.next_probe_s)
        self._loop.call_later(again_s - now_s + _TIMER_SLACK_S, self._fill)

    async def _signal(self) -> None:
        now_s = self._loop.time()
        due = [batch for batch in self.held if now_s - batch.signalled_s >= _DUE_SHARE * self._limits.progress_s]
        for batch in due:
            batch.signalled_s = now_s
        await self._answer(b"".join(acks.in_progress(batch.replies) for batch in due))

    def _overdue(self) -> list[Batch]:
        now_s = self._loop.time()
        overdue = [batch for batch in self._waiting if now_s - self._kept_since_s(batch) >= self._limits.hold_s]
        if not self.gate.is_open and len(overdue) == len(self.held):
            return overdue[1:]  # one stays, to find out when the sink is back
        return overdue

    def _kept_since_s(self, batch: Batch) -> float:
        """Return since when a batch waits for a sink that fails; the far future when the sink does not."""
        if batch.failed_s is not None:
            return batch.failed_s
        shut_s = self.gate.shut_since_s
        return float("inf") if shut_s is None else max(shut_s, batch.opened_s)

    async def _give_back(self, batches: list[Batch], *, at_once: bool) -> None:
        if not batches:
            return
        delay_s = _no_delay if at_once else REDELIVERY.delay_s
        count = sum(map(len, batches))
        log.info("messages given back to the server", extra={"count": count, "batches": len(batches)})
        metrics.RETURNED.inc(count)
        await self._answer(b"".join(acks.given_back(batch.replies, delay_s) for batch in batches))


def _number(batch: Batch) -> int:
    return batch.number


def _least_tried(batch: Batch) -> tuple[int, int]:
    return batch.failures, batch.number


def _no_delay(_deliveries: int) -> float:
    return 0.0
