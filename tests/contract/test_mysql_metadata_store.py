"""The metadata store on MySQL: the contract, what its values look like, processes that race, and errors that tell."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event, text

from common.errors import ConfigurationError, StoreUnavailable
from common.settings import Settings
from common.storage.open import open_metadata_store
from common.storage.ports import MetadataStore
from common.storage.sql_metadata.mysql import open_mysql
from tests.contract.metadata_store_contract import (
    START_MS,
    MetadataStoreContract,
    OpenMetadataStore,
    audit,
    dataset,
    health,
    job,
    using,
)
from tests.support.mysql_databases import address, administrator, ask, new_database, opened
from tests.support.servers.mysql import MySqlServer
from tests.support.sqlite_files import running_child

SECRET = "s3cr3t-Pa55"


@pytest.fixture
def database(mysql_server: MySqlServer) -> Iterator[str]:
    with new_database(mysql_server) as name:
        yield name


@pytest.fixture
def uri(mysql_server: MySqlServer, database: str) -> str:
    return address(mysql_server, database)


@pytest.fixture
def account(mysql_server: MySqlServer) -> Iterator[str]:
    """An account with a password and no rights."""
    name = f"petrosa{time.time_ns() % 10**9}"
    ask(mysql_server, f"CREATE USER '{name}'@'%' IDENTIFIED BY '{SECRET}'")
    yield name
    ask(mysql_server, f"DROP USER '{name}'@'%'")


class TestMySqlMetadataStore(MetadataStoreContract):
    @pytest.fixture
    def open_store(self, uri: str) -> OpenMetadataStore:
        return lambda: opened(uri)


# Values


def test_instants_and_scores_stand_in_the_tables_as_utc_and_decimals(
    mysql_server: MySqlServer, database: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    time.tzset()
    try:
        using(lambda: opened(uri), lambda store: store.save_health([health(0)]))
        (found,) = using(lambda: opened(uri), lambda store: store.latest_health())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == health(0)
    (stored,) = ask(
        mysql_server,
        "SELECT CAST(timestamp AS CHAR) AS time, completeness, quality_score FROM health_metrics",
        database=database,
    )
    assert stored == {
        "time": "2025-10-20 12:00:00.123",
        "completeness": Decimal("99.50"),
        "quality_score": Decimal("100.00"),
    }


def test_scores_have_the_digits_that_a_file_keeps(uri: str, tmp_path: Path) -> None:
    from common.storage.sql_metadata.store import open_sqlite

    scores = [Decimal(text) for text in ("0", "0.005", "1E+1", "33.333", "99.995", "100")]
    metrics = [health(0, f"dataset-{i}", completeness=score) for i, score in enumerate(scores)]

    async def kept(store: MetadataStore) -> list[str]:
        await store.save_health(metrics)
        return [str(metric.completeness) for metric in await store.latest_health()]

    async def on_a_file() -> list[str]:
        store = open_sqlite(tmp_path, busy_timeout_ms=2000)
        try:
            return await kept(store)
        finally:
            await store.close()

    assert using(lambda: opened(uri), kept) == asyncio.run(on_a_file())


def test_texts_are_compared_and_sorted_by_their_bytes(uri: str) -> None:
    names = ["b", "B", "ä", "a", "A", "😀", "Z"]

    async def scenario(store: MetadataStore) -> None:
        await store.save_datasets(
            [dataset(name, description=f"{name} \\ ' % :x \N{GREEK SMALL LETTER PI}") for name in names]
        )
        found = await store.datasets()
        assert [entry.dataset_id for entry in found] == sorted(names)
        assert found[0].description == "A \\ ' % :x π"
        assert await store.advance_watermark("slots", None, 1)
        assert await store.advance_watermark("SLOTS", None, 2)
        assert await store.watermark("slots") == 1

    using(lambda: opened(uri), scenario)


def test_the_newest_health_of_thousands_of_datasets(uri: str) -> None:
    metrics = [health(number, f"candles-{i:05}") for i in range(1500) for number in (1, 2)]

    async def scenario(store: MetadataStore) -> None:
        await store.save_health(metrics)
        assert await store.latest_health() == metrics[1::2]

    using(lambda: opened(uri), scenario)


def test_the_configuration_of_the_server_decides_nothing(own_mysql_server: MySqlServer) -> None:
    ask(
        own_mysql_server,
        "SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        "SET GLOBAL time_zone = '-03:00'",
        "SET GLOBAL TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET GLOBAL innodb_lock_wait_timeout = 1000",
    )
    wanted = (
        "SELECT @@time_zone AS zone, @@innodb_lock_wait_timeout < 10 AS waits_little,"
        " @@sql_mode LIKE '%STRICT_ALL_TABLES%' AS strict, @@character_set_client AS characters"
    )

    def session(store_uri: str) -> dict[str, object]:
        store = open_mysql(Settings(mysql_uri=store_uri))
        engine = store._backend.engine
        with engine.connect() as connection:
            level = connection.get_isolation_level()
            found = dict(connection.execute(text(wanted)).mappings().one())
        engine.dispose()
        return {"level": level, **found}

    with new_database(own_mysql_server) as name:
        uri = address(own_mysql_server, name)
        details = "a 'quoted' \"text\" \\ with a backslash"
        using(lambda: opened(uri), lambda store: store.record_audits([audit(1, details=details)]))
        assert using(lambda: opened(uri), lambda store: store.audits()) == [audit(1, details=details)]
        assert session(uri) == {
            "level": "READ COMMITTED",
            "zone": "+00:00",
            "waits_little": 1,
            "strict": 1,
            "characters": "utf8mb4",
        }


# Several at once


COUNTING = """
    from common.settings import Settings
    from common.storage.sql_metadata.mysql import open_mysql
    from tests.contract.metadata_store_contract import count_up
    store = open_mysql(Settings(mysql_uri=folder.read_text()))
    print(await count_up(store, "race", 40))
    await store.close()
