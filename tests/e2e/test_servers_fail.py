"""The whole system on MongoDB and MySQL while one of them is away, silent, or cut off in the middle of a batch."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from common.events import Event, types
from common.events.sink import Sink
from common.models.families import Family
from common.settings import Settings
from common.storage.open import open_metadata_store
from tests.support.mongo_stores import collect_sockets
from tests.support.mysql_databases import address
from tests.support.servers.mongodb import MongoServer
from tests.support.servers.mysql import MySqlServer
from tests.support.servers.proxy import Proxy
from tests.support.system import System, running_system
from tests.support.traffic import publish, stored_rows, trade, wait_stored

pytestmark = [pytest.mark.slow]

TRADES = 20_000
FROZEN_S = 30.0
BOUNDED_S = 20.0  # what an answer may take meanwhile: less than the freeze lasts


@pytest.fixture(autouse=True)
def _no_sockets_are_left() -> Iterator[None]:
    yield
    collect_sockets()


@pytest.fixture
def mongodb_url(on_servers: Mapping[str, str]) -> str:
    return on_servers["MONGODB_URL"]


@pytest.fixture
def mysql_url(on_servers: Mapping[str, str]) -> str:
    return on_servers["MYSQL_URI"]


def on(mongodb: str, mysql: str, state: Path) -> contextlib.AbstractContextManager[System]:
    """Run the system on these servers."""
    return running_system(state, environment={"MONGODB_URL": mongodb, "MYSQL_URI": mysql})


@contextlib.contextmanager
def publishing(system: System, numbers: range) -> Iterator[None]:
    """Publish trades, a thousand at a time, while the block runs, and wait for the end."""

    def run() -> None:
        for start in range(numbers.start, numbers.stop, 1000):
            publish(system, [trade(number) for number in range(start, min(start + 1000, numbers.stop))])
            time.sleep(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def components(system: System) -> dict[str, str]:
    states: dict[str, str] = system.get("/health/readiness").json()["components"]
    return states


def wait_unready(system: System, component: str) -> None:
    """Wait until readiness names a component as unhealthy, and answers 503."""
    system.wait(lambda: components(system)[component] == "unhealthy", f"{component} stayed healthy")
    assert system.get("/health/readiness").status_code == 503


def wait_ready(system: System) -> None:
    system.wait(lambda: system.get("/health/readiness").status_code == 200, "readiness did not come back")


def assert_whole(system: System, rows: int) -> None:
    """Check that everything is stored once, the system is ready by itself, and nothing was set aside."""
    wait_stored(system, Family.TRADES, rows)
    wait_ready(system)
    assert stored_rows(system, Family.TRADES) == rows
    assert system.get("/health/dead-letters").json()["pagination"]["total"] == 0


def send_scheduled_tick(system: System) -> None:
    """Post what the cron of the analytics schedule posts, so that the watermark has to move."""
    record = system.record
    tick = Event(types.PING, record.source_of("analytics"), extensions={types.SCHEDULE: "analytics"})

    async def run() -> None:
        sink = Sink(record.broker_url)
        try:
            await sink.emit(tick)
        finally:
            await sink.close()

    asyncio.run(run())


def planned_until(metadata: str) -> int | None:
    """Return the watermark of the analytics schedule."""

    async def run() -> int | None:
        store = await open_metadata_store(Settings(mysql_uri=metadata))
        try:
            return await store.watermark("schedule:analytics")
        finally:
            await store.close()

    return asyncio.run(run())


def test_while_mongodb_is_away_nothing_is_lost(
    tmp_path: Path, mongodb_server: MongoServer, mongodb_url: str, mysql_url: str
) -> None:
    with Proxy(mongodb_server.port, target_host=mongodb_server.host) as proxy:
        through = mongodb_url.replace(f":{mongodb_server.port}", f":{proxy.port}")
        with on(through, mysql_url, tmp_path / "state") as system:
            publish(system, [trade(number) for number in range(100)])
            wait_stored(system, Family.TRADES, 100)
            proxy.refuse()
            proxy.cut()
            with publishing(system, range(100, TRADES)):
                wait_unready(system, "mongodb")
                refused = system.get("/data/trades?pair=BTCUSDT")
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) > 0
            proxy.accept()
            assert_whole(system, TRADES)


def test_while_mongodb_is_frozen_waits_are_bounded_and_nothing_is_lost(
    tmp_path: Path, own_mongodb_server: MongoServer, mysql_url: str
) -> None:
    with on(f"{own_mongodb_server.url}frozen", mysql_url, tmp_path / "state") as system:
        publish(system, [trade(number) for number in range(100)])
        wait_stored(system, Family.TRADES, 100)
        own_mongodb_server.freeze()
        frozen_s = time.monotonic()
        with publishing(system, range(100, TRADES)):
            wait_unready(system, "mongodb")
        while time.monotonic() - frozen_s < FROZEN_S:
            begun = time.monotonic()
            answer = system.get("/data/trades?pair=BTCUSDT")
            assert answer.status_code == 503
            assert time.monotonic() - begun < BOUNDED_S
            time.sleep(0.5)
        own_mongodb_server.thaw()
        assert_whole(system, TRADES)


def test_connections_cut_in_the_middle_of_batches_lose_and_double_nothing(
    tmp_path: Path, mongodb_server: MongoServer, mongodb_url: str, mysql_url: str
) -> None:
    with Proxy(mongodb_server.port, target_host=mongodb_server.host) as proxy:
        through = mongodb_url.replace(f":{mongodb_server.port}", f":{proxy.port}")
        with on(through, mysql_url, tmp_path / "state") as system:
            with publishing(system, range(TRADES)):
                for passed in (3_000, 20_000, 50_000, 100_000, 200_000, 400_000):
                    proxy.cut_after(passed)
                    time.sleep(0.3)
            assert_whole(system, TRADES)


def test_mongodb_started_again_is_used_without_a_restart(
    tmp_path: Path, own_mongodb_server: MongoServer, mysql_url: str
) -> None:
    with on(f"{own_mongodb_server.url}again", mysql_url, tmp_path / "state") as system:
        publish(system, [trade(number) for number in range(100)])
        wait_stored(system, Family.TRADES, 100)
        own_mongodb_server.stop()
        wait_unready(system, "mongodb")
        with publishing(system, range(100, 5_000)):
            own_mongodb_server.start()
        # The stand-in forgets what it held; what had not been stored comes all the same.
        expected = 4_900 if own_mongodb_server.is_stand_in else 5_000
        assert_whole(system, expected)


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_while_mysql_is_away_market_data_flow_and_afterwards_the_tick_is_planned(
    tmp_path: Path, mongodb_url: str, own_mysql_server: MySqlServer, how: str
) -> None:
    metadata = address(own_mysql_server, "metadata")
    with on(mongodb_url, metadata, tmp_path / "state") as system:
        wait_ready(system)
        away_s = time.monotonic()
        if how == "stopped":
            own_mysql_server.stop()
        else:
            own_mysql_server.freeze()
        wait_unready(system, "mysql")
        assert components(system)["mongodb"] == "healthy"
        send_scheduled_tick(system)
        publish(system, [trade(number) for number in range(TRADES)])
        wait_stored(system, Family.TRADES, TRADES)
        if how == "stopped":
            own_mysql_server.start()
        else:
            time.sleep(max(0.0, FROZEN_S - (time.monotonic() - away_s)))
            own_mysql_server.thaw()
        system.wait(lambda: planned_until(metadata) is not None, "the tick was lost")
        assert_whole(system, TRADES)
