"""The metadata tables on MySQL: made, taken over from the original system, migrated once, and left alone afterwards."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event

from common.errors import ConfigurationError, StoreUnavailable
from common.models.metadata import AuditLog, BackfillJob, Dataset, HealthMetric, JobStatus
from common.settings import Settings
from common.storage.ports import MetadataStore
from common.storage.sql_metadata.migrations import HEAD, VERSION_TABLE
from common.storage.sql_metadata.mysql import open_mysql
from common.storage.sql_metadata.tables import METADATA
from tests.contract.metadata_store_contract import job, using
from tests.support.mysql_databases import TIMEOUT_S, address, administrator, ask, new_database, opened
from tests.support.servers.mysql import MySqlServer

SECOND_MS = 1_760_961_600_000  # 2025-10-20 12:00:00

# The tables as the original system makes them, with rows as its INSERT IGNORE leaves them.
ORIGINAL = (
    """CREATE TABLE datasets (
        dataset_id VARCHAR(64) NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, description VARCHAR(500),
        category VARCHAR(50) NOT NULL, schema_id VARCHAR(64), storage_type VARCHAR(20) NOT NULL, owner VARCHAR(100),
        update_frequency VARCHAR(50), created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
        INDEX idx_datasets_category (category))""",
    """CREATE TABLE audit_logs (
        audit_id VARCHAR(64) NOT NULL PRIMARY KEY, dataset_id VARCHAR(64) NOT NULL, symbol VARCHAR(20) NOT NULL,
        audit_type VARCHAR(50) NOT NULL, severity VARCHAR(20), details TEXT, timestamp DATETIME NOT NULL,
        INDEX idx_audit_logs_dataset_timestamp (dataset_id, timestamp), INDEX idx_audit_logs_symbol (symbol))""",
    """CREATE TABLE health_metrics (
        metric_id VARCHAR(64) NOT NULL PRIMARY KEY, dataset_id VARCHAR(64) NOT NULL, symbol VARCHAR(20) NOT NULL,
        completeness DECIMAL(5,2), freshness_seconds INT, gaps_count INT DEFAULT 0, duplicates_count INT DEFAULT 0,
        quality_score DECIMAL(5,2), timestamp DATETIME NOT NULL,
        INDEX idx_health_metrics_dataset_timestamp (dataset_id, timestamp),
        INDEX idx_health_metrics_symbol (symbol))""",
    """CREATE TABLE backfill_jobs (
        job_id VARCHAR(64) NOT NULL PRIMARY KEY, symbol VARCHAR(20) NOT NULL, data_type VARCHAR(50) NOT NULL,
        timeframe VARCHAR(10), start_time DATETIME NOT NULL, end_time DATETIME NOT NULL, status {status},
        progress DECIMAL(5,2) DEFAULT 0, records_fetched INT DEFAULT 0, records_inserted INT DEFAULT 0,
        error_message TEXT, created_at DATETIME NOT NULL, started_at DATETIME, completed_at DATETIME,
        INDEX idx_backfill_jobs_symbol (symbol), INDEX idx_backfill_jobs_status (status))""",
    """CREATE TABLE lineage_records (
        lineage_id VARCHAR(64) NOT NULL PRIMARY KEY, dataset_id VARCHAR(64) NOT NULL, source_dataset_id VARCHAR(64),
        transformation VARCHAR(100) NOT NULL, input_records INT, output_records INT, timestamp DATETIME NOT NULL,
        INDEX idx_lineage_records_dataset (dataset_id))""",
    "SET SESSION sql_mode = ''",
    """INSERT INTO datasets VALUES ('trades_BTCUSDT', 'Trades BTCUSDT', 'prix à l’unité', 'market_data',
        'trade_schema_v1', 'mongodb', 'data-manager', 'real-time', '2025-10-20 12:00:00', '0000-00-00 00:00:00')""",
    """INSERT INTO audit_logs VALUES ('a-1', 'candles_BTCUSDT_1h', 'BTCUSDT', 'gap', 'high', '3 missing',
        '2025-10-20 12:00:00')""",
    """INSERT INTO health_metrics VALUES ('h-1', 'candles_BTCUSDT_1h', 'BTCUSDT', 99.5, 42, NULL, 2, 97.25,
        '2025-10-20 12:00:00')""",
    """INSERT INTO backfill_jobs VALUES
        ('j-1', 'BTCUSDT', 'candles', '1h', '2025-10-20 12:00:00', '2025-10-20 13:00:00', 'completed', 100, 60, 60,
         NULL, '2025-10-20 12:00:00', '2025-10-20 12:00:00', '0000-00-00 00:00:00'),
        ('j-2', 'BTCUSDT', 'candles', '1h', '2025-10-20 12:00:00', '2025-10-20 13:00:00', '', NULL, NULL, 0,
         'no answer', '2025-10-20 11:00:00', NULL, NULL)""",
    "INSERT INTO lineage_records VALUES ('l-1', 'd', NULL, 'volatility', 720, 1, '2025-10-20 12:00:00')",
)
LATER = (
    "CREATE INDEX idx_audit_logs_symbol_timestamp ON audit_logs (symbol, timestamp)",
    "CREATE INDEX idx_health_metrics_symbol_timestamp ON health_metrics (symbol, timestamp)",
    "CREATE INDEX idx_of_the_operator ON audit_logs (severity)",
)
STATUS = "VARCHAR(20) NOT NULL"
STATUS_LATER = "ENUM('pending','running','completed','failed') NOT NULL DEFAULT 'pending'"


@pytest.fixture
def database(mysql_server: MySqlServer) -> Iterator[str]:
    with new_database(mysql_server) as name:
        yield name


@pytest.fixture
def uri(mysql_server: MySqlServer, database: str) -> str:
    return address(mysql_server, database)


def migrate(uri: str) -> None:
    using(lambda: opened(uri), lambda store: store.ping(write=True))


def form_of(server: MySqlServer, database: str) -> dict[str, list[dict[str, Any]]]:
    """Return what the server says of the tables of the store: columns by name, indexes, storage."""
    names = ", ".join(f"'{name}'" for name in METADATA.tables)
    where = f"WHERE table_schema = '{database}' AND table_name IN ({names})"
    columns = ask(
        server,
        "SELECT table_name, column_name, column_type, is_nullable, column_default, collation_name, column_key"
        f" FROM information_schema.columns {where} ORDER BY table_name, column_name",
    )
    indexes = ask(
        server,
        "SELECT table_name, index_name, non_unique, seq_in_index, column_name, index_type"
        f" FROM information_schema.statistics {where} ORDER BY table_name, index_name, seq_in_index",
    )
    tables = ask(
        server,
        f"SELECT table_name, engine, table_collation FROM information_schema.tables {where} ORDER BY table_name",
    )
    assert len(tables) == len(METADATA.tables)
    return {"columns": columns, "indexes": indexes, "tables": tables}


@pytest.fixture
def wanted_form(mysql_server: MySqlServer) -> dict[str, list[dict[str, Any]]]:
    """What the tables that the store uses look like when they are made as they are."""
    with new_database(mysql_server) as name:
        METADATA.create_all(administrator(mysql_server, name))
        return form_of(mysql_server, name)


def differences(uri: str) -> list[Any]:
    """Return what Alembic would still change."""
    engine = create_engine(uri)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)
    engine.dispose()
    return found


def test_the_newest_version_is_the_one_that_the_store_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", "common.storage.sql_metadata:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_an_empty_database_gets_the_tables(
    mysql_server: MySqlServer, database: str, uri: str, wanted_form: dict[str, Any]
) -> None:
    migrate(uri)
    assert differences(uri) == []
    assert form_of(mysql_server, database) == wanted_form


@pytest.fixture(params=["brief", "later", "later in latin1"])
def original(request: pytest.FixtureRequest, mysql_server: MySqlServer, database: str) -> bool:
    """The original system's tables are in the database; tells whether in their later form."""
    is_later: bool = request.param != "brief"
    if "latin1" in request.param:
        ask(mysql_server, f"ALTER DATABASE {database} CHARACTER SET latin1")
    make_original(mysql_server, database, STATUS_LATER if is_later else STATUS)
    if is_later:
        ask(mysql_server, *LATER, database=database)
    return is_later