"""


def test_of_processes_that_race_on_a_new_database_one_wins_each_step(mysql_server: MySqlServer, tmp_path: Path) -> None:
    with new_database(mysql_server, made=False) as name:
        uri = address(mysql_server, name)
        (tmp_path / "uri").write_text(uri)
        children = [running_child(COUNTING, tmp_path / "uri") for _ in range(3)]
        won = [int(child.communicate(timeout=240)[0]) for child in children]

        async def scenario(store: MetadataStore) -> None:
            assert await store.watermark("race") == sum(won) >= 40

        using(lambda: opened(uri), scenario)


KILLED = """
    from common.settings import Settings
    from common.storage.sql_metadata.mysql import open_mysql
    from tests.contract.metadata_store_contract import audit
    store = open_mysql(Settings(mysql_uri=folder.read_text()))
    for batch in range(10_000):
        await store.record_audits([audit(batch * 10 + i) for i in range(10)])
        print(batch, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 17])
def test_a_killed_process_leaves_whole_batches(uri: str, tmp_path: Path, acknowledged: int) -> None:
    (tmp_path / "uri").write_text(uri)
    child = running_child(KILLED, tmp_path / "uri")
    assert child.stdout is not None
    for _ in range(acknowledged):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)

    entries = using(lambda: opened(uri), lambda store: store.audits(limit=1_000_000))
    numbers = sorted(int(entry.audit_id.removeprefix("audit-")) for entry in entries)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) % 10 == 0
    assert len(numbers) >= acknowledged * 10


def test_first_calls_at_once_all_succeed(mysql_server: MySqlServer) -> None:
    async def scenario(store: MetadataStore) -> None:
        won = await asyncio.gather(*(store.advance_watermark("first", None, i) for i in range(8)))
        assert sum(won) == 1

    for _ in range(3):
        with new_database(mysql_server, made=False) as name:
            using(partial(opened, address(mysql_server, name)), scenario)


def test_more_calls_than_connections_are_served(uri: str) -> None:
    async def scenario(store: MetadataStore) -> None:
        added = await asyncio.gather(*(store.add_job(job(number)) for number in range(60)))
        assert all(added)
        assert (await store.jobs())[1] == 60

    using(lambda: opened(uri, mysql_pool_size=2, mysql_max_overflow=1), scenario)


def test_a_row_that_another_holds_is_waited_for_and_then_reported(mysql_server: MySqlServer, uri: str) -> None:
    async def scenario(store: MetadataStore) -> None:
        await store.add_job(job(1))
        with administrator(mysql_server, database_of(uri)).connect() as other:
            other.execute(text("BEGIN"))
            other.execute(text("UPDATE backfill_jobs SET priority = 9 WHERE job_id = 'job-1'"))
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="Lock wait timeout"):
                await store.claim_job("job-1", now_ms=START_MS)
            assert time.monotonic() - began < 25, "half of the server's own limit"
            assert await store.job("job-1") == job(1)
            other.execute(text("COMMIT"))
        claimed = await store.claim_job("job-1", now_ms=START_MS)
        assert claimed is not None
        assert claimed.priority == 9

    using(lambda: opened(uri), scenario)


def test_a_call_that_finds_no_free_connection_is_refused_in_time(mysql_server: MySqlServer, uri: str) -> None:
    async def scenario(store: MetadataStore) -> None:
        await store.add_job(job(1))
        with administrator(mysql_server, database_of(uri)).connect() as other:
            other.execute(text("BEGIN"))
            other.execute(text("UPDATE backfill_jobs SET priority = 9"))
            waiting = asyncio.create_task(store.claim_job("job-1", now_ms=START_MS))
            await asyncio.sleep(0.1)
            with pytest.raises(StoreUnavailable, match=r"no free connection within 0\.2 s"):
                await store.job("job-1")
            other.execute(text("COMMIT"))
        assert await waiting is not None

    pool = {"mysql_pool_size": 1, "mysql_max_overflow": 0, "mysql_pool_timeout_seconds": 0.2}
    using(lambda: opened(uri, **pool), scenario)


