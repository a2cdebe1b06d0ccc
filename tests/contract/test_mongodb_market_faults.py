"""The market store on MongoDB while its server is away, silent, killed, or cut off in the middle of a batch."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import pymongo
import pytest

from common.errors import StoreUnavailable
from common.models.families import Family
from common.storage.mongodb.connection import ConnectionOptions
from common.storage.mongodb.market import MongoMarketStore
from common.storage.ports import Window, WriteCounts
from common.times import MINUTE_MS
from tests.support.mongo_stores import LaterClock, collect_sockets, opened, options
from tests.support.servers.mongodb import MongoServer
from tests.support.servers.proxy import Proxy
from tests.support.store_rows import TRADES, put, rows_of, trade


@pytest.fixture(autouse=True)
def _no_sockets_are_left() -> Iterator[None]:
    yield
    collect_sockets()


# Far above the stores' own time limits, far below the driver's: a busy machine does not fail a test.
_IN_TIME_S: Final = 15


async def refused(store: MongoMarketStore) -> None:
    """Check that a write and a read are refused in time."""
    calls: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: put(store, Family.TRADES, [trade(999)]),
        lambda: rows_of(store, TRADES),
        lambda: store.ping(write=True),
    )
    for call in calls:
        async with asyncio.timeout(_IN_TIME_S):
            with pytest.raises(StoreUnavailable):
                await call()


def test_a_frozen_server_is_waited_for_and_no_longer(own_mongodb_server: MongoServer) -> None:
    connection = options(own_mongodb_server.url, "frozen", timeout_ms=700)

    async def scenario() -> None:
        async with opened(MongoMarketStore, connection) as store:
            await _until_written(store, [trade(1)])
            own_mongodb_server.freeze()
            await refused(store)
            own_mongodb_server.thaw()
            await _until_written(store, [trade(1), trade(2)])
            assert [row.trade_id for row in await rows_of(store, TRADES) if row.trade_id != 999] == [1, 2]

    asyncio.run(scenario())


def test_a_server_that_is_started_again_is_used_again(own_mongodb_server: MongoServer) -> None:
    connection = options(own_mongodb_server.url, "again", timeout_ms=2000)

    async def scenario() -> None:
        async with opened(MongoMarketStore, connection) as store:
            await _until_written(store, [trade(1)])
            own_mongodb_server.stop()
            await refused(store)
            own_mongodb_server.start()
            await _until_written(store, [trade(1), trade(2)])
            assert await rows_of(store, TRADES) == [trade(1), trade(2)]
            client: pymongo.MongoClient[dict[str, Any]]
            with pymongo.MongoClient(own_mongodb_server.url) as client:
                assert len(client["again"]["trades_BTCUSDT"].index_information()) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("passed", [1, 40, 5_000, 60_000])
def test_a_connection_cut_in_a_batch_loses_nothing_and_doubles_nothing(
    mongodb_server: MongoServer, mongodb_database: str, passed: int
) -> None:
    """Nor does it leave a reader with the revision of before, whatever part of the batch was stored."""
    rows = [trade(i) for i in range(1000)]
    clock, direct = LaterClock(), options(mongodb_server.url, mongodb_database)

    async def scenario() -> None:
        with Proxy(mongodb_server.port, target_host=mongodb_server.host) as proxy:
            through = options(f"mongodb://127.0.0.1:{proxy.port}/?retryWrites=false", mongodb_database)
            async with (
                opened(MongoMarketStore, through) as store,
                opened(MongoMarketStore, direct, clock=clock) as reader,
            ):
                await put(store, Family.TRADES, rows[:1])
                before = await reader.revision(TRADES)
                proxy.cut_after(passed)
                with contextlib.suppress(StoreUnavailable):
                    await put(store, Family.TRADES, rows)
                seen = await rows_of(reader, TRADES, Window(limit=5000))
                assert len(seen) == 1 or await reader.revision(TRADES) != before
                counts = await _until_written(store, rows)
                assert counts.inserted + counts.unchanged == len(rows)
                assert await rows_of(store, TRADES, Window(limit=5000)) == rows
                assert (await store.totals())[Family.TRADES] == len(rows)
                clock.ahead_ms = MINUTE_MS
                assert await reader.revision(TRADES) not in (None, before)
                changes = await reader.changes(1, limit=99)
                assert max(change.last_ms or 0 for change in changes) == rows[-1].time_ms

    asyncio.run(scenario())


def test_a_server_that_accepts_and_never_answers_is_given_up(
    mongodb_server: MongoServer, mongodb_database: str
) -> None:
    async def scenario() -> None:
        with Proxy(mongodb_server.port, target_host=mongodb_server.host) as proxy:
            address = f"mongodb://127.0.0.1:{proxy.port}/"
            through = options(address, mongodb_database, timeout_ms=700)
            async with opened(MongoMarketStore, through) as store:
                proxy.stall()
                await refused(store)
                proxy.resume()
                await _until_written(store, [trade(1)])

    asyncio.run(scenario())


def test_a_server_that_was_never_there_is_unavailable(mongodb_connection: ConnectionOptions) -> None:
    nowhere = replace(mongodb_connection, url="mongodb://127.0.0.1:1/", timeout_ms=500)

    async def scenario() -> None:
        async with opened(MongoMarketStore, nowhere) as store:
            await refused(store)

    asyncio.run(scenario())


def test_what_was_acknowledged_survives_a_kill_of_the_server(own_mongodb_server: MongoServer) -> None:
    if own_mongodb_server.is_stand_in:
        pytest.skip("the stand-in keeps nothing on disk: put mongod on PATH")
    connection = options(own_mongodb_server.url, "killed", timeout_ms=2000)

    async def scenario() -> None:
        acknowledged: list[Any] = []
        async with opened(MongoMarketStore, connection) as store:
            for start in range(0, 20_000, 500):
                batch = [trade(number) for number in range(start, start + 500)]
                if start == 10_000:
                    own_mongodb_server.kill()
                    own_mongodb_server.start()
                await _until_written(store, batch)
                acknowledged += batch
            assert await rows_of(store, TRADES, Window(limit=50_000)) == acknowledged

    asyncio.run(scenario())


def test_old_documents_expire(mongodb_server: MongoServer, mongodb_connection: ConnectionOptions) -> None:
    if mongodb_server.is_stand_in:
        pytest.skip("the stand-in expires nothing: set PETROSA_TEST_MONGODB_URL, or put mongod on PATH")

    async def scenario() -> None:
        async with opened(MongoMarketStore, mongodb_connection, {"trades": 1000}) as store:
            await put(store, Family.TRADES, [trade(1)])
            for _ in range(130):  # the server looks every minute
                if not await rows_of(store, TRADES):
                    return
                await asyncio.sleep(1)
            raise AssertionError("the document did not expire")

    asyncio.run(scenario())


async def _until_written(store: MongoMarketStore, rows: list[Any]) -> WriteCounts:
    """Send rows again until they are taken, as a redelivery does."""
    for _ in range(50):
        with contextlib.suppress(StoreUnavailable):
            return await put(store, Family.TRADES, rows)
        await asyncio.sleep(0.1)
    raise AssertionError("the server did not come back")
