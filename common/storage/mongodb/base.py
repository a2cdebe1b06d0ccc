"""What the stores on MongoDB have in common: a database, the indexes of its collections, and signs of life."""

from collections.abc import Mapping, Sequence

from common.clock import Clock
from common.models.changes import Change
from common.storage.mongodb.changes import Changed, Changes, Span
from common.storage.mongodb.connection import Connection, bounded
from common.storage.mongodb.deletion import Old, delete
from common.storage.mongodb.schema import Ages, Indexes
from common.times import MINUTE_MS


class MongoStore:
    """A store on MongoDB.

    Args:
        connection: the database; closed with the store.
        ages: at which age documents are removed.
        clock: tells when a document was stored. It must be that of the server, whose TTL monitor compares with it.
    """

    def __init__(self, connection: Connection, ages: Ages, clock: Clock) -> None:
        self.connection = connection
        self._indexes = Indexes(connection, ages)
        self._clock = clock
        self._changes = Changes(connection, self._indexes, clock)

    @property
    def name(self) -> str:
        """Name of the store in answers."""
        return "mongodb"

    @bounded
    async def changes(self, after: int, *, limit: int) -> list[Change]:
        """Read the changes behind a number, ascending, up to where one may still come in between."""
        return await self._changes.after(after, limit)

    async def _delete(self, old: Mapping[str, Sequence[Old]], *, totals: Sequence[str] = ()) -> int:
        """Delete documents of series; a reader's cache notices it like any other change."""
        spans = {name: Span.of([one.time_ms for one in part]) for name, part in old.items()}
        async with self._changes.recorded(spans, totals=totals) as done:
            deleted = await delete(self.connection, old)
            done.update({name: Changed(deleted=count) for name, count in deleted.items()})
        return sum(deleted.values())

    async def _revision(self, name: str, kind: str) -> object | None:
        token = await self._changes.revision(name)
        if token is None or not self._indexes.expires(kind):
            return token
        return token, self._clock.now_ms() // MINUTE_MS  # the server looks for what is too old once a minute

    @bounded
    async def ping(self, *, write: bool = False) -> None:
        """Ask the server; with ``write``, write a document of its own."""
        await self.connection.ping(write=write)

    async def close(self) -> None:
        """Close all connections."""
        await self._indexes.stop()
        await self.connection.close()
