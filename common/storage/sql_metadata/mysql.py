"""The metadata store's backend on a MySQL or MariaDB server: connections, session, tables, and what its errors mean.

Every wait is bounded: for a connection, for the server's answer and for locks. A connection is asked for a sign of life
before each use, and after one broke all others are renewed, so that the store recovers by itself. The driver is
synchronous; the store calls it in its threads.
"""

import threading
from inspect import signature
from typing import Any, Final

from sqlalchemy import URL, Engine, Pool, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from common.errors import ConfigurationError, StoreUnavailable
from common.settings import Settings
from common.storage.sql_metadata import mysql_faults
from common.storage.sql_metadata.migrations import HEAD, VERSION_TABLE, refuse_newer
from common.storage.sql_metadata.store import SqlMetadataStore

_FORM: Final = "mysql+pymysql://user:password@host:port/database, special characters of the password percent-encoded"
_SCHEMES: Final = frozenset({"mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"})

# Rewriting a large table of an older version takes its time.
_MIGRATION_TIMEOUT_S: Final = 600

# Nothing of the server's configuration decides what a value becomes or how long a lock is waited for.
_SESSION: Final = (
    "SET SESSION time_zone = '+00:00',"
    " sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION',"
    " innodb_lock_wait_timeout = {lock_s}, lock_wait_timeout = {lock_s}"
)


def open_mysql(settings: Settings) -> SqlMetadataStore:
    """Return the metadata store on the server that ``MYSQL_URI`` or ``MYSQL_HOST`` names.

    Raises:
        ConfigurationError: the address is not one of a MySQL database.
    """
    backend = MySqlBackend(
        settings.mysql_url or "",
        pool_size=settings.mysql_pool_size,
        max_overflow=settings.mysql_max_overflow,
        pool_timeout_s=settings.mysql_pool_timeout_seconds,
        recycle_s=settings.mysql_pool_recycle_seconds,
        connect_timeout_s=settings.mysql_connect_timeout_seconds,
        timeout_s=settings.mysql_timeout_seconds,
    )
    return SqlMetadataStore(backend)


class MySqlBackend:
    """A MySQL or MariaDB database.

    Args:
        address: where it is, with user and password.
        pool_size: connections that are kept open.
        max_overflow: connections beyond them at peaks.
        pool_timeout_s: how long a call waits for one.
        recycle_s: age at which a connection is replaced.
        connect_timeout_s: how long connecting may take.
        timeout_s: how long an answer may take; locks are given up a second earlier.

    Raises:
        ConfigurationError: the address is not one of a MySQL database.
    """

    name = "mysql"

    def __init__(
        self,
        address: str,
        *,
        pool_size: int,
        max_overflow: int,
        pool_timeout_s: float,
        recycle_s: int,
        connect_timeout_s: int,
        timeout_s: int,
    ) -> None:
        self._url = _parsed(address)
        self._connect_timeout_s = connect_timeout_s
        self._timeout_s = timeout_s
        self._is_prepared = False
        self._preparing = threading.Lock()
        self.connections = pool_size + max_overflow
        self.patience_s = pool_timeout_s
        self.engine = self._engine(
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=pool_timeout_s,
            pool_recycle=recycle_s,
            pool_pre_ping=True,
        )

    def prepare(self) -> None:
        """Create or migrate the tables, unless they are known to be of this program's version.

        Raises:
            StoreUnavailable: another call or process is at it.
            ConfigurationError: the account may not use the database, or the tables are not for this program.
        """
        if self._is_prepared:
            return
        if not self._preparing.acquire(timeout=self.patience_s):
            raise StoreUnavailable("the metadata store was being prepared")
        try:
            if not self._is_prepared:
                self._bring_up_to_date()
            self._is_prepared = True
        except DBAPIError as error:
            if mysql_faults.number(error) in mysql_faults.REFUSED:
                raise self._refusal(error) from error
            raise
        finally:
            self._preparing.release()

    def is_fault(self, error: DBAPIError) -> bool:
        """Tell lost connections, locks, full disks and servers that refuse from bugs."""
        return mysql_faults.is_fault(error)

    def was_undone(self, error: DBAPIError) -> bool:
        """Tell a transaction that lost a deadlock."""
        return mysql_faults.was_undone(error)

    def require_space(self) -> None:
        """Nothing is known of the server's disks until a write fails."""

    def _version(self) -> str | None:
        """Return the version of the tables, None for a database without them, which is made when it is missing."""
        try:
            with self.engine.connect() as connection:
                version: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
                return version
        except DBAPIError as error:
            if mysql_faults.number(error) == mysql_faults.UNKNOWN_DATABASE:
                self._create_database()
            elif mysql_faults.number(error) != mysql_faults.UNKNOWN_TABLE:
                raise
            return None

    def _create_database(self) -> None:
        engine = self._engine(self._url.set(database=""), poolclass=NullPool)
        quoted = engine.dialect.identifier_preparer.quote_identifier(self._database)
        with engine.connect() as connection:
            connection.exec_driver_sql(
                f"CREATE DATABASE IF NOT EXISTS {quoted} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            )

    def _bring_up_to_date(self) -> None:
        version = self._version()
        if version == HEAD:
            return
        refuse_newer(int(version or 0), f"database {self._database!r}", "name another database in MYSQL_URI")
        from common.storage.sql_metadata.migrations.upgrade import upgrade_server

        with self._engine(poolclass=NullPool, timeout_s=_MIGRATION_TIMEOUT_S).connect() as connection:
            upgrade_server(connection, wait_s=self._timeout_s)

    def _refusal(self, error: DBAPIError) -> ConfigurationError:
        return ConfigurationError(
            f"MYSQL_URI: the server refused the account or database {self._database!r}: {error.orig}. Correct user and "
            f"password, or create the database and grant the account ALL PRIVILEGES on it"
        )

    def _engine(
        self, url: URL | None = None, *, poolclass: type[Pool], timeout_s: int | None = None, **options: Any
    ) -> Engine:
        timeout_s = timeout_s or self._timeout_s
        return create_engine(
            url or self._url,
            isolation_level="READ COMMITTED",
            poolclass=poolclass,
            connect_args={
                "connect_timeout": self._connect_timeout_s,
                "read_timeout": timeout_s,
                "write_timeout": timeout_s,
                "init_command": _SESSION.format(lock_s=self._timeout_s - 1),
            },
            **options,
        )

    @property
    def _database(self) -> str:
        return self._url.database or ""


def _parsed(address: str) -> URL:
    """Read an address. Its errors do not show it, nor their cause, because it may hold a password."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"MYSQL_URI was not an address: expected {_FORM}") from None
    if url.drivername not in _SCHEMES:
        raise ConfigurationError(f"MYSQL_URI was not the address of a MySQL server: expected {_FORM}")
    if not url.database:
        raise ConfigurationError(f"MYSQL_URI named no database: expected {_FORM}")
    url = url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
    unknown = _unknown_options(url)
    if unknown:
        raise ConfigurationError(f"MYSQL_URI had options that the driver does not know: {', '.join(unknown)}")
    return url


def _unknown_options(url: URL) -> list[str]:
    """Return the options that would make every attempt to connect fail as a bug."""
    dialect: Any = url.get_dialect()
    driver = dialect.import_dbapi()
    try:
        _, given = dialect(dbapi=driver).create_connect_args(url)
    except ValueError:
        raise ConfigurationError("MYSQL_URI had an option whose value the driver does not know") from None
    return sorted(given.keys() - signature(driver.Connection).parameters.keys())
