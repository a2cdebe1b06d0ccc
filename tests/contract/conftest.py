"""Fixtures of the contracts, whose failed assertions show their values as those of test modules do."""

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from common.storage.mongodb.connection import ConnectionOptions
from tests.support.mongo_stores import fresh_database, options
from tests.support.servers.mongodb import MongoServer

for name in ("market_store", "analytics_store", "metadata_store", "broker"):
    pytest.register_assert_rewrite(f"tests.contract.{name}_contract")
pytest.register_assert_rewrite("tests.contract.market_store")


@pytest.fixture
def mongodb_database(mongodb_server: MongoServer) -> Iterator[str]:
    """Name of a database of this test's own."""
    with fresh_database(mongodb_server.url) as name:
        yield name


@pytest.fixture
def mongodb_connection(mongodb_server: MongoServer, mongodb_database: str) -> ConnectionOptions:
    """How to connect to it."""
    return options(mongodb_server.url, mongodb_database)


@pytest.fixture
def mongodb_raw(mongodb_server: MongoServer, mongodb_database: str) -> Iterator[Any]:
    """The database as another program sees it."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(mongodb_server.url) as client:
        yield client[mongodb_database]
