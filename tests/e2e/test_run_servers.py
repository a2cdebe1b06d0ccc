"""The whole system on MongoDB and MySQL: servers that the runner starts, servers that the user gives."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pymongo
import pytest
from sqlalchemy import NullPool, create_engine, make_url

from common.models.families import Family
from common.times import HOUR_MS, parse_instant
from infra.local.databases.missing import DatabaseMissing
from infra.local.databases.mongodb import find_mongodb
from infra.local.databases.mysql import find_mysql
from infra.local.ports import LOOPBACK, free_ports, is_free
from tests.support.messages import message
from tests.support.servers.missing import servers_required
from tests.support.servers.mongodb import MongoServer
from tests.support.servers.mysql import MySqlServer
from tests.support.system import System, processes_of, running_system
from tests.support.traffic import publish, trade, wait_stored

pytestmark = [pytest.mark.slow]

CLOCK = "2025-10-20T12:30:00Z"
# Rows of another day than the machine's must stay.
SETTINGS = {"PETROSA_CLOCK": CLOCK, "PETROSA_RETENTION_TRADE": "forever"}
SECRET = "hidden-word"


@pytest.fixture
def own_servers() -> dict[str, str]:
    """The settings by which the runner starts both servers, where their programs can be had."""
    try:
        find_mongodb("MONGODB_URL")
        find_mysql("MYSQL_URI")
    except DatabaseMissing as missing:
        if servers_required():
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    return {"STORES": "servers", **SETTINGS}


def petrosa(*arguments: str, state: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    ports = {
        name: str(port) for name, port in zip(("PETROSA_HTTP_PORT", "PETROSA_NATS_PORT"), free_ports(2), strict=True)
    }
    return subprocess.run(
        [sys.executable, "-m", "infra.cli.main", *arguments],
        env=os.environ | {"PETROSA_DATA_DIR": str(state)} | ports | settings,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def candles(count: int) -> list[bytes]:
    """Return closed hourly candles up to the hour before the clock's."""
    end_ms = parse_instant(CLOCK) // HOUR_MS * HOUR_MS
    starts = range(end_ms - count * HOUR_MS, end_ms, HOUR_MS)
    closes = (f"{64_100 + 7 * number % 50}.10" for number in range(count))
    return [
        message("kline", E=start + HOUR_MS, k__t=start, k__T=start + HOUR_MS - 1, k__c=close, k__x=True)
        for start, close in zip(starts, closes, strict=True)
    ]


def components(system: System) -> dict[str, str]:
    found: dict[str, str] = system.get("/health/readiness").json()["components"]
    return found


def is_ready(system: System) -> bool:
    return system.get("/health/readiness").status_code == 200


def has_volatility(system: System) -> bool:
    answer = system.get("/analysis/volatility?pair=BTCUSDT&period=1h")
    return answer.status_code == 200 and bool(answer.json()["values"])


def check_the_way_of_the_data(system: System) -> None:
    """Publish, read, tick: what is stored and served lies on the servers."""
    shown = components(system)
    assert (shown["mongodb"], shown["mysql"]) == ("healthy", "healthy")
    publish(system, [*candles(48), *(trade(number) for number in range(500))])
    wait_stored(system, Family.TRADES, 500)
    wait_stored(system, Family.CANDLES, 48)
    served = system.get("/data/trades?pair=BTCUSDT&limit=3").json()
    assert served["metadata"]["source"] == "mongodb"
    assert served["pagination"]["total"] == 500
    assert served["values"][-1]["price"] == "60499.10"
    tick = petrosa("tick", "analytics", state=system.state_dir)
    assert tick.returncode == 0, tick.stderr
    system.wait(lambda: has_volatility(system), "no volatility was computed")
    assert not list(system.state_dir.glob("*.db")), "nothing lies in files"


def test_the_runner_starts_both_servers_and_everything_lies_on_them(
    tmp_path: Path, own_servers: dict[str, str]
) -> None:
    state = tmp_path / "a state folder"
    with running_system(state, environment=own_servers) as system:
        assert {"mongodb", "mysql"} <= set(system.record.parts)
        check_the_way_of_the_data(system)
        system.wait(lambda: petrosa("status", state=state).returncode == 0, "the status was never that it is ready")
        assert "rows 548" in petrosa("status", state=state).stdout
        assert system.stop() == 0
        assert f"stores: {find_mongodb('').description}" in system.output()
    other = petrosa("run", "--feed", "none", state=state, STORES="embedded")
    assert other.returncode == 2
    assert "STORES" in other.stderr
    assert "PETROSA_DATA_DIR" in other.stderr


def test_a_server_that_dies_is_started_again_and_the_system_recovers(
    tmp_path: Path, own_servers: dict[str, str]
) -> None:
    state = tmp_path / "state"
    with running_system(state, environment=own_servers) as system:
        publish(system, (trade(number) for number in range(100)))
        wait_stored(system, Family.TRADES, 100)
        kept = find_mongodb("").keeps_data
        for name in ("mysql", "mongodb"):
            system.kill(name)
            system.wait_restarted(name)
            system.wait(lambda: is_ready(system), f"readiness did not come back after {name}")
        publish(system, (trade(number) for number in range(100, 200)))
        wait_stored(system, Family.TRADES, 200 if kept else 100)
        assert system.stop() == 0
        assert ("mongodb is back: it keeps its data in memory" in system.output()) is not kept
        assert ("everything is stored" in system.output()) is kept
    if kept:
        with running_system(state, environment=own_servers) as system:
            wait_stored(system, Family.TRADES, 200)


