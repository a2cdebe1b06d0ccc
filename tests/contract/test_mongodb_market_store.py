"""The market store on MongoDB: the contract, and what is MongoDB's own."""

import asyncio
import contextlib
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from common.models.families import Family, Series
from common.storage.mongodb.connection import ConnectionOptions
from common.storage.mongodb.market import MongoMarketStore
from common.storage.ports import WriteCounts
from common.timeframes import Timeframe
from common.times import DAY_MS
from tests.contract.market_store_contract import MarketStoreContract, OpenStore, content, winners
from tests.support.mongo_stores import opened, opener, opener_of_fresh
from tests.support.servers.mongodb import MongoServer
from tests.support.store_rows import BTC, CANDLES, HOUR_MS, SAMPLES, START_MS, candle, letter, put, rows_of, trade


class TestMongoMarketStore(MarketStoreContract):
    batches_are_atomic = False

    @pytest.fixture
    def open_store(self, mongodb_connection: ConnectionOptions) -> OpenStore:
        return opener(MongoMarketStore, mongodb_connection)

    @pytest.fixture
    def open_fresh(self, mongodb_server: MongoServer) -> OpenStore:
        return opener_of_fresh(MongoMarketStore, mongodb_server.url)


def test_collections_indexes_and_types_are_those_of_the_storage_page(
    mongodb_connection: ConnectionOptions, mongodb_raw: Any
) -> None:
    async def scenario() -> None:
        ages: dict[str, int] = {Family.TRADES: 7 * DAY_MS, Family.DEPTH: DAY_MS}
        async with opened(MongoMarketStore, mongodb_connection, ages) as store:
            for family, rows in SAMPLES.items():
                await put(store, family, rows, [letter(1)])

    asyncio.run(scenario())
    assert set(mongodb_raw.list_collection_names()) == {
        "trades_BTCUSDT",
        "agg_trades_BTCUSDT",
        "tickers_BTCUSDT",
        "depth_BTCUSDT",
        "mark_prices_BTCUSDT",
        "funding_rates_BTCUSDT",
        "candles_BTCUSDT_1h",
        "dead_letters",
        "changes",
        "counters",
        "series",
    }
    indexes = mongodb_raw["trades_BTCUSDT"].index_information()
    assert [list(index["key"]) for index in indexes.values()] == [
        [("_id", 1)],
        [("timestamp", 1), ("trade_id", 1)],
        [("symbol", 1), ("timestamp", 1)],
        [("stored_at", 1)],
    ]
    assert indexes["ttl"]["expireAfterSeconds"] == 7 * 24 * 3600
    assert mongodb_raw["depth_BTCUSDT"].index_information()["ttl"]["expireAfterSeconds"] == 24 * 3600
    assert "ttl" not in mongodb_raw["candles_BTCUSDT_1h"].index_information()
    assert isinstance(mongodb_raw["trades_BTCUSDT"].find_one({"_id": "BTCUSDT_1"})["price"], Decimal128)


def test_prices_compare_as_numbers_in_the_database(mongodb_connection: ConnectionOptions, mongodb_raw: Any) -> None:
    async def scenario() -> None:
        async with opened(MongoMarketStore, mongodb_connection) as store:
            await put(store, Family.TRADES, [trade(i, price=price) for i, price in enumerate(("9.50", "10.5", "100"))])

    asyncio.run(scenario())
    above = mongodb_raw["trades_BTCUSDT"].find({"price": {"$gt": Decimal128("9.5")}})
    assert sorted(found["trade_id"] for found in above) == [1, 2]


