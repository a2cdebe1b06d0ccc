"""The embedded market store: the contract, and what only a file can suffer from."""

import asyncio
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from common.errors import StoreUnavailable
from common.models.families import FAMILIES, Family
from common.models.rows import TradeRow
from common.storage.ports import MarketStore, Window, WriteCounts
from common.storage.sqlite import schema
from common.storage.sqlite.base import FILE_NAME
from common.storage.sqlite.facts import write_facts
from common.storage.sqlite.market import SqliteMarketStore
from common.storage.sqlite.tables import TABLES
from tests.contract.market_store_contract import MarketStoreContract, OpenStore, using
from tests.support.sqlite_files import locked, run_child, running_child
from tests.support.store_rows import CANDLES, HOUR_MS, START_MS, TRADES, letter, put, rows_of, trade

BUSY_MS = 300


@asynccontextmanager
async def opened(folder: Path, busy_ms: int = 2000) -> AsyncIterator[SqliteMarketStore]:
    store = SqliteMarketStore(folder, busy_timeout_ms=busy_ms)
    try:
        yield store
    finally:
        await store.close()


class TestSqliteMarketStore(MarketStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: opened(tmp_path)

    @pytest.fixture
    def open_fresh(self, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[MarketStore]]:
        numbers = count()
        return lambda: opened(tmp_path / str(next(numbers)))


async def refused(store: MarketStore, trade_id: int = 99) -> str:
    """Return the text with which a write was refused."""
    with pytest.raises(StoreUnavailable) as caught:
        await put(store, Family.TRADES, [trade(trade_id)])
    return str(caught.value)


# The file


def test_columns_are_the_fields_of_the_rows(tmp_path: Path) -> None:
    using(lambda: opened(tmp_path), lambda store: store.ping())
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        for family, spec in FAMILIES.items():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({family.value})")]
            assert tuple(columns) == spec.row._fields
    connection.close()


def test_processes_that_start_at_once_make_one_file(tmp_path: Path) -> None:
    program = """
        store = SqliteMarketStore(folder, busy_timeout_ms=5000)
        counts = await put(store, Family.TRADES, [trade(i) for i in range(50)])
        print(counts.inserted)
        await store.close()
    """
    children = [running_child(program, tmp_path / "new" / "folder") for _ in range(4)]
    inserted = [int(child.communicate(timeout=60)[0]) for child in children]
    assert sorted(inserted) == [0, 0, 0, 50]


def test_a_file_that_is_no_database_is_reported_until_it_is_mended(tmp_path: Path) -> None:
    async def scenario(store: MarketStore) -> None:
        (tmp_path / FILE_NAME).write_bytes(b"this is not a database at all, only a text. " * 50)
        assert "not a database" in await refused(store)
        with pytest.raises(StoreUnavailable):
            await rows_of(store, TRADES)
        with pytest.raises(StoreUnavailable):
            await store.revision(TRADES)
        (tmp_path / FILE_NAME).unlink()
        assert await put(store, Family.TRADES, [trade(1)]) == WriteCounts(inserted=1)

    using(lambda: opened(tmp_path), scenario)


def test_a_file_that_is_moved_away_is_missed_until_it_is_back(tmp_path: Path) -> None:
    async def scenario(store: MarketStore) -> None:
        await put(store, Family.TRADES, [trade(1)])
        revision = await store.revision(TRADES)
        away = tmp_path / "away"
        (tmp_path / FILE_NAME).rename(away)
        assert "was missing" in await refused(store)
        with pytest.raises(StoreUnavailable, match="was missing"):
            await rows_of(store, TRADES)
        with pytest.raises(StoreUnavailable, match="was missing"):
            await store.revision(TRADES)
        with pytest.raises(StoreUnavailable, match="was missing"):
            await store.ping()
        assert not (tmp_path / FILE_NAME).exists()
        away.rename(tmp_path / FILE_NAME)
        assert await rows_of(store, TRADES) == [trade(1)]
        assert await store.revision(TRADES) == revision
        await put(store, Family.TRADES, [trade(2)])

    using(lambda: opened(tmp_path), scenario)


def test_a_file_that_is_replaced_is_read_and_written_anew(tmp_path: Path) -> None:
    async def prepare(store: MarketStore) -> None:
        await put(store, Family.TRADES, [trade(7)])

    using(lambda: opened(tmp_path / "other"), prepare)

    async def scenario(store: MarketStore) -> None:
        await put(store, Family.TRADES, [trade(1)])
        revision = await store.revision(TRADES)
        for suffix in ("-wal", "-shm"):
            (tmp_path / (FILE_NAME + suffix)).unlink()
        (tmp_path / "other" / FILE_NAME).replace(tmp_path / FILE_NAME)
        assert await rows_of(store, TRADES) == [trade(7)]
        assert await store.revision(TRADES) != revision
        await put(store, Family.TRADES, [trade(8)])
        assert await rows_of(store, TRADES) == [trade(7), trade(8)]

    using(lambda: opened(tmp_path), scenario)


# What a batch costs


def steps_of(connection: sqlite3.Connection, rows: Sequence[TradeRow]) -> int:
    """Write facts and return how many hundreds of its steps SQLite needed."""
    calls = count()
    connection.set_progress_handler(lambda: next(calls) < 0, 100)
    write_facts(connection, TABLES[Family.TRADES], rows)
    connection.set_progress_handler(None, 0)
    return next(calls)


def test_facts_are_compared_without_reading_what_lies_between_them() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.prepare(connection)
    trades = [trade(number, time_ms=START_MS + number * HOUR_MS // 1000) for number in range(12_000)]
    ends = [*trades[:500], *trades[-500:]]
    write_facts(connection, TABLES[Family.TRADES], trades[:500])
    write_facts(connection, TABLES[Family.TRADES], trades[-500:])
    repeated = steps_of(connection, ends)
    filling = [steps_of(connection, trades[start : start + 1000]) for start in range(500, 11_500, 1000)]
    assert max(filling) < 2 * min(filling)
    assert steps_of(connection, ends) < 2 * repeated
    connection.close()


# Locks


def test_a_lock_of_another_process_is_waited_for_and_then_reported(tmp_path: Path) -> None:
    async def scenario(store: MarketStore) -> None:
        await put(store, Family.TRADES, [trade(1)])
        with locked(tmp_path / FILE_NAME):
            began = time.monotonic()
            assert "locked" in await refused(store)
            assert BUSY_MS / 1000 <= time.monotonic() - began < BUSY_MS / 1000 + 10
            with pytest.raises(StoreUnavailable):
                await store.ping(write=True)
            assert await rows_of(store, TRADES) == [trade(1)]  # readers go on
            await store.ping()
        assert await put(store, Family.TRADES, [trade(99)]) == WriteCounts(inserted=1)
        await store.ping(write=True)

    using(lambda: opened(tmp_path, BUSY_MS), scenario)


def test_a_short_lock_is_only_a_delay(tmp_path: Path) -> None:
    async def scenario(store: MarketStore) -> None:
        await store.ping()
        with locked(tmp_path / FILE_NAME) as release:
            write = asyncio.ensure_future(put(store, Family.TRADES, [trade(1)]))
            await asyncio.sleep(0.1)
            assert not write.done()
            release()
            assert await write == WriteCounts(inserted=1)

    using(lambda: opened(tmp_path, 10_000), scenario)


def test_writes_that_queue_behind_a_lock_do_not_each_wait_for_it(tmp_path: Path) -> None:
    async def scenario(store: MarketStore) -> None:
        await store.ping()
        with locked(tmp_path / FILE_NAME):
            began = time.monotonic()
            outcomes = await asyncio.gather(*(refused(store, i) for i in range(50)))
            assert len(outcomes) == 50
            assert time.monotonic() - began < 25 * BUSY_MS / 1000

    using(lambda: opened(tmp_path, BUSY_MS), scenario)


def test_the_event_loop_runs_while_a_write_waits(tmp_path: Path) -> None:
    async def scenario(store: MarketStore) -> None:
        await put(store, Family.TRADES, [trade(1)])
        with locked(tmp_path / FILE_NAME):
            write = asyncio.ensure_future(refused(store))
            turns = 0
            while not write.done():
                await store.revision(TRADES)
                await asyncio.sleep(0.005)
                turns += 1
            assert turns >= 5

    using(lambda: opened(tmp_path, BUSY_MS), scenario)


def test_a_store_opened_while_the_file_is_locked_works_afterwards(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    sqlite3.connect(path).close()

    async def scenario(store: MarketStore) -> None:
        with locked(path), pytest.raises(StoreUnavailable):
            await store.ping()
        await store.ping(write=True)
        assert await put(store, Family.TRADES, [trade(1)]) == WriteCounts(inserted=1)

    using(lambda: opened(tmp_path, BUSY_MS), scenario)


def test_a_revision_that_meets_a_short_lock_is_read_off_the_event_loop(tmp_path: Path) -> None:
    class Busy:
        def execute(self, *_: object) -> None:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
            raise error

    async def scenario(store: MarketStore) -> None:
        assert isinstance(store, SqliteMarketStore)
        await put(store, Family.TRADES, [trade(1)])
        revision = await store.revision(TRADES)
        file, connection = store._database._poller or pytest.fail("no connection was kept")
        store._database._poller = (file, Busy())  # type: ignore[assignment]
        assert await store.revision(TRADES) == revision
        store._database._poller = (file, connection)

    using(lambda: opened(tmp_path), scenario)


# Disk and power

FULL_DISK = """
    import resource
    store = SqliteMarketStore(folder, busy_timeout_ms=1000)
    await put(store, Family.TRADES, [trade(i) for i in range(1000)])
    size = max(path.stat().st_size for path in folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1_000_000, resource.RLIM_INFINITY))
    stored, start = 1000, 1000
    try:
        while start < 1_000_000:
            await put(store, Family.TRADES, [trade(i) for i in range(start, start + 1000)], [letter(start)])
            start += 1000
    except StoreUnavailable:
        pass
    full = await rows_of(store, TRADES, Window(limit=10_000_000)), (await store.dead_letters())[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = await put(store, Family.TRADES, [trade(i) for i in range(start, start + 1000)], [letter(start)])
    rows = await rows_of(store, TRADES, Window(limit=10_000_000))
    totals = await store.totals()
    print(start, len(full[0]), full[1], again.inserted, len(rows), totals[Family.TRADES])
    await store.close()
"""


def test_a_write_that_finds_no_room_leaves_nothing_and_succeeds_later(tmp_path: Path) -> None:
    start, rows_when_full, letters_when_full, again, rows, total = map(int, run_child(FULL_DISK, tmp_path).split())
    assert 1000 < start < 1_000_000
    assert rows_when_full == start
    assert letters_when_full == start // 1000 - 1
    assert again == 1000
    assert rows == total == start + 1000


SMALL_DISK = """
    store = SqliteMarketStore(folder, busy_timeout_ms=1000)
    await store.ping(write=True)
    stuffing = folder / "stuffing"
    with suppress(OSError), stuffing.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    outcomes = []
    for attempt in (store.ping(write=True), put(store, Family.TRADES, [trade(i) for i in range(20_000)])):
        try:
            outcomes.append(await attempt)
        except StoreUnavailable as error:
            outcomes.append("full" if "full" in str(error) else str(error))
    await store.ping()
    outcomes.append(len(await rows_of(store, TRADES, Window(limit=10))))
    stuffing.unlink()
    await store.ping(write=True)
    outcomes.append((await put(store, Family.TRADES, [trade(i) for i in range(1000)])).inserted)
    print(*outcomes)
    await store.close()
"""


def test_a_full_disk_is_noticed_by_the_ping_too(tmp_path: Path) -> None:
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f'mount -t tmpfs -o size=6m none "{tmp_path}" && exec "$@"'
    trial = [*prefix, mount, "-", "true"]
    if shutil.which("unshare") is None or subprocess.run(trial, check=False, capture_output=True).returncode:
        pytest.skip("a small disk could not be mounted: unprivileged user namespaces are needed")
    assert run_child(SMALL_DISK, tmp_path, prefix=[*prefix, mount, "-"]).split() == ["full", "full", "0", "1000"]


KILLED = """
    store = SqliteMarketStore(folder, busy_timeout_ms=5000)
    for batch in range(10_000):
        rows = [trade(batch * 100 + i) for i in range(100)]
        await put(store, Family.TRADES, rows, [letter(batch)])
        await put(store, Family.CANDLES, [candle(str(batch), event_ms=batch)])
        print(batch, flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_process_leaves_whole_batches(tmp_path: Path, seed: int) -> None:
    child = running_child(KILLED, tmp_path)
    chance = random.Random(seed)
    assert child.stdout is not None
    acknowledged = -1
    for _ in range(chance.randint(1, 60)):
        acknowledged = int(child.stdout.readline())
    time.sleep(chance.random() * 0.01)
    child.send_signal(signal.SIGKILL)
    rest = child.communicate(timeout=60)[0].split()
    acknowledged = max([acknowledged, *(int(number) for number in rest[:-1])])

    async def scenario(store: MarketStore) -> None:
        ids = [row.trade_id for row in await rows_of(store, TRADES, Window(limit=10_000_000))]
        assert len(ids) % 100 == 0
        assert ids == list(range(len(ids)))
        batches = len(ids) // 100
        assert batches > acknowledged
        assert (await store.dead_letters())[1] == batches
        assert (await store.totals())[Family.TRADES] == len(ids)
        assert await put(store, Family.TRADES, [trade(i) for i in range(len(ids) + 1)]) == WriteCounts(1, 0, len(ids))
        (found,) = await rows_of(store, CANDLES)
        assert int(found.close) >= acknowledged

    using(lambda: opened(tmp_path), scenario)


def test_a_batch_with_a_wrong_row_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(store: MarketStore) -> None:
        broken = trade(2)._replace(price=None)  # type: ignore[arg-type]
        with pytest.raises(sqlite3.IntegrityError):  # a bug of ours, not a fault of the store
            await put(store, Family.TRADES, [trade(1), broken], [letter(1)])
        assert await rows_of(store, TRADES) == []
        assert await store.dead_letters() == ([], 0)
        assert await put(store, Family.TRADES, [trade(1)]) == WriteCounts(inserted=1)

    using(lambda: opened(tmp_path), scenario)


def test_closing_finishes_what_was_begun(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteMarketStore(tmp_path, busy_timeout_ms=1000)
        write = asyncio.ensure_future(put(store, Family.TRADES, [trade(i) for i in range(5000)]))
        await asyncio.sleep(0)
        await store.close()
        assert (await write).inserted == 5000
        assert not (tmp_path / f"{FILE_NAME}-wal").exists()  # the last one out leaves one file

    asyncio.run(scenario())


def test_numpy_loads_with_the_first_columns_only(tmp_path: Path) -> None:
    program = """
        store = SqliteMarketStore(folder, busy_timeout_ms=1000)
        await put(store, Family.CANDLES, [candle()])
        await rows_of(store, CANDLES, Window())
        before = "numpy" in sys.modules
        await store.columns(CANDLES, end_ms=2**50)
        print(before, "numpy" in sys.modules)
        await store.close()
    """
    assert run_child(program, tmp_path).split() == ["False", "True"]
