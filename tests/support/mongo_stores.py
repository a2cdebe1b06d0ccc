"""MongoDB stores for tests: each test has a database of its own, which is dropped afterwards."""

import gc
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TypeVar

import pymongo

from common.clock import Clock, SystemClock
from common.storage.mongodb.base import MongoStore
from common.storage.mongodb.connection import Connection, ConnectionOptions

S = TypeVar("S", bound=MongoStore)


class LaterClock(Clock):
    """The machine's clock, ahead by as much as a test wants."""

    ahead_ms = 0

    def now_ms(self) -> int:
        """Return the present of the test."""
        return SystemClock().now_ms() + self.ahead_ms


def options(url: str, database: str, *, timeout_ms: int = 20_000) -> ConnectionOptions:
    """Return how a test connects."""
    return ConnectionOptions(
        url=url,
        database=database,
        timeout_ms=timeout_ms,
        min_pool_size=0,
        max_pool_size=15,
    )


def collect_sockets() -> None:
    """Let go of the sockets that the driver leaves behind when it is closed while it tries to connect."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Yield the name of a database that nobody uses, and drop it afterwards."""
    name = f"petrosa_test_{uuid.uuid4().hex[:12]}"
    try:
        yield name
    finally:
        with pymongo.MongoClient(url) as client:  # type: ignore[var-annotated]
            client.drop_database(name)


@asynccontextmanager
async def opened(
    kind: type[S], connection: ConnectionOptions, ages: Mapping[str, int] | None = None, clock: Clock | None = None
) -> AsyncIterator[S]:
    """Open a store and close it afterwards."""
    store = kind(Connection(connection), ages or {}, clock or SystemClock())
    try:
        yield store
    finally:
        await store.close()


def opener(kind: type[S], connection: ConnectionOptions) -> Callable[[], AbstractAsyncContextManager[S]]:
    """Return what opens a store on one database, as often as it is called."""
    return lambda: opened(kind, connection)


def opener_of_fresh(kind: type[S], url: str) -> Callable[[], AbstractAsyncContextManager[S]]:
    """Return what opens a store on a database of its own at each call."""

    @asynccontextmanager
    async def open_fresh() -> AsyncIterator[S]:
        with fresh_database(url) as database:
            async with opened(kind, options(url, database)) as store:
                yield store

    return open_fresh
