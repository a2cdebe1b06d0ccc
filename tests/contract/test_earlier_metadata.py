"""Metadata that an earlier version of this program wrote: opened, every row kept, the contract fulfilled.

``written_before`` holds what version 80fd9b4 itself wrote: a dump of its file, and of its tables on a server.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text

from common.errors import ConfigurationError
from common.models.metadata import JobStatus
from common.storage.ports import MetadataStore
from common.storage.sql_metadata import backend, file_format, migrations, mysql
from common.storage.sql_metadata.backend import FILE_NAME
from common.storage.sql_metadata.migrations import upgrade
from common.storage.sql_metadata.store import open_sqlite
from tests.contract.metadata_store_contract import (
    START_MS,
    MetadataStoreContract,
    OpenMetadataStore,
    audit,
    dataset,
    health,
    job,
    lineage,
    using,
)
from tests.contract.test_mysql_metadata_migrations import form_of
from tests.contract.test_sqlite_metadata_store import opened as opened_file
from tests.support.mysql_databases import address, administrator, ask, new_database
from tests.support.mysql_databases import opened as opened_server
from tests.support.servers.mysql import MySqlServer

WRITTEN: Final = Path(__file__).parent / "written_before"
NEXT: Final = """
from alembic import op
from sqlalchemy import Column, String

revision = "2"
down_revision = "1"

def upgrade():
    op.add_column("watermarks", Column("note", String(20)))
    {then}
"""


def made_file(folder: Path, *, rows: bool = True) -> None:
    """Make the state folder of the earlier version."""
    folder.mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.executescript((WRITTEN / "metadata.sqlite.sql").read_text())
    if not rows:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        connection.executescript("".join(f"DELETE FROM {name};" for (name,) in tables))
    connection.close()


def made_database(server: MySqlServer, name: str, *, rows: bool = True) -> None:
    """Make the database of the earlier version."""
    statements = (WRITTEN / "metadata.mysql.sql").read_text().split(";\n")
    kept = ("CREATE", "INSERT INTO petrosa_metadata_version")
    with administrator(server, name).connect() as connection:
        for statement in filter(None, statements):
            if rows or statement.startswith(kept):
                connection.execute(text(statement.replace(":", r"\:")))


@pytest.fixture
def database(mysql_server: MySqlServer) -> Iterator[str]:
    with new_database(mysql_server) as name:
        yield name


class TestFileOfAnEarlierVersion(MetadataStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenMetadataStore:
        made_file(tmp_path, rows=False)
        return lambda: opened_file(tmp_path)


class TestDatabaseOfAnEarlierVersion(MetadataStoreContract):
    @pytest.fixture
    def open_store(self, mysql_server: MySqlServer, database: str) -> OpenMetadataStore:
        made_database(mysql_server, database, rows=False)
        return lambda: opened_server(address(mysql_server, database))


async def _holds_every_row(store: MetadataStore) -> None:
    assert await store.watermark("slots:analytics") == 2**53 + 1
    assert await store.latest_health() == [
        health(1),
        health(2, "trades_ETHUSDT", "ETHUSDT", completeness=None),
    ]
    assert await store.audits() == [audit(2, details=None), audit(1)]
    described = dataset("candles_BTCUSDT_1h", description="prix à l’unité")
    assert await store.datasets() == [dataset("b", category="analytics"), described]
    running = replace(job(1), status=JobStatus.RUNNING, started_at_ms=START_MS + 876)
    assert await store.jobs() == ([job(2, error_message="no 'answer'"), running], 2)
    assert await store.lineage(lineage(1).dataset_id) == [lineage(1)]
    assert await store.lineage("other") == [lineage(2, "other")]


def test_every_row_of_an_earlier_file_is_kept(tmp_path: Path) -> None:
    made_file(tmp_path)
    using(lambda: opened_file(tmp_path), _holds_every_row)


def test_every_row_of_an_earlier_database_is_kept(mysql_server: MySqlServer, database: str) -> None:
    made_database(mysql_server, database)
    using(lambda: opened_server(address(mysql_server, database)), _holds_every_row)


def test_an_earlier_file_gets_the_form_of_a_new_one(tmp_path: Path) -> None:
    made_file(tmp_path / "earlier")
    for folder in ("earlier", "new"):
        using(partial(opened_file, tmp_path / folder), lambda store: store.ping(write=True))
    assert _form_of_file(tmp_path / "earlier") == _form_of_file(tmp_path / "new")


def test_an_earlier_database_gets_the_form_of_a_new_one(mysql_server: MySqlServer, database: str) -> None:
    made_database(mysql_server, database)
    with new_database(mysql_server) as new:
        for name in (database, new):
            using(partial(opened_server, address(mysql_server, name)), lambda store: store.ping(write=True))
        assert form_of(mysql_server, database) == form_of(mysql_server, new)


def _form_of_file(folder: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(folder / FILE_NAME)
    form = [
        (name, *column)
        for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
        for kind in ("table_info", "index_info")
        for column in connection.execute(f"PRAGMA {kind}('{name}')").fetchall()
    ]
    connection.close()
    return form


# A version to come, the same for both


@pytest.fixture
def add_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Append a version to the list; it does what is given besides adding a column."""

    def add(then: str) -> None:
        folder = tmp_path / "list"
        shutil.copytree(Path(migrations.__file__).parent, folder)
        (folder / "versions" / "v2_notes.py").write_text(NEXT.format(then=then))
        monkeypatch.setattr(upgrade, "_LIST", folder)
        for module in (migrations, mysql, upgrade):
            monkeypatch.setattr(module, "HEAD", "2")
        for module in (backend, file_format):
            monkeypatch.setattr(module, "FORMAT", 2)

    return add


