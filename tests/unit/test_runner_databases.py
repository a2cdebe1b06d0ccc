"""The programs of the database servers: which is found, what is said when there is none, how they are started."""

import asyncio
import socket
from pathlib import Path

import pytest

from common.errors import ConfigurationError
from common.settings import Settings
from infra.local.databases import mysql
from infra.local.databases.answering import mongodb_answers, mysql_greets
from infra.local.databases.given import mongodb_without_account
from infra.local.databases.missing import DatabaseMissing
from infra.local.databases.mongodb import find_mongodb
from infra.local.databases.mysql import find_mysql
from infra.local.databases.stores import StoreOptions, Stores, prepare_stores
from infra.local.ports import LOOPBACK, free_ports

_VERSIONS = {
    "mongod": "db version v7.0.5\nBuild Info: {}",
    "mariadbd": "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)",
    "mysqld": "/usr/sbin/mysqld  Ver 8.0.44 for Linux on x86_64 (MySQL Community Server - GPL)",
    "mariadb-install-db": "",
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for; empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(mysql, "_SEARCHED", str(folder))
    return folder


def install(folder: Path, *names: str, status: int = 0) -> None:
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho '{_VERSIONS[name]}'\nexit {status}\n")
        (folder / name).chmod(0o755)


def test_mongod_is_preferred_and_keeps_its_data(programs: Path) -> None:
    install(programs, "mongod")
    program = find_mongodb("MONGODB_URL")
    assert program.keeps_data
    assert program.description == f"MongoDB 7.0.5 ({programs / 'mongod'})"
    command = " ".join(program.command(Path("/data"), 12345))
    assert "--dbpath /data --port 12345 --bind_ip 127.0.0.1" in command


def test_without_mongod_and_java_the_missing_step_is_named(programs: Path) -> None:
    with pytest.raises(DatabaseMissing, match=r"java.* maven.* MONGODB_URL"):
        find_mongodb("MONGODB_URL")


def test_mariadb_is_preferred_to_mysql(programs: Path) -> None:
    install(programs, "mysqld")
    assert find_mysql("MYSQL_URI").description.startswith("MySQL 8.0.44 (")
    install(programs, "mariadbd", "mariadb-install-db")
    assert find_mysql("MYSQL_URI").description.startswith("MariaDB 10.11.19 (")


def test_mariadb_without_its_installer_and_no_server_at_all_are_said_to_be_missing(programs: Path) -> None:
    for _ in range(2):
        with pytest.raises(DatabaseMissing, match=r"install mariadb-server.* MYSQL_URI"):
            find_mysql("MYSQL_URI")
        install(programs, "mariadbd")


def test_a_program_that_does_not_run_is_said_to_be_broken(programs: Path) -> None:
    install(programs, "mongod", "mysqld", status=1)
    with pytest.raises(DatabaseMissing, match=r"mongod said.* MONGODB_URL"):
        find_mongodb("MONGODB_URL")
    with pytest.raises(DatabaseMissing, match=r"mysqld said.* MYSQL_URI"):
        find_mysql("MYSQL_URI")


def test_a_data_folder_that_cannot_be_made_is_tried_again_at_the_next_start(programs: Path, tmp_path: Path) -> None:
    install(programs, "mariadbd")
    install(programs, "mariadb-install-db", status=1)
    program = find_mysql("MYSQL_URI")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="mariadb-install-db said"):
            program.prepare(tmp_path / "mysql", ["SELECT 1"], open_root=False)
    (programs / "mariadb-install-db").write_text(f'#!/bin/sh\n/bin/mkdir "{tmp_path}/mysql/unfinished"\n')
    program.prepare(tmp_path / "mysql", ["SELECT 1"], open_root=False)
    assert (tmp_path / "mysql" / "data").is_dir()
    assert (tmp_path / "mysql" / "first.sql").read_text() == "SELECT 1;\n"


def test_nobody_and_a_server_of_another_kind_are_no_answer() -> None:
    async def ask(port: int) -> tuple[bool, bool]:
        return await mysql_greets(port), await mongodb_answers(port)

    [port] = free_ports(1)
    assert asyncio.run(ask(port)) == (False, False)
    with socket.create_server((LOOPBACK, port)):  # accepts and says nothing
        assert asyncio.run(ask(port)) == (False, False)


def test_embedded_stores_need_no_server(tmp_path: Path) -> None:
    assert asyncio.run(prepare_stores(StoreOptions(), Settings(), tmp_path, ())) == Stores()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://u:hidden@h1:1,h2:2/?replicaSet=r&authMechanismProperties=hidden", "mongodb://h1:1,h2:2/db"),
        ("mongodb+srv://u:hidden@h/mine", "mongodb+srv://h/mine"),
    ],
)
def test_an_address_is_shown_without_account_and_options(url: str, shown: str) -> None:
    assert mongodb_without_account(Settings(mongodb_url=url, mongodb_db="db")) == shown
