"""The metadata store on a file: the contract, and what only a file can suffer from."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.errors import StoreUnavailable
from common.storage.ports import MetadataStore
from common.storage.sql_metadata.backend import FILE_NAME
from common.storage.sql_metadata.store import SqlMetadataStore, open_sqlite
from common.storage.sql_metadata.tables import METADATA
from tests.contract.metadata_store_contract import (
    BTC,
    MetadataStoreContract,
    OpenMetadataStore,
    health,
    job,
    using,
)
from tests.support.sqlite_files import locked, running_child

BUSY_MS = 300


@asynccontextmanager
async def opened(folder: Path, busy_ms: int = 2000) -> AsyncIterator[SqlMetadataStore]:
    store = open_sqlite(folder, busy_timeout_ms=busy_ms)
    try:
        yield store
    finally:
        await store.close()


class TestSqliteMetadataStore(MetadataStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenMetadataStore:
        return lambda: opened(tmp_path)


async def refused(store: MetadataStore) -> str:
    """Return the text with which a write was refused."""
    with pytest.raises(StoreUnavailable) as caught:
        await store.advance_watermark("refused", None, 1)
    return str(caught.value)


def test_tables_and_indexes_are_made_at_start(tmp_path: Path) -> None:
    using(lambda: opened(tmp_path), lambda store: store.ping())
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    made = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")}
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    expected = {
        "datasets",
        "audit_logs",
        "health_metrics",
        "backfill_jobs",
        "lineage_records",
        "watermarks",
        "findings",
    }
    indexes = {index.name for table in METADATA.tables.values() for index in table.indexes}
    assert made == expected | indexes


COUNTING = """
    from common.storage.sql_metadata.store import open_sqlite
    from tests.contract.metadata_store_contract import count_up
    store = open_sqlite(folder, busy_timeout_ms=5000)
    print(await count_up(store, "race", 40))
    await store.close()
"""


def test_of_processes_that_race_one_wins_each_step(tmp_path: Path) -> None:
    children = [running_child(COUNTING, tmp_path / "new") for _ in range(3)]
    won = [int(child.communicate(timeout=240)[0]) for child in children]

    async def scenario(store: MetadataStore) -> None:
        assert await store.watermark("race") == sum(won) >= 40

    using(lambda: opened(tmp_path / "new"), scenario)


def test_a_lock_of_another_process_is_waited_for_and_then_reported(tmp_path: Path) -> None:
    async def scenario(store: MetadataStore) -> None:
        await store.add_job(job(1))
        with locked(tmp_path / FILE_NAME):
            began = time.monotonic()
            assert "locked" in await refused(store)
            assert time.monotonic() - began < BUSY_MS / 1000 + 10
            with pytest.raises(StoreUnavailable):
                await store.ping(write=True)
            assert await store.job("job-1") == job(1)
        assert await store.advance_watermark("slots", None, 1)
        await store.ping(write=True)

    using(lambda: opened(tmp_path, BUSY_MS), scenario)


def test_a_store_opened_while_its_file_is_locked_works_afterwards(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / FILE_NAME).close()

    async def scenario(store: MetadataStore) -> None:
        with locked(tmp_path / FILE_NAME):
            await refused(store)
        assert await store.advance_watermark("slots", None, 1)

    using(lambda: opened(tmp_path, BUSY_MS), scenario)


def test_a_file_that_is_no_database_is_reported_until_it_is_mended(tmp_path: Path) -> None:
    async def scenario(store: MetadataStore) -> None:
        (tmp_path / FILE_NAME).write_bytes(b"this is not a database at all, only a text. " * 50)
        assert "not a database" in await refused(store)
        with pytest.raises(StoreUnavailable):
            await store.ping()
        (tmp_path / FILE_NAME).unlink()
        await store.ping(write=True)

    using(lambda: opened(tmp_path), scenario)


def test_a_file_that_is_moved_away_is_missed_until_it_is_back(tmp_path: Path) -> None:
    async def scenario(store: MetadataStore) -> None:
        await store.add_job(job(1))
        away = tmp_path / "away"
        (tmp_path / FILE_NAME).rename(away)
        assert "was missing" in await refused(store)
        with pytest.raises(StoreUnavailable, match="was missing"):
            await store.job("job-1")
        assert not (tmp_path / FILE_NAME).exists()
        away.rename(tmp_path / FILE_NAME)
        assert await store.job("job-1") == job(1)
        assert await store.add_job(job(2))

    using(lambda: opened(tmp_path), scenario)


def test_a_file_that_is_replaced_is_read_and_written_anew(tmp_path: Path) -> None:
    async def prepare(store: MetadataStore) -> None:
        await store.add_job(job(7))

    using(lambda: opened(tmp_path / "other"), prepare)

    async def scenario(store: MetadataStore) -> None:
        await store.add_job(job(1))
        for suffix in ("-wal", "-shm"):
            (tmp_path / (FILE_NAME + suffix)).unlink()
        (tmp_path / "other" / FILE_NAME).replace(tmp_path / FILE_NAME)
        assert await store.job("job-7") == job(7)
        assert await store.job("job-1") is None
        assert await store.add_job(job(8))

    using(lambda: opened(tmp_path), scenario)


def test_more_calls_than_threads_are_served(tmp_path: Path) -> None:
    async def scenario(store: MetadataStore) -> None:
        added = await asyncio.gather(*(store.add_job(job(number)) for number in range(40)))
        assert all(added)
        assert (await store.jobs())[1] == 40

    using(lambda: opened(tmp_path), scenario)


def test_first_calls_at_once_all_succeed(tmp_path: Path) -> None:
    async def scenario(store: MetadataStore) -> None:
        won = await asyncio.gather(*(store.advance_watermark("first", None, i) for i in range(4)))
        assert sum(won) == 1

    for number in range(12):
        using(lambda folder=tmp_path / str(number): opened(folder), scenario)  # type: ignore[misc]


def test_instants_and_scores_stand_in_the_file_as_utc_and_decimal_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    time.tzset()
    try:
        using(lambda: opened(tmp_path), lambda store: store.save_health([health(0)]))
        (found,) = using(lambda: opened(tmp_path), lambda store: store.latest_health(BTC))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == health(0)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    stored = connection.execute("SELECT timestamp, completeness, quality_score FROM health_metrics").fetchone()
    connection.close()
    assert stored == ("2025-10-20 12:00:00.123000", "99.50", "100.00")


KILLED = """
    from common.storage.sql_metadata.store import open_sqlite
    from tests.contract.metadata_store_contract import audit
    store = open_sqlite(folder, busy_timeout_ms=5000)
    for batch in range(10_000):
        await store.record_audits([audit(batch * 10 + i) for i in range(10)])
        print(batch, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 17])
def test_a_killed_process_leaves_whole_batches(tmp_path: Path, acknowledged: int) -> None:
    child = running_child(KILLED, tmp_path)
    assert child.stdout is not None
    for _ in range(acknowledged):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)

    entries = using(lambda: opened(tmp_path), lambda store: store.audits(limit=1_000_000))
    numbers = sorted(int(entry.audit_id.removeprefix("audit-")) for entry in entries)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) % 10 == 0
    assert len(numbers) >= acknowledged * 10