def columns_of_file(folder: Path) -> tuple[list[str], int]:
    connection = sqlite3.connect(folder / FILE_NAME)
    columns = [column[1] for column in connection.execute("PRAGMA table_info('watermarks')")]
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return columns, version


def test_the_next_version_is_applied_to_an_earlier_file(tmp_path: Path, add_version: Callable[[str], None]) -> None:
    """Also when several processes open the file at once."""
    made_file(tmp_path)
    add_version("")

    async def scenario() -> None:
        stores = [open_sqlite(tmp_path, busy_timeout_ms=5000) for _ in range(4)]
        await asyncio.gather(*(store.ping() for store in stores))
        await _holds_every_row(stores[0])
        for store in stores:
            await store.close()

    asyncio.run(scenario())
    assert columns_of_file(tmp_path) == (["name", "value", "note"], 2)


def test_a_version_that_fails_leaves_the_file_as_it_was(tmp_path: Path, add_version: Callable[[str], None]) -> None:
    made_file(tmp_path)
    add_version("raise RuntimeError('the second half')")
    with pytest.raises(RuntimeError, match="second half"):
        using(lambda: opened_file(tmp_path), lambda store: store.ping())
    assert columns_of_file(tmp_path) == (["name", "value"], 1)


def test_the_next_version_is_applied_to_an_earlier_database(
    mysql_server: MySqlServer, database: str, add_version: Callable[[str], None]
) -> None:
    made_database(mysql_server, database)
    add_version("")
    using(lambda: opened_server(address(mysql_server, database)), _holds_every_row)
    found = ask(mysql_server, "SHOW COLUMNS FROM watermarks", database=database)
    assert [next(iter(column.values())) for column in found] == ["name", "value", "note"]


@pytest.mark.parametrize("kind", ["file", "database"])
def test_tables_of_a_newer_program_are_refused_with_a_way_out(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    open_store, way_out = _made_by_a_newer_program(tmp_path, request, kind)
    with pytest.raises(ConfigurationError) as caught:
        using(open_store, lambda store: store.ping())
    told = str(caught.value)
    assert "format 999" in told
    assert f"knows {migrations.HEAD}" in told
    assert way_out in told


def _made_by_a_newer_program(
    folder: Path, request: pytest.FixtureRequest, kind: str
) -> tuple[Callable[[], AbstractAsyncContextManager[MetadataStore]], str]:
    if kind == "file":
        made_file(folder)
        connection = sqlite3.connect(folder / FILE_NAME)
        connection.execute("PRAGMA user_version = 999")
        connection.close()
        return lambda: opened_file(folder), "PETROSA_DATA_DIR"
    server, name = request.getfixturevalue("mysql_server"), request.getfixturevalue("database")
    made_database(server, name)
    ask(server, "UPDATE petrosa_metadata_version SET version_num = '999'", database=name)
    return lambda: opened_server(address(server, name)), "MYSQL_URI"