@contextmanager
def account(server: MySqlServer) -> Iterator[str]:
    """Make a database with an account of its own that has a password, and yield its URI."""
    name = f"petrosa_{uuid4().hex[:12]}"
    engine = create_engine(make_url(server.url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (
            f"CREATE USER '{name}'@'%%' IDENTIFIED BY '{SECRET}'",
            f"GRANT ALL PRIVILEGES ON {name}.* TO '{name}'@'%%'",
        ):
            connection.exec_driver_sql(statement)
        try:
            yield f"mysql://{name}:{SECRET}@{server.host}:{server.port}/{name}"
        finally:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
            connection.exec_driver_sql(f"DROP USER '{name}'@'%%'")


def test_servers_of_the_users_own_are_used_and_no_password_shows(
    tmp_path: Path, mongodb_server: MongoServer, mysql_server: MySqlServer
) -> None:
    state = tmp_path / "state"
    database = f"petrosa_{uuid4().hex[:12]}"
    mongodb_url = f"{mongodb_server.url.rstrip('/')}/{database}"
    try:
        with account(mysql_server) as uri:
            given = {"MONGODB_URL": mongodb_url, "MYSQL_URI": uri}
            with running_system(state, environment={**given, **SETTINGS}) as system:
                assert not {"mongodb", "mysql"} & set(system.record.parts)
                assert system.record.mongodb_url == mongodb_url
                check_the_way_of_the_data(system)
                commands = processes_of(state).values()
                assert not [command for command in commands if SECRET in command]
                assert SECRET not in petrosa("status", state=state, **given).stdout
                assert SECRET not in system.record.stores
                files = [file for file in state.rglob("*") if file.is_file()]
                assert not [file for file in files if SECRET.encode() in file.read_bytes()]
                assert system.stop() == 0
                assert re.search(r"stores: MongoDB at .* \(MONGODB_URL\), MySQL at .* \(MYSQL_URI\)", system.output())
                assert SECRET not in system.output()
    finally:
        with pymongo.MongoClient(mongodb_server.url) as client:  # type: ignore[var-annotated]
            client.drop_database(database)


def test_one_given_server_stands_beside_files(tmp_path: Path, mongodb_server: MongoServer) -> None:
    database = f"petrosa_{uuid4().hex[:12]}"
    given = {"MONGODB_URL": f"{mongodb_server.url.rstrip('/')}/{database}"}
    try:
        with running_system(tmp_path / "state", environment=given) as system:
            shown = components(system)
            assert (shown["mongodb"], shown["mysql"], shown["metadata_store"]) == (
                "healthy",
                "not_configured",
                "healthy",
            )
            assert system.record.stores.endswith("(MONGODB_URL), SQLite files")
    finally:
        with pymongo.MongoClient(mongodb_server.url) as client:  # type: ignore[var-annotated]
            client.drop_database(database)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"MONGODB_URL": f"mongodb://u:{SECRET}@{LOOPBACK}:{{port}}/"},
            "MONGODB_URL: no usable MongoDB server",
        ),
        ({"MONGODB_HOST": LOOPBACK, "MONGODB_PORT": "{port}"}, "MONGODB_HOST: no usable MongoDB server"),
        ({"MYSQL_URI": f"mysql://u:{SECRET}@{LOOPBACK}:{{port}}/d"}, "MYSQL_URI: no usable MySQL server"),
        ({"MYSQL_HOST": LOOPBACK, "MYSQL_PORT": "{port}"}, "MYSQL_HOST: no usable MySQL server"),
        ({"MYSQL_URI": f"mysql://u:{SECRET}@{LOOPBACK}/"}, "MYSQL_URI named no database"),
        ({"STORES": "clouds"}, "STORES: expected one of embedded, servers, was 'clouds'"),
    ],
)
def test_a_server_that_does_not_answer_is_named_with_its_setting(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    [port] = free_ports(1)
    given = {name: value.format(port=port) for name, value in settings.items()}
    given["MONGODB_TIMEOUT_MS"] = "500"
    done = petrosa("run", "--feed", "none", state=tmp_path / "state", **given)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert f"answers at {LOOPBACK}:{port}" in done.stderr or "no usable" not in words
    assert SECRET not in done.stdout + done.stderr
    assert not processes_of(tmp_path / "state")


def test_a_chosen_port_is_used_and_a_taken_one_is_named(tmp_path: Path, own_servers: dict[str, str]) -> None:
    mongodb, mysql = free_ports(2)
    ports = {"PETROSA_MONGODB_PORT": str(mongodb), "PETROSA_MYSQL_PORT": str(mysql)}
    with running_system(tmp_path / "state", environment={**own_servers, **ports}) as system:
        assert system.mongodb_url == f"mongodb://{LOOPBACK}:{mongodb}/petrosa_data_manager"
        assert not is_free(mysql)
        done = petrosa("run", "--feed", "none", state=tmp_path / "other", **{**own_servers, **ports})
        assert done.returncode == 2
        assert f"PETROSA_MONGODB_PORT: port {mongodb} is in use" in done.stderr
