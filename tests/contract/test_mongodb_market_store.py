"""The market store on MongoDB: the contract, and what is MongoDB's own."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pymongo
import pytest
from bson.decimal128 import Decimal128

from common.errors import StoreUnavailable
from common.models.rows import Family
from common.storage.mongodb.connection import ConnectionOptions
from common.storage.mongodb.market import MongoMarketStore
from common.storage.ports import Window, WriteCounts
from common.timeframes import Timeframe
from common.times import DAY_MS
from tests.contract.market_store_contract import ALL, MarketStoreContract, OpenStore, content, winners
from tests.support.mongo_stores import fresh_database, opened, opener, opener_of_fresh, options
from tests.support.servers.mongodb import MongoServer
from tests.support.servers.proxy import Proxy
from tests.support.store_rows import BTC, HOUR_MS, SAMPLES, START_MS, candle, letter, trade


@pytest.fixture
def database(mongodb_server: MongoServer) -> Iterator[str]:
    with fresh_database(mongodb_server.url) as name:
        yield name


@pytest.fixture
def connection(mongodb_server: MongoServer, database: str) -> ConnectionOptions:
    return options(mongodb_server.url, database)


@pytest.fixture
def raw(mongodb_server: MongoServer, database: str) -> Iterator[Any]:
    """The database as another program sees it."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(mongodb_server.url) as client:
        yield client[database]


class TestMongoMarketStore(MarketStoreContract):
    batches_are_atomic = False

    @pytest.fixture
    def open_store(self, connection: ConnectionOptions) -> OpenStore:
        return opener(MongoMarketStore, connection)

    @pytest.fixture
    def open_fresh(self, mongodb_server: MongoServer) -> OpenStore:
        return opener_of_fresh(MongoMarketStore, mongodb_server.url)


def test_collections_indexes_and_types_are_those_of_the_storage_page(connection: ConnectionOptions, raw: Any) -> None:
    async def scenario() -> None:
        ages: dict[str, int] = {Family.TRADES: 7 * DAY_MS, Family.DEPTH: DAY_MS}
        async with opened(MongoMarketStore, connection, ages) as store:
            for family, rows in SAMPLES.items():
                await store.write(family, rows, [letter(1)])

    asyncio.run(scenario())
    assert set(raw.list_collection_names()) == {
        "trades_BTCUSDT",
        "agg_trades_BTCUSDT",
        "tickers_BTCUSDT",
        "depth_BTCUSDT",
        "mark_prices_BTCUSDT",
        "funding_rates_BTCUSDT",
        "candles_BTCUSDT_1h",
        "dead_letters",
    }
    indexes = raw["trades_BTCUSDT"].index_information()
    assert [list(index["key"]) for index in indexes.values()] == [
        [("_id", 1)],
        [("timestamp", 1), ("trade_id", 1)],
        [("symbol", 1), ("timestamp", 1)],
        [("stored_at", 1)],
    ]
    assert indexes["ttl"]["expireAfterSeconds"] == 7 * 24 * 3600
    assert raw["depth_BTCUSDT"].index_information()["ttl"]["expireAfterSeconds"] == 24 * 3600
    assert "ttl" not in raw["candles_BTCUSDT_1h"].index_information()
    assert isinstance(raw["trades_BTCUSDT"].find_one({"_id": "BTCUSDT_1"})["price"], Decimal128)


def test_prices_compare_as_numbers_in_the_database(connection: ConnectionOptions, raw: Any) -> None:
    async def scenario() -> None:
        async with opened(MongoMarketStore, connection) as store:
            await store.write(Family.TRADES, [trade(i, price=price) for i, price in enumerate(("9.50", "10.5", "100"))])

    asyncio.run(scenario())
    above = raw["trades_BTCUSDT"].find({"price": {"$gt": Decimal128("9.5")}})
    assert sorted(found["trade_id"] for found in above) == [1, 2]


def test_an_existing_database_is_taken_over(connection: ConnectionOptions, raw: Any) -> None:
    """Documents of the original system: doubles, no evidence, ids made of symbol and time."""
    prices = {"open": 64302.1, "high": 64355.0, "low": 64012.7, "close": 64119.4, "volume": 4120.338}
    started = [{"timestamp": _date(START_MS + slot * HOUR_MS)} for slot in range(3)]
    raw["candles_BTCUSDT_1h"].insert_many(
        {"_id": f"BTCUSDT_{START_MS + slot * HOUR_MS}", "symbol": BTC, "timeframe": "1h", **prices, **at}
        for slot, at in enumerate(started)
    )

    async def scenario() -> None:
        async with opened(MongoMarketStore, connection) as store:
            columns = await store.candle_columns(BTC, Timeframe.H1, end_ms=START_MS + 9 * HOUR_MS)
            assert columns.close.tolist() == [64119.4] * 3
            assert str(columns.quote_volume.tolist()) == "[nan, nan, nan]"
            counts = await store.write(Family.CANDLES, [candle(slot=1, event_ms=2 * HOUR_MS), candle(slot=3)])
            assert counts == WriteCounts(inserted=1, updated=1)
            found = await store.candles(BTC, Timeframe.H1, ALL)
            assert [row.close for row in found] == ["64119.4", "64119.40", "64119.4", "64119.40"]
            assert [row.revision for row in found] == [0, 1, 0, 0]
            mixed = await store.candle_columns(BTC, Timeframe.H1, end_ms=START_MS + 9 * HOUR_MS)
            assert mixed.close.tolist() == [64119.4] * 4
            assert (await store.extent(Family.CANDLES, BTC, Timeframe.H1)).rows == 4

    asyncio.run(scenario())


