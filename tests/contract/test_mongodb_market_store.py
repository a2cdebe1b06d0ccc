"""The market store on MongoDB: the contract, and what is MongoDB's own."""

from collections.abc import Iterator

import pytest

from common.storage.mongodb.market import MongoMarketStore
from tests.contract.market_store_contract import MarketStoreContract, OpenStore
from tests.support.mongo_stores import fresh_database, opener, opener_of_fresh, options
from tests.support.servers.mongodb import MongoServer


@pytest.fixture
def database(mongodb_server: MongoServer) -> Iterator[str]:
    with fresh_database(mongodb_server.url) as name:
        yield name


class TestMongoMarketStore(MarketStoreContract):
    @pytest.fixture
    def open_store(self, mongodb_server: MongoServer, database: str) -> OpenStore:
        return opener(MongoMarketStore, options(mongodb_server.url, database))

    @pytest.fixture
    def open_fresh(self, mongodb_server: MongoServer) -> OpenStore:
        return opener_of_fresh(MongoMarketStore, mongodb_server.url)
