"""The market store of one machine: market data and dead letters in ``market.db`` of the state folder."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from common.models.changes import Change, Contradiction
from common.models.dead_letters import DEAD_LETTERS, DeadLetter, Reason
from common.models.families import Family, Series
from common.storage.columns import CandleColumns
from common.storage.ports import Page, Part, SeriesExtent, Window, WriteCounts
from common.storage.sqlite import changes, deletion, reading, schema
from common.storage.sqlite.connection import Database
from common.storage.sqlite.writing import write_batch

if TYPE_CHECKING:
    import sqlite3

FILE_NAME: Final = "market.db"
_REVISION: Final = "SELECT coalesce(max(change), 0) FROM series WHERE name = ?"


class SqliteMarketStore:
    """``MarketStore`` on an SQLite file. Several processes may hold one at a time: SQLite lets them take turns.

    Args:
        folder: the state folder; the file in it is made on first use.
        busy_timeout_ms: how long to wait for another process that writes.
    """

    never_waits: ClassVar = ("revision",)  # polled for every answer, within microseconds

    def __init__(self, folder: Path, *, busy_timeout_ms: int) -> None:
        self._database = Database(folder / FILE_NAME, schema.prepare, busy_timeout_ms=busy_timeout_ms)

    @property
    def name(self) -> str:
        """Name of the store in answers."""
        return "sqlite"

    async def write(self, parts: Sequence[Part], dead_letters: Sequence[DeadLetter] = ()) -> WriteCounts:
        """Store the rows of a batch and its dead letters in one transaction."""
        if not dead_letters and not any(part.rows for part in parts):
            return WriteCounts()
        return await self._database.write(partial(write_batch, parts=parts, dead_letters=dead_letters))

    async def page(self, series: Series, window: Window, *, counted: bool = True) -> Page[Any]:
        """Read rows of a series, and its place in the series, in one transaction."""
        return await self._database.read(partial(reading.page, series=series, window=window, counted=counted))

    async def columns(
        self, series: Series, *, end_ms: int, bars: int | None = None, start_ms: int | None = None
    ) -> CandleColumns:
        """Read closed candles that had closed by ``end_ms`` into numpy arrays, ascending."""

        def read(connection: "sqlite3.Connection") -> CandleColumns:
            from common.storage.sqlite.arrays import candle_columns  # numpy loads where it is used

            first_ms = reading.EARLIEST if start_ms is None else start_ms
            opened = (first_ms, end_ms - series.interval_ms)
            return candle_columns(connection, series, opened, bars)

        return await self._database.read(read)

    async def extent(self, series: Series, *, end_ms: int | None = None) -> SeriesExtent:
        """Count the rows of a series and find its ends."""
        return await self._database.read(partial(reading.extent, series=series, end_ms=end_ms))

    async def totals(self) -> Mapping[Family, int]:
        """Count the rows of each family over all symbols; exact, from counters that the writes maintain."""
        return await self._database.read(reading.totals)

    async def dead_letters(
        self, *, kind: str | None = None, reason: Reason | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[DeadLetter], int]:
        """Read dead letters without their payloads, newest first, and count all that match."""
        return await self._database.read(
            partial(reading.dead_letters, kind=kind, reason=reason, limit=limit, offset=offset)
        )

    async def dead_letter(self, dead_letter_id: str) -> DeadLetter | None:
        """Read one dead letter, whole."""
        return await self._database.read(partial(reading.dead_letter, dead_letter_id=dead_letter_id))

    async def delete(self, what: Family | Literal["dead_letters"], before_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` of the rows older than ``before_ms`` and return how many went."""
        work = (
            deletion.delete_dead_letters_before
            if what == DEAD_LETTERS
            else partial(deletion.delete_rows_before, family=Family(what))
        )
        return await self._database.write(partial(work, before_ms=before_ms, limit=limit))

    async def newest_ms(self, family: Family) -> int | None:
        """Return the time of the newest row of a family over all symbols."""
        return await self._database.read(partial(reading.newest_ms, family=family))

    async def revision(self, series: Series) -> object | None:
        """Return a token that changes with every change of the series, by whichever process."""
        return await self._database.poll(_REVISION, (series.dataset_id,))

    async def changes(self, after: int, *, limit: int) -> list[Change]:
        """Read the changes of all series, of documents too, behind a number, ascending."""
        return await self._database.read(partial(changes.after, number=after, limit=limit))

    async def contradictions(
        self, series: Series | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Contradiction], int]:
        """Read facts that contradict stored ones (of a series), newest first, and count them."""
        name = None if series is None else series.dataset_id
        return await self._database.read(partial(changes.contradictions, dataset_id=name, limit=limit, offset=offset))

    async def ping(self, *, write: bool = False) -> None:
        """Read from the file; with ``write``, take the write lock and look for room on the disk."""
        await self._database.read(reading.ask)
        if write:
            await self._database.prove_writable()

    async def close(self) -> None:
        """Finish what is running and release the file."""
        await self._database.close()
