"""The embedded market store in a folder of its own, which counts what it is asked, and which others write meanwhile."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.models.families import Family, Series
from common.models.rows import MarketRow
from common.storage.columns import CandleColumns
from common.storage.ports import Page, Part, Window
from common.storage.sqlite import schema
from common.storage.sqlite.deletion import delete_rows_before
from common.storage.sqlite.market import SqliteMarketStore
from common.storage.sqlite.writing import write_batch


class WatchedStore(SqliteMarketStore):
    """A store and another writer of its file.

    Attributes:
        other: the connection of the other writer.
        datasets: what was read, one entry a read.
        polls: how often a revision was asked for.
        interruption: carried out before the next page is read.
        revision_turns: turns of the event loop that a revision takes to arrive.
        has_revision: whether there are revisions at all.
    """

    def __init__(self, folder: Path, other: sqlite3.Connection) -> None:
        super().__init__(folder, busy_timeout_ms=2000)
        self.other = other
        self.datasets: list[str] = []
        self.polls = 0
        self.interruption: Callable[[], None] | None = None
        self.revision_turns = 0
        self.has_revision = True

    def put(self, family: Family, rows: Sequence[MarketRow]) -> None:
        """Write rows as another process does."""
        with self.other:
            self.other.execute("BEGIN IMMEDIATE")
            write_batch(self.other, [Part(family, rows)], ())

    def forget(self, family: Family, before_ms: int) -> None:
        """Delete old rows as another process does."""
        with self.other:
            self.other.execute("BEGIN IMMEDIATE")
            delete_rows_before(self.other, family, before_ms, 1000)

    async def revision(self, series: Series) -> object | None:
        self.polls += 1
        revision = await super().revision(series) if self.has_revision else None
        for _ in range(self.revision_turns):
            await asyncio.sleep(0)
        return revision

    async def page(self, series: Series, window: Window, *, counted: bool = True) -> Page[Any]:
        self.datasets.append(series.dataset_id)
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            interruption()
        return await super().page(series, window, counted=counted)

    async def columns(
        self, series: Series, *, end_ms: int, bars: int | None = None, start_ms: int | None = None
    ) -> CandleColumns:
        self.datasets.append(series.dataset_id)
        return await super().columns(series, end_ms=end_ms, bars=bars, start_ms=start_ms)


@contextmanager
def watched_store() -> Iterator[WatchedStore]:
    """Open such a store on a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "market.db"
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("PRAGMA synchronous = OFF")
        schema.prepare(other)
        store = WatchedStore(Path(folder), other)
        try:
            yield store
        finally:
            asyncio.run(store.close())
            other.close()
