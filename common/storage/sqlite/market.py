"""The market store of one machine: market data and dead letters in ``market.db`` of the state folder."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from common.models.changes import Contradiction
from common.models.dead_letters import DEAD_LETTERS, DeadLetter, Reason
from common.models.families import Family, Series
from common.storage.columns import CandleColumns
from common.storage.ports import Page, Part, SeriesExtent, Window, WriteCounts
from common.storage.sqlite import changes, deletion, reading
from common.storage.sqlite.base import SqliteStore
from common.storage.sqlite.writing import write_batch

if TYPE_CHECKING:
    import sqlite3

_REVISION: Final = "SELECT coalesce(max(change), 0) FROM series WHERE name = ?"


class SqliteMarketStore(SqliteStore):
    """``MarketStore`` on an SQLite file."""

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

    async def contradictions(
        self, series: Series | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Contradiction], int]:
        """Read facts that contradict stored ones (of a series), newest first, and count them."""
        name = None if series is None else series.dataset_id
        return await self._database.read(partial(changes.contradictions, dataset_id=name, limit=limit, offset=offset))