def make_original(server: MySqlServer, database: str, status: str = STATUS) -> None:
    ask(server, *(statement.format(status=status) for statement in ORIGINAL), database=database)


def test_the_tables_of_the_original_are_taken_over_with_their_rows(
    mysql_server: MySqlServer,
    wanted_form: dict[str, Any],
    database: str,
    uri: str,
    original: bool,
) -> None:
    async def scenario(store: MetadataStore) -> None:
        assert await store.datasets() == [
            Dataset("trades_BTCUSDT", "Trades BTCUSDT", "market_data", "mongodb", SECOND_MS, 0,
                    "prix à l’unité", "trade_schema_v1", "data-manager", "real-time"),
        ]  # fmt: skip
        assert await store.audits() == [
            AuditLog("a-1", "candles_BTCUSDT_1h", "BTCUSDT", "gap", "high", "3 missing", SECOND_MS)
        ]
        score = HealthMetric("h-1", "candles_BTCUSDT_1h", "BTCUSDT", SECOND_MS, Decimal("99.50"), 42, 0, 2, None,
                             Decimal("97.25"))  # fmt: skip
        assert await store.latest_health() == [score]
        done = BackfillJob("j-1", "BTCUSDT", "candles", "1h", SECOND_MS, SECOND_MS + 3_600_000, SECOND_MS,
                           JobStatus.COMPLETED, 5, Decimal("100.00"), 60, 60, None, SECOND_MS, None)  # fmt: skip
        failed = replace(done, job_id="j-2", status=JobStatus.FAILED, progress=Decimal("0.00"), records_fetched=0,
                         records_inserted=0, error_message="no answer", created_at_ms=SECOND_MS - 3_600_000,
                         started_at_ms=None)  # fmt: skip
        assert await store.jobs() == ([done, failed], 2)
        assert await store.add_job(job(1, status=JobStatus.CANCELLED, symbol="1000000BABYDOGEUSDT_251226"))
        assert (await store.lineage("d"))[0].input_records == 720

    using(lambda: opened(uri), scenario)
    assert ask(mysql_server, f"SELECT version_num FROM {VERSION_TABLE}", database=database) == [{"version_num": HEAD}]
    if original:
        assert [kind for kind, *_ in differences(uri)] == ["remove_index"]
        ask(mysql_server, "DROP INDEX idx_of_the_operator ON audit_logs", database=database)
    assert differences(uri) == []
    assert form_of(mysql_server, database) == wanted_form


