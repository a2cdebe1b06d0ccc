"""What the metadata store needs to know of the database under it, and the backend on a file of one machine."""

import sqlite3
import threading
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import QueuePool

from common.storage.sql_metadata import file_format
from common.storage.sql_metadata.migrations import refuse_newer
from common.storage.sql_metadata.tables import METADATA
from common.storage.sqlite import faults, files
from common.storage.sqlite.connection import enter_wal

FILE_NAME: Final = file_format.FILE_NAME
FORMAT: Final = file_format.FORMAT
_FILE: Final = "file"

# Execution option of a transaction that is going to write.
WRITES: Final = "petrosa_writes"


class Backend(Protocol):
    """One kind of database. Every method runs in a worker thread."""

    @property
    def name(self) -> str:
        """Name of the store in answers."""
        ...

    @property
    def engine(self) -> Engine:
        """Where connections come from."""
        ...

    @property
    def connections(self) -> int:
        """How many calls are served at once."""
        ...

    @property
    def patience_s(self) -> float | None:
        """Seconds that a call waits for its turn; None: as long as it takes."""
        ...

    def prepare(self) -> None:
        """Create or migrate the tables where that is due; costs nothing once it is done.

        Raises:
            StoreUnavailable: the database is known to be away.
            ConfigurationError: the database can never be used as it is.
        """
        ...

    def is_fault(self, error: DBAPIError) -> bool:
        """Tell whether the database was at fault, and not the statement."""
        ...

    def was_undone(self, error: DBAPIError) -> bool:
        """Tell whether the database undid the whole transaction for another's sake, so that it may run again."""
        ...

    def require_space(self) -> None:
        """Raise ``StoreUnavailable`` when it is known that nothing more could be written."""
        ...


class SqliteBackend:
    """An SQLite file: write-ahead log, the write lock taken at once, connections to a lost file dropped.

    Args:
        folder: the state folder; the file in it is made on first use.
        busy_timeout_ms: how long to wait for another process that writes.
        connections: how many are kept open; not more are needed than threads that ask.
    """

    name = "sqlite"
    patience_s = None

    def __init__(self, folder: Path, *, busy_timeout_ms: int, connections: int) -> None:
        self._path = folder / FILE_NAME
        self._timeout_s = busy_timeout_ms / 1000
        self._prepared: files.FileIdentity | None = None
        self._preparing = threading.Lock()
        self.connections = connections
        self.engine = create_engine(
            URL.create("sqlite", database=str(self._path.absolute())),  # a text would be read as a URL: %, ? and #
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            connect_args={"timeout": self._timeout_s, "isolation_level": None, "check_same_thread": False},
        )
        event.listen(self.engine, "connect", self._configure)
        event.listen(self.engine, "checkout", self._check)
        event.listen(self.engine, "begin", _begin)

    def prepare(self) -> None:
        """Create the tables in a file that has none, and bring those of an earlier version up to date.

        Raises:
            StoreUnavailable: the file was there before and is missing.
            ConfigurationError: the file was written by a newer version of this program.
        """
        if self._is_prepared(files.identity(self._path)):
            return
        with self._preparing:
            found = files.identity(self._path)  # anew: another thread may have made the file meanwhile
            if self._is_prepared(found):
                return
            if found is None and self._prepared is not None:
                raise files.missing(self._path)
            files.make_folder(self._path)
            self._bring_up_to_date()
            self._prepared = files.identity(self._path)

    def _is_prepared(self, found: files.FileIdentity | None) -> bool:
        return found is not None and found == self._prepared

    def _bring_up_to_date(self) -> None:
        with self.engine.begin() as connection:
            found = _format_of(connection)
        while found < FORMAT:
            with self.engine.execution_options(**{WRITES: True}).begin() as connection:
                found = _format_of(connection)  # anew: another process may have been at it
                if found < FORMAT:
                    found = _step(connection, found)
                    connection.exec_driver_sql(f"PRAGMA user_version = {found}")

    def is_fault(self, error: DBAPIError) -> bool:
        """Tell locks, full disks and unreadable files from bugs; after the worse ones all connections are renewed."""
        cause = error.orig
        if not isinstance(cause, sqlite3.Error) or not faults.may_pass(cause):
            return False
        if faults.breaks_connection(cause):
            self.engine.dispose()
        return True

    def was_undone(self, error: DBAPIError) -> bool:  # noqa: ARG002 - the protocol's signature
        """Never: a transaction that writes holds the write lock from its beginning."""
        return False

    def require_space(self) -> None:
        """Look for room on the disk."""
        files.require_space(self._path)

    def _configure(self, connection: sqlite3.Connection, record: Any) -> None:
        enter_wal(connection, self._timeout_s)
        connection.execute("PRAGMA synchronous = NORMAL")
        record.info[_FILE] = files.identity(self._path)

    def _check(self, _connection: sqlite3.Connection, record: Any, _proxy: Any) -> None:
        if record.info.get(_FILE) != files.identity(self._path):
            raise DisconnectionError(f"{self._path} was replaced")


def _format_of(connection: Connection) -> int:
    """Return the format of the file, 0 for an empty one."""
    version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    refuse_newer(version, FILE_NAME, "choose another PETROSA_DATA_DIR")
    return version


def _step(connection: Connection, found: int) -> int:
    """Give a file without tables the newest ones, any other the next version; returns the format that it has then."""
    if found == 0:
        METADATA.create_all(connection)
        return FORMAT
    from common.storage.sql_metadata.migrations.upgrade import apply_version

    apply_version(connection, found + 1)
    return found + 1


def _begin(connection: Connection) -> None:
    # A transaction that reads first and takes the write lock later fails when another one wrote in between.
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
