"""The whole system runs on embedded stores and on servers; a test that asks for ``stores`` runs on both."""

from collections.abc import Iterator, Mapping

import pytest

from tests.support.mongo_stores import fresh_database
from tests.support.mysql_databases import address, new_database
from tests.support.servers.mongodb import MongoServer
from tests.support.servers.mysql import MySqlServer


@pytest.fixture
def on_servers(mongodb_server: MongoServer, mysql_server: MySqlServer) -> Iterator[Mapping[str, str]]:
    """Settings of a system on MongoDB and MySQL, on databases of its own."""
    with fresh_database(mongodb_server.url) as database, new_database(mysql_server, made=False) as metadata:
        yield {"MONGODB_URL": f"{mongodb_server.url}{database}", "MYSQL_URI": address(mysql_server, metadata)}


@pytest.fixture(params=["embedded", "servers"])
def stores(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Settings of a system on either kind of stores."""
    if request.param == "embedded":
        return {}
    settings: Mapping[str, str] = request.getfixturevalue("on_servers")
    return settings
