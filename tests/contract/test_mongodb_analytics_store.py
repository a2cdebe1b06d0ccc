"""The analytics store on MongoDB: the contract, and what is MongoDB's own."""

from collections.abc import Iterator

import pytest

from common.storage.mongodb.analytics import MongoAnalyticsStore
from tests.contract.analytics_store_contract import AnalyticsStoreContract, OpenAnalyticsStore
from tests.support.mongo_stores import fresh_database, opener, opener_of_fresh, options
from tests.support.servers.mongodb import MongoServer


@pytest.fixture
def database(mongodb_server: MongoServer) -> Iterator[str]:
    with fresh_database(mongodb_server.url) as name:
        yield name


class TestMongoAnalyticsStore(AnalyticsStoreContract):
    @pytest.fixture
    def open_store(self, mongodb_server: MongoServer, database: str) -> OpenAnalyticsStore:
        return opener(MongoAnalyticsStore, options(mongodb_server.url, database))

    @pytest.fixture
    def open_fresh(self, mongodb_server: MongoServer) -> OpenAnalyticsStore:
        return opener_of_fresh(MongoAnalyticsStore, mongodb_server.url)
