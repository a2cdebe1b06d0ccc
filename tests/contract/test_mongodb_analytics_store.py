"""The analytics store on MongoDB: the contract, and what is MongoDB's own."""

import asyncio
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from common.analytics.declaration import MARKET
from common.storage.mongodb.analytics import MongoAnalyticsStore
from common.storage.mongodb.connection import ConnectionOptions
from common.storage.ports import AnalyticsDocument, Window
from tests.contract.analytics_store_contract import AnalyticsStoreContract, OpenAnalyticsStore
from tests.support.mongo_stores import opened, opener, opener_of_fresh
from tests.support.servers.mongodb import MongoServer
from tests.support.store_rows import START_MS

BODY = {
    "symbol": "BTCUSDT",
    "timeframe": "1h",
    "timestamp": "2025-10-20T12:00:01.500Z",
    "as_of": "2025-10-20T12:00:00.000Z",
    "annualized_volatility": "0.41230",
    "rows_used": 3_000_000_000,
    "metadata": {"method": "close_to_close", "window": "30d", "completeness": 99.86},
}
DOCUMENT = AnalyticsDocument("BTCUSDT", "volatility", "1h", START_MS, START_MS + 1500, BODY)


class TestMongoAnalyticsStore(AnalyticsStoreContract):
    @pytest.fixture
    def open_store(self, mongodb_connection: ConnectionOptions) -> OpenAnalyticsStore:
        return opener(MongoAnalyticsStore, mongodb_connection)

    @pytest.fixture
    def open_fresh(self, mongodb_server: MongoServer) -> OpenAnalyticsStore:
        return opener_of_fresh(MongoAnalyticsStore, mongodb_server.url)


def test_documents_stand_in_the_database_as_the_storage_page_says(
    mongodb_connection: ConnectionOptions, mongodb_raw: Any
) -> None:
    matrix = {"matrix": {"BTCUSDT": {"ETHUSDT": "0.50"}}}
    market = AnalyticsDocument(MARKET, "correlation_matrix", "1h", START_MS, START_MS + 1500, matrix)

    async def scenario() -> list[AnalyticsDocument]:
        async with opened(MongoAnalyticsStore, mongodb_connection) as store:
            await store.save([DOCUMENT, market])
            found = await store.documents("BTCUSDT", "volatility", "1h", Window())
            return found + await store.documents(MARKET, "correlation_matrix", "1h", Window())

    read = asyncio.run(scenario())
    assert read == [DOCUMENT, market]
    assert type(read[0].body["rows_used"]) is int
    own = {"analytics_BTCUSDT_volatility", "analytics_correlation_matrix"}
    assert set(mongodb_raw.list_collection_names()) == own | {"changes", "counters", "series"}
    stored = mongodb_raw["analytics_BTCUSDT_volatility"].find_one()
    assert stored["_id"] == f"BTCUSDT_1h_{START_MS}"
    assert stored["annualized_volatility"] == Decimal128("0.41230")
    assert stored["timestamp"].isoformat() == "2025-10-20T12:00:01.500000"
    assert stored["metadata"]["completeness"] == 99.86


def test_documents_of_the_original_system_are_left_alone(
    mongodb_connection: ConnectionOptions, mongodb_raw: Any
) -> None:
    """They have no time of their own, so they cannot be told to be the newest, nor to be old."""
    original = {"symbol": "BTCUSDT", "timeframe": "1h", "rolling_volatility": 0.4, "metadata": {"window": "30d"}}
    mongodb_raw["analytics_BTCUSDT_volatility"].insert_one(original)

    async def scenario() -> None:
        async with opened(MongoAnalyticsStore, mongodb_connection) as store:
            assert await store.newest_computed_at() is None
            assert await store.documents("BTCUSDT", "volatility", "1h", Window()) == []
            await store.save([DOCUMENT])
            assert await store.newest_computed_at("volatility") == START_MS + 1500
            assert await store.documents("BTCUSDT", "volatility", "1h", Window()) == [DOCUMENT]
            assert await store.count_documents("BTCUSDT", "volatility", "1h") == 1
            assert await store.delete_analytics_before(START_MS + 1, limit=10) == 1

    asyncio.run(scenario())
    assert mongodb_raw["analytics_BTCUSDT_volatility"].count_documents({}) == 1
