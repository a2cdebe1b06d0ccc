"""Stores in memory, for tests of what stands in front of a store: they keep the promises of the ports to readers.

``failing`` makes every call raise ``StoreUnavailable``, as an unreachable server would; ``reads`` and ``polls`` count
what was asked; ``interruptions`` are carried out one before each of the next reads, as another process would; a
revision takes ``revision_turns`` of the event loop to arrive.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, TypeVar

from common.errors import StoreUnavailable
from common.models.dead_letters import DeadLetter, Reason
from common.models.families import FAMILIES, Family, Series
from common.models.metadata import HealthMetric
from common.models.rows import CandleRow, MarketRow
from common.storage.columns import CandleColumns
from common.storage.ports import AnalyticsDocument, Page, Part, Window, WriteCounts

T = TypeVar("T")


def selected(rows: Iterable[T], window: Window, time_of: Callable[[T], int]) -> list[T]:
    """Return what ``window`` means of ``rows``, which are sorted ascending."""
    inside = [
        row
        for row in rows
        if (window.start_ms is None or window.start_ms <= time_of(row))
        and (window.end_ms is None or time_of(row) < window.end_ms)
    ]
    if window.from_newest:
        inside.reverse()
    page = inside[window.offset : window.offset + window.limit]
    return window.arranged(page)


@dataclass
class MemoryStore:
    """What the stores share: failing on demand, and a revision that counts the writes."""

    name: str = "memory"
    failing: bool = False
    writable: bool = True
    has_revision: bool = True
    revision_turns: int = 0
    polls: int = 0
    reads: int = 0
    writes: int = 0
    interruptions: list[Callable[[], None] | None] = field(default_factory=list)

    async def revision(self, *_series: object) -> object | None:
        self._ask()
        self.polls += 1
        revision = self.writes if self.has_revision else None
        for _ in range(self.revision_turns):
            await asyncio.sleep(0)
        return revision

    async def ping(self, *, write: bool = False) -> None:
        self._ask()
        if write and not self.writable:
            raise StoreUnavailable("the disk was full")

    async def close(self) -> None:
        pass

    def _ask(self) -> None:
        if self.failing:
            raise StoreUnavailable("secret-host:27017 refused the connection")

    def _read(self) -> None:
        self._ask()
        self.reads += 1
        interruption = self.interruptions.pop(0) if self.interruptions else None
        if interruption is not None:
            interruption()


@dataclass
class MemoryMarketStore(MemoryStore):
    """Market rows by their keys; the last write of a key wins."""

    rows: dict[Family, dict[tuple[object, ...], MarketRow]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)

    def put(self, family: Family, rows: Sequence[MarketRow], dead_letters: Sequence[DeadLetter] = ()) -> None:
        table = self.rows.setdefault(family, {})
        spec = FAMILIES[family]
        key = itemgetter(*(spec.row._fields.index(field) for field in (*spec.scope, *spec.order)))
        table.update((key(row), row) for row in rows)
        self.letters.extend(dead_letters)
        self.writes += 1

    def forget(self, family: Family, cutoff_ms: int) -> None:
        table = self.rows.get(family, {})
        self.rows[family] = {key: row for key, row in table.items() if row.time_ms >= cutoff_ms}
        self.writes += 1

    async def write(self, parts: Sequence[Part], dead_letters: Sequence[DeadLetter] = ()) -> WriteCounts:
        self._ask()
        for part in parts:
            self.put(part.family, part.rows)
        self.letters.extend(dead_letters)
        self.writes += 1
        return WriteCounts(inserted=sum(len(part.rows) for part in parts), dead_letters=len(dead_letters))

    def _series(self, series: Series) -> list[Any]:
        width = len(series.scope)
        table = self.rows.get(series.family, {})
        return [row for _, row in sorted(table.items()) if row[:width] == series.scope]

    async def page(self, series: Series, window: Window, *, counted: bool = True) -> Page[Any]:
        self._read()
        rows = self._series(series)
        found = selected(rows, window, lambda row: row.time_ms)
        if not counted or not rows:
            return Page(found)
        total = len(selected(rows, replace(window, limit=len(rows), offset=0), lambda row: row.time_ms))
        end_ms = math.inf if window.end_ms is None else window.end_ms
        before = [row.time_ms for row in rows if row.time_ms < end_ms]
        after = [row.time_ms for row in rows if row.time_ms >= end_ms]
        return Page(found, total, rows[-1].time_ms, max(before, default=None), min(after, default=None))

    async def columns(
        self, series: Series, *, end_ms: int, bars: int | None = None, start_ms: int | None = None
    ) -> CandleColumns:
        from tests.support.candles import columns_of  # imports numpy

        self._read()
        rows: list[CandleRow] = [
            row
            for row in self._series(series)
            if row.is_closed
            and row.time_ms + series.interval_ms <= end_ms
            and (start_ms is None or start_ms <= row.time_ms)
        ]
        return columns_of(rows if bars is None else rows[-bars:])

    async def dead_letters(
        self, *, kind: str | None = None, reason: Reason | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[DeadLetter], int]:
        self._read()
        found = [
            letter
            for letter in sorted(self.letters, key=lambda letter: letter.time_ms, reverse=True)
            if kind in (None, letter.kind) and reason in (None, letter.reason)
        ]
        return found[offset : offset + limit], len(found)


@dataclass
class MemoryAnalyticsStore(MemoryStore):
    """Documents by symbol, metric, timeframe and ``as_of_ms``."""

    saved: dict[tuple[str, str, str | None, int], AnalyticsDocument] = field(default_factory=dict)

    async def save(self, documents: Sequence[AnalyticsDocument]) -> int:
        self._ask()
        self.saved.update(
            ((document.symbol, document.metric, document.timeframe, document.as_of_ms), document)
            for document in documents
        )
        self.writes += 1
        return len(documents)

    async def documents(
        self, symbol: str, metric: str, timeframe: str | None, window: Window
    ) -> list[AnalyticsDocument]:
        self._read()
        series = [
            document
            for document in self.saved.values()
            if (document.symbol, document.metric, document.timeframe) == (symbol, metric, timeframe)
        ]
        series.sort(key=lambda document: document.as_of_ms)
        return selected(series, window, lambda document: document.as_of_ms)

    async def count_documents(
        self, symbol: str, metric: str, timeframe: str | None, *, start_ms: int | None, end_ms: int | None
    ) -> int:
        everything = Window(start_ms, end_ms, limit=len(self.saved))
        return len(await self.documents(symbol, metric, timeframe, everything))

    async def newest_computed_at(self, metric: str | None = None) -> int | None:
        self._read()
        times = (saved.computed_at_ms for saved in self.saved.values() if metric in (None, saved.metric))
        return max(times, default=None)


@dataclass
class MemoryMetadataStore(MemoryStore):
    """Health scores."""

    health: dict[str, HealthMetric] = field(default_factory=dict)

    async def save_health(self, metrics: Sequence[HealthMetric]) -> int:
        self._ask()
        self.health.update((metric.metric_id, metric) for metric in metrics)
        self.writes += 1
        return len(metrics)

    async def latest_health(self, symbol: str | None = None) -> list[HealthMetric]:
        self._read()
        newest: dict[str, HealthMetric] = {}
        for metric in sorted(self.health.values(), key=lambda metric: metric.time_ms):
            if symbol in (None, metric.symbol):
                newest[metric.dataset_id] = metric
        return sorted(newest.values(), key=lambda metric: metric.dataset_id)
