"""Messages of kinds that the system does not handle: counted by name, logged once a kind, acknowledged."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from triggers.nats_bridge import metrics
from triggers.nats_bridge.batching import Scheduler

log = logging.getLogger(__name__)

# Names come from the wire: a sender that invents a new one each time must not fill the metrics.
_MAX_NAMES: Final = 50
_OTHER: Final = "other"
_MAX_WAITING: Final = 1000


class Ignored:
    """Collects the answers to such messages for ``wait_s`` seconds, then hands them to ``acknowledge`` together."""

    def __init__(self, wait_s: float, scheduler: Scheduler, acknowledge: Callable[[Sequence[str]], None]) -> None:
        self._wait_s = wait_s
        self._scheduler = scheduler
        self._acknowledge = acknowledge
        self._names: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._replies: list[str] = []

    def __len__(self) -> int:
        return len(self._replies)

    def add(self, kind: str, reply: str) -> None:
        """Count a message and have it acknowledged."""
        if not self._replies:
            self._scheduler.call_later(self._wait_s, self.flush)
        self._counts[self._name(kind)] += 1
        self._replies.append(reply)
        if len(self._replies) >= _MAX_WAITING:
            self.flush()

    def flush(self) -> None:
        """Acknowledge what has been collected."""
        for name, count in self._counts.items():
            metrics.IGNORED.labels(name).inc(count)
            metrics.RECEIVED.labels("unknown").inc(count)
        self._counts.clear()
        replies, self._replies = self._replies, []
        if replies:
            self._acknowledge(replies)

    def _name(self, kind: str) -> str:
        if kind in self._names:
            return kind
        if len(self._names) >= _MAX_NAMES:
            return _OTHER
        self._names.add(kind)
        log.info("messages of this kind are not handled", extra={"kind": kind})
        return kind