def _date(instant_ms: int) -> Any:
    from bson.datetime_ms import DatetimeMS

    return DatetimeMS(instant_ms)


def test_writers_of_other_processes_agree_on_the_candle(connection: ConnectionOptions) -> None:
    """Several stores at once, each with its own connections: every exchange is atomic at the server."""
    updates = [candle(str(i), slot=i % 2, closed=i % 7 == 0, event_ms=i) for i in range(80)]

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(opened(MongoMarketStore, connection)) for _ in range(4)]
            calls = [stores[i % 4].write(Family.CANDLES, updates[i : i + 5]) for i in range(0, 80, 2)]
            counts = await asyncio.gather(*calls)
            assert sum(count.inserted for count in counts) == 2
            found = await stores[0].candles(BTC, Timeframe.H1, ALL)
            assert [content(row) for row in found] == winners(updates)

    asyncio.run(scenario())


# Faults of the server


async def refused(store: MongoMarketStore, within_s: float) -> None:
    """Check that a write and a read are refused in time."""
    for call in (store.write(Family.TRADES, [trade(999)]), store.trades(BTC, ALL), store.ping(write=True)):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await call
        assert time.monotonic() - began < within_s


def test_a_frozen_server_is_waited_for_and_no_longer(own_mongodb_server: MongoServer) -> None:
    connection = options(own_mongodb_server.url, "frozen", timeout_ms=700)

    async def scenario() -> None:
        async with opened(MongoMarketStore, connection) as store:
            await store.write(Family.TRADES, [trade(1)])
            own_mongodb_server.freeze()
            await refused(store, within_s=2)
            own_mongodb_server.thaw()
            await _until_written(store, [trade(1), trade(2)])
            assert [row.trade_id for row in await store.trades(BTC, ALL) if row.trade_id != 999] == [1, 2]

    asyncio.run(scenario())


def test_a_server_that_is_started_again_is_used_again(own_mongodb_server: MongoServer) -> None:
    connection = options(own_mongodb_server.url, "again", timeout_ms=2000)

    async def scenario() -> None:
        async with opened(MongoMarketStore, connection) as store:
            await store.write(Family.TRADES, [trade(1)])
            own_mongodb_server.stop()
            await refused(store, within_s=3)
            own_mongodb_server.start()
            await _until_written(store, [trade(1), trade(2)])
            assert await store.trades(BTC, ALL) == [trade(1), trade(2)]
            client: pymongo.MongoClient[dict[str, Any]]
            with pymongo.MongoClient(own_mongodb_server.url) as client:
                assert len(client["again"]["trades_BTCUSDT"].index_information()) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("passed", [1, 40, 5_000, 60_000])
def test_a_connection_cut_in_a_batch_loses_nothing_and_doubles_nothing(
    mongodb_server: MongoServer, database: str, passed: int
) -> None:
    rows = [trade(i) for i in range(1000)]

    async def scenario() -> None:
        with Proxy(mongodb_server.port, target_host=mongodb_server.host) as proxy:
            through = options(f"mongodb://127.0.0.1:{proxy.port}/?retryWrites=false", database)
            async with opened(MongoMarketStore, through) as store:
                await store.write(Family.TRADES, rows[:1])
                proxy.cut_after(passed)
                with contextlib.suppress(StoreUnavailable):
                    await store.write(Family.TRADES, rows)
                counts = await _until_written(store, rows)
                assert counts.inserted + counts.unchanged == len(rows)
                assert await store.trades(BTC, Window(limit=5000)) == rows
                assert (await store.totals())[Family.TRADES] == len(rows)

    asyncio.run(scenario())


def test_a_server_that_accepts_and_never_answers_is_given_up(mongodb_server: MongoServer, database: str) -> None:
    async def scenario() -> None:
        with Proxy(mongodb_server.port, target_host=mongodb_server.host) as proxy:
            address = f"mongodb://127.0.0.1:{proxy.port}/"
            through = options(address, database, timeout_ms=700)
            async with opened(MongoMarketStore, through) as store:
                proxy.stall()
                await refused(store, within_s=2)
                proxy.resume()
                await _until_written(store, [trade(1)])

    asyncio.run(scenario())


def test_a_server_that_was_never_there_is_unavailable(connection: ConnectionOptions) -> None:
    nowhere = replace(connection, url="mongodb://127.0.0.1:1/", timeout_ms=500)

    async def scenario() -> None:
        async with opened(MongoMarketStore, nowhere) as store:
            await refused(store, within_s=2)

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
            assert await store.trades(BTC, Window(limit=50_000)) == acknowledged

    asyncio.run(scenario())


@pytest.mark.timeout(150)
def test_old_documents_expire(mongodb_server: MongoServer, connection: ConnectionOptions) -> None:
    if mongodb_server.is_stand_in:
        pytest.skip("the stand-in expires nothing: set PETROSA_TEST_MONGODB_URL, or put mongod on PATH")

    async def scenario() -> None:
        async with opened(MongoMarketStore, connection, {"trades": 1000}) as store:
            await store.write(Family.TRADES, [trade(1)])
            for _ in range(130):  # the server looks every minute
                if not await store.trades(BTC, ALL):
                    return
                await asyncio.sleep(1)
            raise AssertionError("the document did not expire")

    asyncio.run(scenario())


async def _until_written(store: MongoMarketStore, rows: list[Any]) -> WriteCounts:
    """Send rows again until they are taken, as a redelivery does."""
    for _ in range(50):
        with contextlib.suppress(StoreUnavailable):
            return await store.write(Family.TRADES, rows)
        await asyncio.sleep(0.1)
    raise AssertionError("the server did not come back")