def test_an_existing_database_is_taken_over(mongodb_connection: ConnectionOptions, mongodb_raw: Any) -> None:
    """Documents of the original system: doubles, no evidence, ids made of symbol and time."""
    prices = {"open": 64302.1, "high": 64355.0, "low": 64012.7, "close": 64119.4, "volume": 4120.338}
    started = [{"timestamp": _date(START_MS + slot * HOUR_MS)} for slot in range(3)]
    mongodb_raw["candles_BTCUSDT_1h"].insert_many(
        {"_id": f"BTCUSDT_{START_MS + slot * HOUR_MS}", "symbol": BTC, "timeframe": "1h", **prices, **at}
        for slot, at in enumerate(started)
    )

    async def scenario() -> None:
        async with opened(MongoMarketStore, mongodb_connection) as store:
            columns = await store.columns(CANDLES, end_ms=START_MS + 9 * HOUR_MS)
            assert columns.close.tolist() == [64119.4] * 3
            assert str(columns.quote_volume.tolist()) == "[nan, nan, nan]"
            counts = await put(store, Family.CANDLES, [candle(slot=1, event_ms=2 * HOUR_MS), candle(slot=3)])
            assert counts == WriteCounts(inserted=1, updated=1)
            found = await rows_of(store, CANDLES)
            assert [row.close for row in found] == ["64119.4", "64119.40", "64119.4", "64119.40"]
            assert [row.revision for row in found] == [0, 1, 0, 0]
            mixed = await store.columns(CANDLES, end_ms=START_MS + 9 * HOUR_MS)
            assert mixed.close.tolist() == [64119.4] * 4
            assert (await store.extent(CANDLES)).rows == 4

    asyncio.run(scenario())


def _date(instant_ms: int) -> Any:
    from bson.datetime_ms import DatetimeMS

    return DatetimeMS(instant_ms)


def test_writers_of_other_processes_agree_on_the_candle(mongodb_connection: ConnectionOptions) -> None:
    """Several stores at once, each with its own connections: every exchange is atomic at the server."""
    updates = [candle(str(i), slot=i % 2, closed=i % 7 == 0, event_ms=i) for i in range(80)]

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(opened(MongoMarketStore, mongodb_connection)) for _ in range(4)]
            calls = [put(stores[i % 4], Family.CANDLES, updates[i : i + 5]) for i in range(0, 80, 2)]
            counts = await asyncio.gather(*calls)
            assert sum(count.inserted for count in counts) == 2
            found = await rows_of(stores[0], CANDLES)
            assert [content(row) for row in found] == winners(updates)

    asyncio.run(scenario())


def test_the_age_of_documents_follows_the_setting(mongodb_connection: ConnectionOptions, mongodb_raw: Any) -> None:
    async def write(ages: dict[str, int]) -> None:
        async with opened(MongoMarketStore, mongodb_connection, ages) as store:
            await put(store, Family.TRADES, [trade(1)])

    asyncio.run(write({"trades": DAY_MS}))
    assert mongodb_raw["trades_BTCUSDT"].index_information()["ttl"]["expireAfterSeconds"] == 86_400
    asyncio.run(write({}))
    assert "ttl" not in mongodb_raw["trades_BTCUSDT"].index_information()


def test_symbols_that_begin_alike_are_told_apart(mongodb_connection: ConnectionOptions) -> None:
    """A delivery contract is named after its pair: ``BTCUSDT_250627``."""

    async def scenario() -> None:
        async with opened(MongoMarketStore, mongodb_connection) as store:
            await put(store, Family.CANDLES, [candle(), candle(symbol="BTCUSDT_250627"), candle(timeframe="5m")])
            assert await rows_of(store, CANDLES) == [candle()]
            assert await rows_of(store, Series(Family.CANDLES, "BTCUSDT_250627", Timeframe.H1)) != []
            assert (await store.totals())[Family.CANDLES] == 3

    asyncio.run(scenario())


def test_a_probe_really_writes(mongodb_connection: ConnectionOptions, mongodb_raw: Any) -> None:
    async def scenario() -> list[Any]:
        seen = []
        async with opened(MongoMarketStore, mongodb_connection) as store:
            for _ in range(2):
                await store.ping(write=True)
                seen.append(mongodb_raw["probes"].find_one()["written_at"])
                await asyncio.sleep(0.01)
        return seen

    first, second = asyncio.run(scenario())
    assert second > first
