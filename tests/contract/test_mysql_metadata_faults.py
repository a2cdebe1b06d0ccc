"""The metadata store when its MySQL server is away, frozen or cut off: bounded waits, refusals, and back by itself."""

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from common.errors import StoreUnavailable
from common.settings import Settings
from common.storage.open import open_metadata_store
from common.storage.ports import MetadataStore
from tests.contract.metadata_store_contract import START_MS, audit, health, job, using
from tests.support.mysql_databases import TIMEOUT_S, address, administrator, ask, new_database, opened
from tests.support.servers.mysql import MySqlServer
from tests.support.servers.proxy import Proxy

# On top of a time limit: what a busy machine may add. The driver's own limits are far longer.
BUSY_MACHINE_S = 15
# A sign of life that is not answered, then a new connection that is not answered.
LONGEST_S = 2 * TIMEOUT_S + BUSY_MACHINE_S


@pytest.fixture
def database(mysql_server: MySqlServer) -> Iterator[str]:
    with new_database(mysql_server) as name:
        yield name


async def refusal(call: Awaitable[Any], *, within_s: float = LONGEST_S) -> StoreUnavailable:
    """Return the error with which a call was refused in time."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        await call
    assert time.monotonic() - began < within_s
    return caught.value


async def until_answered(store: MetadataStore) -> None:
    """Ask until the store answers again."""
    for _ in range(100):
        try:
            return await store.ping(write=True)
        except StoreUnavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("the store did not recover")


def test_a_server_that_was_restarted_is_used_again(own_mysql_server: MySqlServer) -> None:
    server = own_mysql_server

    async def scenario(store: MetadataStore) -> None:
        await asyncio.gather(*(store.add_job(job(number)) for number in range(8)))
        server.stop()
        error = await refusal(store.add_job(job(100)))
        assert error.retry_after_s > 0
        await refusal(store.ping())
        server.start()
        assert all(await asyncio.gather(*(store.add_job(job(number)) for number in range(8, 16))))
        assert (await store.jobs())[1] == 16
        server.kill()
        await refusal(store.advance_watermark("slots", None, 1))
        server.start()
        assert await store.advance_watermark("slots", None, 1)
        assert (await store.jobs())[1] == 16

    with new_database(server) as name:
        using(lambda: opened(address(server, name)), scenario)


def test_what_was_acknowledged_survives_a_kill_of_the_server_under_load(own_mysql_server: MySqlServer) -> None:
    server = own_mysql_server
    acknowledged: list[int] = []

    async def write(store: MetadataStore, worker: int, ending: asyncio.Event) -> None:
        number = worker * 100_000
        while not ending.is_set():
            try:
                await store.record_audits([audit(number), audit(number + 1)])
            except StoreUnavailable:
                await asyncio.sleep(0.05)
                continue
            acknowledged.extend((number, number + 1))
            number += 2

    async def scenario(store: MetadataStore) -> None:
        ending = asyncio.Event()
        writers = [asyncio.create_task(write(store, worker, ending)) for worker in range(4)]
        await asyncio.sleep(0.5)
        server.kill()
        await asyncio.sleep(0.2)
        server.start()  # not in a thread: the server would end with it
        before = len(acknowledged)
        await asyncio.sleep(0.5)
        ending.set()
        await asyncio.gather(*writers)
        assert len(acknowledged) > before
        stored = {entry.audit_id for entry in await store.audits(limit=10**6)}
        assert {f"audit-{number}" for number in acknowledged} == stored

    with new_database(server) as name:
        using(lambda: opened(address(server, name)), scenario)


def test_a_store_opened_while_the_server_is_away_makes_its_tables_later(own_mysql_server: MySqlServer) -> None:
    server = own_mysql_server
    uri = address(server, "petrosa_made_later")
    settings = Settings(mysql_uri=uri, mysql_timeout_seconds=TIMEOUT_S)
    server.stop()

    async def scenario() -> None:
        store = await open_metadata_store(settings)
        await refusal(store.watermark("slots"))
        server.start()
        assert await store.advance_watermark("slots", None, 1)
        await store.close()

    asyncio.run(scenario())


def test_a_frozen_server_is_not_waited_for_and_nothing_happens_twice(own_mysql_server: MySqlServer) -> None:
    server = own_mysql_server

    async def scenario(store: MetadataStore) -> None:
        await asyncio.gather(*(store.add_job(job(number)) for number in range(8)))
        server.freeze()
        try:
            claims = [refusal(store.claim_job("job-1", now_ms=START_MS)) for _ in range(8)]
            await asyncio.gather(*claims, refusal(store.ping()))
            crowd = (refusal(store.job("job-1"), within_s=LONGEST_S + 2 * TIMEOUT_S) for _ in range(50))
            await asyncio.gather(*crowd)
        finally:
            server.thaw()
        await until_answered(store)
        assert await store.job("job-1") == job(1)
        claims = [store.claim_job("job-1", now_ms=START_MS) for _ in range(4)]  # type: ignore[misc]
        assert sum(claimed is not None for claimed in await asyncio.gather(*claims)) == 1

    with new_database(server) as name:
        waits = {"mysql_pool_size": 2, "mysql_max_overflow": 2, "mysql_pool_timeout_seconds": TIMEOUT_S}
        using(lambda: opened(address(server, name), **waits), scenario)


def test_a_port_that_accepts_and_never_answers_is_given_up() -> None:
    async def scenario(store: MetadataStore) -> None:
        await refusal(store.ping(), within_s=TIMEOUT_S + BUSY_MACHINE_S)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        using(lambda: opened(f"mysql+pymysql://root@127.0.0.1:{port}/petrosa"), scenario)


def test_connections_that_were_cut_while_idle_are_not_noticed(mysql_server: MySqlServer, database: str) -> None:
    async def scenario() -> None:
        with Proxy(mysql_server.port) as proxy:
            async with opened(address(mysql_server, database, port=proxy.port)) as store:
                await asyncio.gather(*(store.add_job(job(number)) for number in range(8)))
                for number in range(3):
                    proxy.cut()
                    assert await store.advance_watermark(f"after-{number}", None, number)

    asyncio.run(scenario())


def test_a_connection_cut_in_a_batch_leaves_nothing_of_it(mysql_server: MySqlServer, database: str) -> None:
    batch = [audit(number, details="x" * 1000) for number in range(500)]

    async def scenario() -> None:
        with Proxy(mysql_server.port) as proxy:
            async with opened(address(mysql_server, database, port=proxy.port)) as store:
                await store.ping(write=True)
                proxy.cut_after(200_000)
                await refusal(store.record_audits(batch))
                assert await store.audits() == []
                assert await store.record_audits(batch) == 500

    asyncio.run(scenario())


def test_a_network_that_stalls_is_given_up_and_used_again(mysql_server: MySqlServer, database: str) -> None:
    async def scenario() -> None:
        with Proxy(mysql_server.port) as proxy:
            async with opened(address(mysql_server, database, port=proxy.port)) as store:
                await store.ping()
                proxy.stall()
                await refusal(store.save_health([health(1)]))
                proxy.resume()
                assert await store.save_health([health(1)]) == 1

    asyncio.run(scenario())


def test_a_statement_whose_connection_is_killed_is_reported(mysql_server: MySqlServer, database: str) -> None:
    async def scenario(store: MetadataStore) -> None:
        await store.add_job(job(1))
        with administrator(mysql_server, database).connect() as other:
            other.execute(text("BEGIN"))
            other.execute(text("UPDATE backfill_jobs SET priority = 9"))
            claiming = asyncio.create_task(store.claim_job("job-1", now_ms=START_MS))
            await asyncio.sleep(0.2)
            kill_statement_of(mysql_server, database)
            await refusal(claiming)
            other.execute(text("ROLLBACK"))
        assert await store.claim_job("job-1", now_ms=START_MS) is not None

    using(lambda: opened(address(mysql_server, database)), scenario)


def kill_statement_of(server: MySqlServer, database: str) -> None:
    """Close the connections of a database that run an UPDATE."""
    running = f"SELECT id AS id FROM information_schema.processlist WHERE db = '{database}' AND info LIKE 'UPDATE%'"
    for row in ask(server, running):
        ask(server, f"KILL {row['id']}")


def test_a_database_that_vanishes_is_missed_and_not_made_anew(mysql_server: MySqlServer, database: str) -> None:
    async def scenario(store: MetadataStore) -> None:
        await store.ping()
        ask(mysql_server, f"DROP DATABASE {database}")
        assert re.search("doesn't exist|Unknown database|No database", str(await refusal(store.job("job-1"))))
        ask(mysql_server, f"CREATE DATABASE {database}")
        assert "doesn't exist" in str(await refusal(store.job("job-1")))

    using(lambda: opened(address(mysql_server, database)), scenario)


def test_a_server_that_takes_no_writes_is_not_ready(own_mysql_server: MySqlServer) -> None:
    server = own_mysql_server

    async def scenario(store: MetadataStore) -> None:
        await store.ping(write=True)
        ask(server, "SET GLOBAL read_only = 1")
        await store.ping()
        assert "read" in str(await refusal(store.ping(write=True)))
        assert "read" in str(await refusal(store.add_job(job(1))))
        ask(server, "SET GLOBAL read_only = 0")
        assert await store.add_job(job(1))

    with new_database(server) as name:
        ask(server, "CREATE USER 'writer'@'%' IDENTIFIED BY 'x'", f"GRANT ALL PRIVILEGES ON {name}.* TO 'writer'@'%'")
        using(lambda: opened(address(server, name, username="writer", password="x")), scenario)


def test_a_server_without_free_connections_is_away_for_a_while(own_mysql_server: MySqlServer) -> None:
    server = own_mysql_server

    async def scenario(store: MetadataStore) -> None:
        ask(server, "SET GLOBAL max_connections = 10")
        with ExitStack() as taken:
            with suppress(OperationalError):
                for _ in range(20):
                    taken.enter_context(administrator(server, username="guest").connect())
            assert "Too many connections" in str(await refusal(store.ping()))
        await until_answered(store)

    with new_database(server) as name:
        ask(server, "CREATE USER 'guest'@'%'", f"GRANT ALL PRIVILEGES ON {name}.* TO 'guest'@'%'")
        using(lambda: opened(address(server, name, username="guest")), scenario)
