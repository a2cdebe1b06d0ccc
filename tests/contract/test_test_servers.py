"""The servers that other tests rest on: they serve, keep what a test relies on, and can be stopped and frozen."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymongo
import pymongo.errors
import pytest
import sqlalchemy
import sqlalchemy.exc
from bson.decimal128 import Decimal128

from tests.support.patience import PATIENCE_S
from tests.support.servers.handle import Server
from tests.support.servers.mongodb import MongoServer
from tests.support.servers.mysql import MySqlServer

_Client = pymongo.MongoClient[dict[str, Any]]
_SOON_MS = 400


def _connect(server: MongoServer) -> _Client:
    return pymongo.MongoClient(server.url, serverSelectionTimeoutMS=5000)


@contextlib.contextmanager
def _sql(server: MySqlServer, *, read_timeout_s: float = 10) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(
        server.url,
        poolclass=sqlalchemy.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"read_timeout": read_timeout_s},
    )
    with engine.connect() as connection:
        yield connection


def test_mongodb_keeps_decimals_and_refuses_duplicates_by_code(mongodb_server: MongoServer) -> None:
    name = f"servers_{uuid4().hex[:12]}"
    with _connect(mongodb_server) as client:
        try:
            prices = client[name]["prices"]
            prices.insert_one({"_id": 1, "price": Decimal128("60123.4500")})
            with pytest.raises(pymongo.errors.DuplicateKeyError) as refused:
                prices.insert_one({"_id": 1, "price": Decimal128("1")})
            [found] = prices.find({"price": {"$gt": Decimal128(Decimal("60123.4499"))}})
            assert str(found["price"]) == "60123.4500"
            assert refused.value.code == 11000
            assert client.admin.command("ping")["ok"] == 1
        finally:
            client.drop_database(name)


def test_mongodb_is_away_while_stopped_and_serves_again_on_its_port(own_mongodb_server: MongoServer) -> None:
    server = own_mongodb_server
    with _connect(server) as client:
        client["kept"]["rows"].insert_one({"_id": 1})
        server.stop()
        assert server.pid is None
        with pytest.raises(pymongo.errors.ConnectionFailure), pymongo.timeout(_SOON_MS / 1000):
            client.admin.command("ping")
        server.start()
        assert client["kept"]["rows"].count_documents({}) == (0 if server.is_stand_in else 1)


def test_a_frozen_mongodb_answers_nothing_until_thawed(own_mongodb_server: MongoServer) -> None:
    with _connect(own_mongodb_server) as client:
        client.admin.command("ping")
        own_mongodb_server.freeze()
        with pytest.raises(pymongo.errors.PyMongoError) as refused, pymongo.timeout(_SOON_MS / 1000):
            client.admin.command("ping")
        assert refused.value.timeout
        own_mongodb_server.thaw()
        assert client.admin.command("ping")["ok"] == 1


def test_mysql_serves_over_tcp(mysql_server: MySqlServer) -> None:
    with _sql(mysql_server) as connection:
        assert connection.scalar(sqlalchemy.text("SELECT VERSION()"))


def test_mysql_keeps_its_rows_when_stopped_and_when_killed(own_mysql_server: MySqlServer) -> None:
    server = own_mysql_server
    with _sql(server) as connection:
        connection.exec_driver_sql("CREATE DATABASE kept")
        connection.exec_driver_sql("CREATE TABLE kept.prices (price DECIMAL(20, 8)) ENGINE=InnoDB")
    for number, end in enumerate((server.stop, server.kill), start=1):
        with _sql(server) as connection:
            connection.exec_driver_sql("INSERT INTO kept.prices VALUES (%s)", ("0.10000000",))
        end()
        with pytest.raises(sqlalchemy.exc.OperationalError), _sql(server):
            pass
        server.start()
        with _sql(server) as connection:
            prices = connection.exec_driver_sql("SELECT price FROM kept.prices").scalars()
            assert [str(price) for price in prices] == ["0.10000000"] * number


def test_a_frozen_mysql_answers_nothing_until_thawed(own_mysql_server: MySqlServer) -> None:
    with pytest.raises(sqlalchemy.exc.OperationalError, match="timed out"):
        _ask_when_frozen(own_mysql_server)
    own_mysql_server.thaw()
    with _sql(own_mysql_server) as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def _ask_when_frozen(server: MySqlServer) -> None:
    with _sql(server, read_timeout_s=_SOON_MS / 1000) as connection:
        server.freeze()
        connection.exec_driver_sql("SELECT 1")


@pytest.mark.skipif(sys.platform != "linux", reason="only the kernel of Linux ends children with their parent")
def test_no_server_outlives_a_killed_test_session(own_mysql_server: MySqlServer, tmp_path: Path) -> None:
    """``own_mysql_server`` is asked for so that the reason of a missing server is given once."""
    program = (
        "import sys\n"
        "from tests.support.servers.mysql import mysql_server\n"
        "with mysql_server(own=True) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as session:
        assert session.stdout is not None
        pid = int(session.stdout.readline())
        session.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}/exe").is_symlink() and _runs(pid):
        assert time.monotonic() < deadline, "the server outlived its session"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_server_given_by_url_is_not_ours_to_stop() -> None:
    given = Server("mongodb://127.0.0.1:1/", "127.0.0.1", 1, "given", None)
    assert given.pid is None
    with pytest.raises(AssertionError, match="a server of its own"):
        given.stop()
