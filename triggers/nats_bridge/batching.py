"""Groups messages by kind into batches that close when they are full or old."""

from collections.abc import Callable
from typing import Any, Protocol

from common.models.dead_letters import DeadLetter
from triggers.nats_bridge.batch import Batch, RejectedBatch
from triggers.nats_bridge.limits import Limits


class Timer(Protocol):
    """What ``call_later`` of an event loop returns."""

    def cancel(self) -> None:
        """Forget the call."""
        ...


class Scheduler(Protocol):
    """The part of an event loop that is needed: the monotonic time, and calls at a later one."""

    def time(self) -> float:
        """Return the monotonic time in seconds."""
        ...

    def call_later(self, delay: float, callback: Callable[..., Any], /, *args: Any) -> Timer:
        """Call ``callback`` after ``delay`` seconds."""
        ...


class Batcher:
    """The open batches, one a kind. A closed one is handed to ``on_closed``, in the order of closing."""

    def __init__(self, limits: Limits, scheduler: Scheduler, on_closed: Callable[[Batch], None]) -> None:
        self._max_messages = limits.batch_messages
        self._max_bytes = limits.batch_bytes
        self._max_age_s = limits.batch_s
        self._scheduler = scheduler
        self._on_closed = on_closed
        self._open: dict[str, Batch] = {}
        self._timers: dict[str, Timer] = {}
        self._rejected: RejectedBatch | None = None

    @property
    def open_batches(self) -> list[Batch]:
        """The batches that are not closed yet."""
        return list(self._open.values())

    def add(self, kind: str, symbol: str | None, payload: bytes, reply: str) -> None:
        """Put a message of at most ``batch_bytes`` into the open batch of its kind."""
        batch = self._open.get(kind)
        if batch is None:
            batch = self._start(Batch(kind, self._scheduler.time()))
        elif batch.size_bytes + len(payload) > self._max_bytes:
            self._close(kind)
            batch = self._start(Batch(kind, self._scheduler.time()))
        batch.payloads.append(payload)
        batch.replies.append(reply)
        batch.symbols.add(symbol)
        batch.size_bytes += len(payload) + 1
        if len(batch.replies) >= self._max_messages:
            self._close(kind)

    def reject(self, letter: DeadLetter, payload: bytes, reply: str) -> None:
        """Put a message that can never be processed into the open batch of the rejected ones."""
        batch = self._rejected
        if batch is None:
            batch = self._rejected = RejectedBatch(self._scheduler.time())
            self._start(batch)
        batch.letters.append(letter)
        batch.payloads.append(payload)
        batch.replies.append(reply)
        batch.symbols.add(letter.symbol)
        batch.size_bytes += len(payload) + 1
        if batch.size_bytes >= self._max_bytes or len(batch) >= self._max_messages:
            self._close(batch.kind)

    def take_open(self) -> list[Batch]:
        """Return the open batches and forget them."""
        batches = self.open_batches
        for timer in self._timers.values():
            timer.cancel()
        self._open.clear()
        self._timers.clear()
        self._rejected = None
        return batches

    def _start(self, batch: Batch) -> Batch:
        self._open[batch.kind] = batch
        self._timers[batch.kind] = self._scheduler.call_later(self._max_age_s, self._close, batch.kind)
        return batch

    def _close(self, kind: str) -> None:
        self._timers.pop(kind).cancel()
        batch = self._open.pop(kind)
        if batch is self._rejected:
            self._rejected = None
        self._on_closed(batch)
