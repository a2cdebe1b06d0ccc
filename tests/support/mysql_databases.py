"""Databases for single tests on a MySQL server: made under a name of their own, looked into, dropped afterwards."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from common.settings import Settings
from common.storage.sql_metadata.mysql import open_mysql
from common.storage.sql_metadata.store import SqlMetadataStore
from tests.support.servers.mysql import MySqlServer

TIMEOUT_S = 2


def administrator(server: MySqlServer, database: str = "", **parts: Any) -> Engine:
    """Return connections that the tests use themselves; statements take effect at once."""
    return create_engine(
        make_url(server.url).set(database=database, **parts),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5, "read_timeout": 30},
    )


def ask(server: MySqlServer, *statements: str, database: str = "") -> list[dict[str, Any]]:
    """Run statements and return the rows of the last one."""
    rows: list[dict[str, Any]] = []
    with administrator(server, database).connect() as connection:
        for statement in statements:
            result = connection.execute(text(statement))
            rows = [dict(row) for row in result.mappings()] if result.returns_rows else []
    return rows


@contextmanager
def new_database(server: MySqlServer, *, made: bool = True) -> Iterator[str]:
    """Name a database that is dropped afterwards; ``made``: there, and empty."""
    name = f"petrosa_test_{uuid.uuid4().hex[:16]}"
    if made:
        ask(server, f"CREATE DATABASE {name}")
    yield name
    ask(server, f"DROP DATABASE IF EXISTS {name}")


def address(server: MySqlServer, database: str, **parts: Any) -> str:
    """Return the URI of a database; ``parts`` replace those of the server's."""
    url: URL = make_url(server.url).set(database=database, **parts)
    return url.render_as_string(hide_password=False)


@asynccontextmanager
async def opened(uri: str, **changes: Any) -> AsyncIterator[SqlMetadataStore]:
    """Open a store with short waits."""
    waits = {"mysql_timeout_seconds": TIMEOUT_S, "mysql_connect_timeout_seconds": TIMEOUT_S}
    store = open_mysql(Settings(mysql_uri=uri, **{**waits, **changes}))
    try:
        yield store
    finally:
        await store.close()