def test_the_loser_of_a_deadlock_is_run_again(mysql_server: MySqlServer, uri: str) -> None:
    first, second = health(1), health(2)

    async def scenario(store: MetadataStore) -> None:
        await store.save_health([first, second, *(health(number, "other") for number in range(50))])
        engine = store._backend.engine  # type: ignore[attr-defined]
        undone: list[int] = []
        event.listen(engine, "handle_error", lambda context: undone.append(context.original_exception.args[0]))
        with administrator(mysql_server, database_of(uri)).connect() as other:
            other.execute(text("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"))
            other.execute(text("BEGIN"))
            # The server gives up the transaction that changed fewer rows.
            other.execute(text("UPDATE health_metrics SET gaps_count = 7 WHERE dataset_id = 'other'"))
            other.execute(text(f"UPDATE health_metrics SET gaps_count = 7 WHERE metric_id = '{second.metric_id}'"))
            saving = asyncio.create_task(store.save_health([first, second]))
            await asyncio.sleep(0.3)
            taking = f"UPDATE health_metrics SET gaps_count = 7 WHERE metric_id = '{first.metric_id}'"
            await asyncio.to_thread(other.execute, text(taking))
            other.execute(text("COMMIT"))
        assert await saving == 2
        assert undone == [1213]
        assert second in await store.latest_health()

    using(lambda: opened(uri), scenario)


# What is refused


def test_a_database_that_is_missing_is_made(mysql_server: MySqlServer) -> None:
    with new_database(mysql_server, made=False) as name:
        uri = address(mysql_server, name)
        using(lambda: opened(uri), lambda store: store.ping(write=True))
        (made,) = ask(
            mysql_server,
            "SELECT default_character_set_name AS characters, default_collation_name AS collation"
            f" FROM information_schema.schemata WHERE schema_name = '{name}'",
        )
        assert made == {"characters": "utf8mb4", "collation": "utf8mb4_bin"}


def test_a_database_that_may_not_be_made_is_named_with_the_cure(mysql_server: MySqlServer, account: str) -> None:
    with new_database(mysql_server, made=False) as name:
        uri = address(mysql_server, name, username=account, password=SECRET)
        with pytest.raises(ConfigurationError, match=f"(?s)MYSQL_URI.*{name}.*create the database and grant") as caught:
            asyncio.run(open_metadata_store(Settings(mysql_uri=uri)))
        assert SECRET not in str(caught.value)
        ask(mysql_server, f"CREATE DATABASE {name}", f"GRANT ALL PRIVILEGES ON {name}.* TO '{account}'@'%'")
        using(lambda: opened(uri), lambda store: store.ping(write=True))


def test_a_password_is_never_shown(
    mysql_server: MySqlServer, account: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
    good = {"username": account, "password": SECRET}
    texts = [repr(Settings(mysql_uri=f"mysql+pymysql://u:{SECRET}@h/d", mysql_password=SECRET))]
    for uri in (
        address(mysql_server, "mysql", username=account, password=f"{SECRET}-wrong"),
        address(mysql_server, "petrosa_not_allowed", **good),
        address(mysql_server, "petrosa", **good, port=nobody),
    ):
        store = open_mysql(Settings(mysql_uri=uri))
        texts += [repr(store._backend.engine), repr(store._backend), repr(vars(store._backend))]
        with pytest.raises((StoreUnavailable, ConfigurationError)) as caught:
            asyncio.run(store.ping())
        texts.append(traceback_of(caught.value))
        asyncio.run(store.close())
    for malformed in (
        f"mysql+pymysql://u:{SECRET}:x@h:{SECRET}/d",
        f"u:{SECRET}@h/d",
        f"mysql://u:{SECRET}@h",
        f"postgresql://u:{SECRET}@h/d",
        f"mysql://u:{SECRET}@h/d?ssl-mode=REQUIRED",
        f"mysql://u:{SECRET}@h/d?connect_timeout=soon",
    ):
        with pytest.raises(ConfigurationError, match="MYSQL_URI") as refused:
            open_mysql(Settings(mysql_uri=malformed))
        texts.append(traceback_of(refused.value))
    shown = "\n".join([*texts, caplog.text, *capfd.readouterr()])
    assert SECRET not in shown
    assert "Access denied" in shown


def traceback_of(error: BaseException) -> str:
    """Return the messages of an error and its causes as a log of its traceback would show them."""
    messages = []
    cause: BaseException | None = error
    while cause is not None:
        messages.append(repr(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(messages)


def database_of(uri: str) -> str:
    return uri.rpartition("/")[2]
