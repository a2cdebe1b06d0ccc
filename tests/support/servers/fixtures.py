"""Fixtures of the database servers, and the line of the report that says which ones were used."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest

from infra.local.databases.missing import DatabaseMissing
from tests.support.servers import mongodb, mysql
from tests.support.servers.handle import Server
from tests.support.servers.missing import REQUIRED_VARIABLE, servers_required

AnyServer = TypeVar("AnyServer", bound=Server)

# Name of a server kind → what was used, or why there was none; filled as tests ask.
_USED = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no server used."""
    config.stash[_USED] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which database servers the tests used."""
    for kind, used in sorted(config.stash[_USED].items()):
        terminalreporter.write_line(f"{kind}: {used}")


@pytest.fixture(scope="session")
def mongodb_server(pytestconfig: pytest.Config) -> Iterator[mongodb.MongoServer]:
    """The MongoDB server that all tests share; each uses databases of its own and leaves the server running."""
    yield from _provide(pytestconfig, "MongoDB", mongodb.mongodb_server)


@pytest.fixture
def own_mongodb_server(pytestconfig: pytest.Config) -> Iterator[mongodb.MongoServer]:
    """A MongoDB server for one test, to be stopped and frozen at will."""
    yield from _provide(pytestconfig, "MongoDB", lambda: mongodb.mongodb_server(own=True))


@pytest.fixture(scope="session")
def mysql_server(pytestconfig: pytest.Config) -> Iterator[mysql.MySqlServer]:
    """The MySQL server that all tests share; each uses databases of its own and leaves the server running."""
    yield from _provide(pytestconfig, "MySQL", mysql.mysql_server)


@pytest.fixture
def own_mysql_server(pytestconfig: pytest.Config) -> Iterator[mysql.MySqlServer]:
    """A MySQL server for one test, to be stopped and frozen at will."""
    yield from _provide(pytestconfig, "MySQL", lambda: mysql.mysql_server(own=True))


def _provide(
    config: pytest.Config, kind: str, server: Callable[[], AbstractContextManager[AnyServer]]
) -> Iterator[AnyServer]:
    with ExitStack() as stack:
        running: AnyServer | None = None
        why = ""
        try:
            running = stack.enter_context(server())
        except DatabaseMissing as missing:
            why = str(missing)
        config.stash[_USED].setdefault(kind, f"none: {why}" if running is None else running.description)
        if running is None and servers_required():
            pytest.fail(f"{why} ({REQUIRED_VARIABLE}=required)", pytrace=False)
        if running is None:
            pytest.skip(why)
        yield running
