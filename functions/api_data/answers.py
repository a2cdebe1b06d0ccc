"""Encoded answers, kept while they are true: the same question to unchanged data is answered with the same bytes.

An answer is true for one revision of its series. One that ends "now" also depends on the clock: it stays true until a
stored row that still lay ahead comes to lie in the past. Both are checked whenever an answer is taken.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

_ENTRY_BYTES = 512  # what an entry costs besides its text, roughly


class Validity(NamedTuple):
    """The instants for which an answer is the same: ``after_ms < now <= until_ms``."""

    after_ms: float = -math.inf
    until_ms: float = math.inf

    def holds(self, now_ms: int) -> bool:
        """Tell whether the answer is the same at ``now_ms``."""
        return self.after_ms < now_ms <= self.until_ms


class _Kept(NamedTuple):
    revision: object
    text: bytes
    validity: Validity


class Answers:
    """At most ``max_bytes`` of answers; the least recently used goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, revision: object | None, now_ms: int) -> bytes | None:
        """Return the answer to ``key`` if one is kept that is true for this revision and instant."""
        kept = self._kept.get(key)
        if kept is None or kept.revision != revision or not kept.validity.holds(now_ms):
            return None
        self._kept.move_to_end(key)
        return kept.text

    def put(self, key: Hashable, revision: object | None, text: bytes, validity: Validity) -> None:
        """Keep an answer that was read after the series stood at ``revision``; nothing is kept without one."""
        if revision is None or len(text) + _ENTRY_BYTES > self._max_bytes:
            return
        self._drop(key)
        self._kept[key] = _Kept(revision, text, validity)
        self._bytes += len(text) + _ENTRY_BYTES
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.text) + _ENTRY_BYTES
