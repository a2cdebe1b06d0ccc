"""What the stores in ``market.db`` have in common: the file, its changes, and signs of life."""

from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from common.models.changes import Change
from common.storage.sqlite import changes, reading, schema
from common.storage.sqlite.connection import Database

FILE_NAME: Final = "market.db"


class SqliteStore:
    """A store on an SQLite file. Several processes may hold one at a time: SQLite lets them take turns.

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

    async def changes(self, after: int, *, limit: int) -> list[Change]:
        """Read the changes of all series, of documents too, behind a number, ascending."""
        return await self._database.read(partial(changes.after, number=after, limit=limit))

    async def ping(self, *, write: bool = False) -> None:
        """Read from the file; with ``write``, take the write lock and look for room on the disk."""
        await self._database.read(reading.ask)
        if write:
            await self._database.prove_writable()

    async def close(self) -> None:
        """Finish what is running and release the file."""
        await self._database.close()
