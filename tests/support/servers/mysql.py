"""MySQL for tests: by URL, or MariaDB or MySQL of this machine on a data folder of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.databases.missing import DatabaseMissing
from infra.local.databases.mysql import MySqlProgram, find_mysql
from infra.local.ports import free_ports
from tests.support.servers.handle import LOOPBACK, Server, started
from tests.support.servers.process import ServerProcess
from tests.support.servers.system_packages import install_mariadb

URL_VARIABLE: Final = "PETROSA_TEST_MYSQL_URL"

_READY: Final = ": ready for connections."
_ANSWER_S: Final = 5
# MariaDB and MySQL differ in the accounts that a new data folder has.
_FIRST_STATEMENTS: Final = (
    f"CREATE USER IF NOT EXISTS 'root'@'{LOOPBACK}' IDENTIFIED BY ''",
    f"GRANT ALL PRIVILEGES ON *.* TO 'root'@'{LOOPBACK}' WITH GRANT OPTION",
)
# The kernel keeps what the process wrote: a kill of the server loses nothing, only a power cut would. The tests never
# cut the power, and syncing the disk at every commit is most of their time.
_RELAXED: Final = "--innodb-flush-log-at-trx-commit=2"


@dataclass(frozen=True)
class MySqlServer(Server):
    """A MySQL or MariaDB server; its data survive ``stop``, ``kill`` and ``start``.

    Attributes:
        url: SQLAlchemy URL without a database; root without a password where the tests started it.
    """


@contextmanager
def mysql_server(*, own: bool = False) -> Iterator[MySqlServer]:
    """Provide a MySQL server for the length of a ``with`` block.

    Args:
        own: whether the caller will stop or freeze it; a server given by URL is then left alone.

    Raises:
        DatabaseMissing: none can be had.
    """
    url = os.environ.get(URL_VARIABLE)
    if url and not own:
        yield _given(url)
        return
    program = find_mysql(URL_VARIABLE)
    folder = Path(tempfile.mkdtemp(prefix="mysql-"))
    try:
        server = _local(program, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with started(server, folder):
        yield server


def prepare_mysql() -> str:
    """Make sure that a MySQL server can be started, and say which one it will be.

    Raises:
        DatabaseMissing: none can be had.
    """
    if os.environ.get(URL_VARIABLE):
        return f"the server of {URL_VARIABLE}"
    try:
        return find_mysql(URL_VARIABLE).description
    except DatabaseMissing:
        if not install_mariadb():
            raise
    return f"{find_mysql(URL_VARIABLE).description}, installed from the system's packages now"


def _local(program: MySqlProgram, folder: Path) -> MySqlServer:
    program.prepare(folder, _FIRST_STATEMENTS, open_root=True)
    [port] = free_ports(1)
    url = f"mysql+pymysql://root@{LOOPBACK}:{port}/"
    process = ServerProcess(program.command(folder, port, _RELAXED), folder, _READY)
    return MySqlServer(url, LOOPBACK, port, program.description, process)


def _given(url: str) -> MySqlServer:
    import sqlalchemy

    address = sqlalchemy.make_url(url).set(drivername="mysql+pymysql")
    host, port = address.host or LOOPBACK, address.port or 3306
    engine = sqlalchemy.create_engine(
        address, poolclass=sqlalchemy.NullPool, connect_args={"connect_timeout": _ANSWER_S, "read_timeout": _ANSWER_S}
    )
    try:
        with engine.connect() as connection:
            version = connection.scalar(sqlalchemy.text("SELECT VERSION()"))
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise DatabaseMissing(f"the server of {URL_VARIABLE} did not answer: {error}") from error
    kind = "MariaDB" if "MariaDB" in str(version) else "MySQL"
    description = f"{kind} {version} at {host}:{port} ({URL_VARIABLE})"
    return MySqlServer(address.render_as_string(hide_password=False), host, port, description, None)