def test_a_migration_that_was_cut_off_is_done_again(
    mysql_server: MySqlServer, database: str, uri: str, wanted_form: dict[str, Any]
) -> None:
    make_original(mysql_server, database)
    migrate(uri)
    ask(
        mysql_server,
        f"DELETE FROM {VERSION_TABLE}",
        "DROP TABLE findings",
        "ALTER TABLE health_metrics DROP COLUMN consistency_score, DROP INDEX idx_health_metrics_timestamp",
        database=database,
    )
    migrate(uri)
    assert form_of(mysql_server, database) == wanted_form
    assert len(using(lambda: opened(uri), lambda store: store.datasets())) == 1


def test_a_start_with_current_tables_asks_one_question_and_does_not_load_alembic(uri: str) -> None:
    migrate(uri)
    backend = open_mysql(Settings(mysql_uri=uri))._backend
    backend.engine.connect().close()
    asked: list[str] = []
    event.listen(backend.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    backend.prepare()
    backend.prepare()
    backend.engine.dispose()
    assert asked == [f"SELECT version_num FROM {VERSION_TABLE}"]

    program = (
        "import asyncio, sys; from common.settings import Settings;"
        "from common.storage.open import open_metadata_store;"
        "store = asyncio.run(open_metadata_store(Settings(mysql_uri=sys.argv[1])));"
        "print(store.name, {'alembic', 'mako'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program, uri], capture_output=True, text=True, check=True, timeout=240)
    assert run.stdout.strip() == "mysql set()"


def test_of_stores_opened_at_once_one_migrates(mysql_server: MySqlServer, database: str, uri: str) -> None:
    make_original(mysql_server, database)

    async def open_and_ask() -> int:
        async with opened(uri, mysql_timeout_seconds=20) as store:
            return len(await store.datasets())

    async def scenario() -> list[int]:
        return await asyncio.gather(*(open_and_ask() for _ in range(5)))

    assert asyncio.run(scenario()) == [1] * 5
    assert differences(uri) == []


def test_a_migration_of_another_process_is_waited_for_and_then_reported(
    mysql_server: MySqlServer, database: str, uri: str
) -> None:
    async def scenario(store: MetadataStore) -> None:
        with administrator(mysql_server).connect() as other:
            other.exec_driver_sql(f"SELECT GET_LOCK('petrosa_metadata:{database}', 0)").all()
            with pytest.raises(StoreUnavailable, match="migrated by another process"):
                await store.ping()
        await store.ping()

    using(lambda: opened(uri, mysql_timeout_seconds=TIMEOUT_S), scenario)


def test_tables_of_other_programs_are_left_alone(mysql_server: MySqlServer, database: str, uri: str) -> None:
    ask(
        mysql_server,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('abc')",
        "CREATE TABLE orders (id INT PRIMARY KEY)",
        database=database,
    )
    migrate(uri)
    assert ask(mysql_server, "SELECT version_num FROM alembic_version", database=database) == [{"version_num": "abc"}]
    ask(mysql_server, "SELECT id FROM orders", database=database)


def test_a_table_of_another_kind_is_refused_untouched(mysql_server: MySqlServer, database: str, uri: str) -> None:
    ask(
        mysql_server,
        "CREATE TABLE datasets (id INT PRIMARY KEY, title TEXT)",
        "INSERT INTO datasets VALUES (1, 'theirs')",
        database=database,
    )
    with pytest.raises(ConfigurationError, match=r"'datasets' of another kind.*MYSQL_URI"):
        migrate(uri)
    assert ask(mysql_server, "SELECT * FROM datasets", database=database) == [{"id": 1, "title": "theirs"}]
