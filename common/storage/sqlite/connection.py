"""One SQLite file as a store uses it: one thread that writes, a few that read, nothing that blocks the event loop.

Connections are opened on first use and opened again after a fault, so a store comes back by itself when its lock is
released, its disk has room again, or its file is there again. What SQL runs is not decided here.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from common.errors import StoreUnavailable
from common.storage.sqlite import faults, files

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_READERS: Final = 4
_WAL_RETRY_S: Final = 0.01
# Eight KiB pages hold a book of twenty levels without overflow pages and were fastest for batches.
_PAGE_BYTES: Final = 8192
_WRITER_CACHE_KIB: Final = 8192
# The log is copied into the file whenever it has grown by so many pages, 32 MB: a page that was written several times
# meanwhile is copied once.
_LOG_PAGES: Final = 4000
# A long read lets the log grow; it is cut back to this afterwards.
_LOG_BYTES_KEPT: Final = 64 * 1024 * 1024


class Database:
    """A database file with its threads.

    Args:
        path: the file; it and its folder are created on first use.
        prepare: creates what is missing in a file that was just opened; runs in the writing thread.
        busy_timeout_ms: how long to wait for a lock that another process holds.
    """

    def __init__(self, path: Path, prepare: Work[None], *, busy_timeout_ms: int) -> None:
        self._path = path
        self._prepare = prepare
        self._timeout_s = busy_timeout_ms / 1000
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix=f"{path.stem}-write")
        self._read_threads = ThreadPoolExecutor(_READERS, thread_name_prefix=f"{path.stem}-read")
        self._file: files.FileIdentity | None = None
        self._writer: sqlite3.Connection | None = None
        self._failed_at = 0.0
        self._failure = ""
        self._local = threading.local()
        self._readers: set[sqlite3.Connection] = set()
        self._poller: tuple[files.FileIdentity, sqlite3.Connection] | None = None
        self._polls_opened = 0

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in one transaction, which is committed when it returns and rolled back when it raises.

        Raises:
            StoreUnavailable: nothing was written.
        """
        return await _in_thread(self._write_thread, partial(self._transact, work, time.monotonic()))

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` on a connection that cannot write.

        Raises:
            StoreUnavailable: nothing was read.
        """
        await self._ready()
        return await _in_thread(self._read_threads, partial(self._query, work))

    async def poll(self, statement: str, values: Sequence[str] = ()) -> tuple[int, int]:
        """Return the one number that ``statement`` selects, and a count that changes with its connection.

        It runs on the event loop, because it takes microseconds and does not wait there for a lock.

        Raises:
            StoreUnavailable: the file could not be read.
        """
        if self._file is None or files.identity(self._path) != self._file:  # as _ready does, without a coroutine
            await self._ready()
        try:
            value: int = self._polling_connection().execute(statement, values).fetchone()[0]
        except sqlite3.Error as error:
            if faults.breaks_connection(error):
                self._close_poller()
                raise self._translated(error) from error
            value = await self.read(partial(_number, statement=statement, values=values))
        return self._polls_opened, value

    async def prove_writable(self) -> None:
        """Prove that a batch could be written now: that the lock is to be had, and that the disk has room.

        Raises:
            StoreUnavailable: it could not.
        """
        await self.write(lambda _connection: files.require_space(self._path))

    async def close(self) -> None:
        """Wait for what is running and close every connection."""
        await asyncio.to_thread(self._close)

    # In the writing thread

    def _transact(self, work: Work[T], submitted: float) -> T:
        # What waited behind a writer that then failed must not wait for the same lock as long once more.
        if self._failed_at > submitted:
            raise StoreUnavailable(self._failure)
        try:
            connection = self._writing_connection()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                return work(connection)
        except sqlite3.Error as error:
            unavailable = self._translated(error)
            self._failed_at, self._failure = time.monotonic(), str(unavailable)
            if faults.breaks_connection(error):
                self._close_writer()
            raise unavailable from error

    def _writing_connection(self) -> sqlite3.Connection:
        found = files.identity(self._path)
        if found is None and self._file is not None:
            raise files.missing(self._path)
        if self._writer is not None and found == self._file:
            return self._writer
        self._close_writer()
        self._writer = self._open_writer(create=found is None)
        self._file = files.identity(self._path)
        return self._writer

    def _open_writer(self, *, create: bool) -> sqlite3.Connection:
        if create:
            files.make_folder(self._path)
        connection = self._connect("rwc" if create else "rw", self._timeout_s)
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            enter_wal(connection, self._timeout_s)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES_KEPT}")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self) -> None:
        try:
            self._writing_connection()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    # In a reading thread

    def _query(self, work: Work[T]) -> T:
        try:
            connection = self._reading_connection()
            with connection:
                connection.execute("BEGIN")  # all statements of one answer see the same state
                return work(connection)
        except sqlite3.Error as error:
            if faults.breaks_connection(error):
                self._close_reader()
            raise self._translated(error) from error

    def _reading_connection(self) -> sqlite3.Connection:
        link: tuple[files.FileIdentity | None, sqlite3.Connection] | None = getattr(self._local, "link", None)
        if link is not None and link[0] == self._file:
            return link[1]
        self._close_reader()
        connection = self._connect("rw", self._timeout_s)
        connection.execute("PRAGMA query_only = ON")
        self._readers.add(connection)
        self._local.link = (self._file, connection)
        return connection

    def _close_reader(self) -> None:
        link = getattr(self._local, "link", None)
        self._local.link = None
        if link is not None:
            self._readers.discard(link[1])
            link[1].close()

    # On the event loop

    async def _ready(self) -> None:
        if self._file is None or files.identity(self._path) != self._file:
            await _in_thread(self._write_thread, self._open)

    def _polling_connection(self) -> sqlite3.Connection:
        if self._poller is not None and self._poller[0] == self._file:
            return self._poller[1]
        self._close_poller()
        if self._file is None:
            raise files.missing(self._path)
        connection = self._connect("rw", 0)
        self._poller = (self._file, connection)
        self._polls_opened += 1
        return connection

    # Anywhere

    def _connect(self, mode: str, timeout_s: float) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )

    def _translated(self, error: sqlite3.Error) -> StoreUnavailable:
        """Return what a fault means to the caller; a bug is raised as it came."""
        if not faults.may_pass(error):
            raise error
        return StoreUnavailable(f"{self._path} was not available: {faults.describe(error)}")

    def _close(self) -> None:
        self._write_thread.shutdown()
        self._read_threads.shutdown()
        self._close_poller()
        while self._readers:
            self._readers.pop().close()
        self._close_writer()

    def _close_writer(self) -> None:
        connection, self._writer = self._writer, None
        if connection is not None:
            connection.close()

    def _close_poller(self) -> None:
        poller, self._poller = self._poller, None
        if poller is not None:
            poller[1].close()


def _number(connection: sqlite3.Connection, statement: str, values: Sequence[str]) -> int:
    value: int = connection.execute(statement, values).fetchone()[0]
    return value


async def _in_thread(executor: Executor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, call)


def enter_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Switch the file to a write-ahead log; SQLite does not wait by itself for the lock that this takes."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if faults.breaks_connection(error) or time.monotonic() >= deadline:
                raise
            time.sleep(_WAL_RETRY_S)
        else:
            return
