"""What the stores on MongoDB have in common: a database, the indexes of its collections, and signs of life."""

from common.clock import Clock
from common.storage.mongodb.connection import Connection, bounded
from common.storage.mongodb.schema import Ages, Indexes


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

    @property
    def name(self) -> str:
        """Name of the store in answers."""
        return "mongodb"

    @bounded
    async def ping(self, *, write: bool = False) -> None:
        """Ask the server; with ``write``, write a document of its own."""
        await self.connection.ping(write=write)

    async def close(self) -> None:
        """Close all connections."""
        await self._indexes.stop()
        await self.connection.close()
