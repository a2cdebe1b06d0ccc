"""MySQL for tests: by URL, or MariaDB or MySQL of this machine on a data folder of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.ports import free_ports
from tests.support.servers.handle import LOOPBACK, Server, started
from tests.support.servers.missing import ServerMissing
from tests.support.servers.process import ServerProcess
from tests.support.servers.system_packages import install_mariadb

URL_VARIABLE: Final = "PETROSA_TEST_MYSQL_URL"

_READY: Final = ": ready for connections."
_ANSWER_S: Final = 5
_INITIALIZE_SECONDS: Final = 60
# Servers are often installed where only root's PATH looks.
_SEARCHED: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
_MISSING: Final = (
    "neither mariadbd (with mariadb-install-db) nor mysqld is on PATH or in /usr/sbin: install mariadb-server "
    f"(`make test-servers` does it for root on Debian), or set {URL_VARIABLE}"
)
# MariaDB and MySQL differ in the accounts that a new data folder has.
_FIRST_STATEMENTS: Final = f"""\
CREATE USER IF NOT EXISTS 'root'@'{LOOPBACK}' IDENTIFIED BY '';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'{LOOPBACK}' WITH GRANT OPTION;
"""


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
        ServerMissing: none can be had.
    """
    url = os.environ.get(URL_VARIABLE)
    if url and not own:
        yield _given(url)
        return
    program = _program()
    if program is None:
        raise ServerMissing(_MISSING)
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
        ServerMissing: none can be had.
    """
    if os.environ.get(URL_VARIABLE):
        return f"the server of {URL_VARIABLE}"
    if program := _program():
        return str(program)
    if not install_mariadb():
        raise ServerMissing(_MISSING)
    return f"{_program()}, installed from the system's packages now"


def _program() -> Path | None:
    """Return the server program, None when there is none or a data folder cannot be made for it."""
    found = shutil.which("mariadbd", path=_SEARCHED) or shutil.which("mysqld", path=_SEARCHED)
    if found is None or (Path(found).resolve().name == "mariadbd" and _installer() is None):
        return None
    return Path(found)


def _installer() -> str | None:
    return shutil.which("mariadb-install-db", path=_SEARCHED)


def _local(program: Path, folder: Path) -> MySqlServer:
    stated = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    is_mariadb = "MariaDB" in stated
    _initialize(program, folder, is_mariadb=is_mariadb)
    statements = folder / "first.sql"
    statements.write_text(_FIRST_STATEMENTS)
    [port] = free_ports(1)
    command = [
        *_base_options(program, folder),
        f"--port={port}",
        f"--bind-address={LOOPBACK}",
        f"--socket={folder / 'server.sock'}",
        f"--pid-file={folder / 'server.pid'}",
        f"--init-file={statements}",
        "--skip-log-bin",
        # The kernel keeps what the process wrote: a kill of the server loses nothing, only a power cut would. The
        # tests never cut the power, and syncing the disk at every commit is most of their time.
        "--innodb-flush-log-at-trx-commit=2",
        *_size_options(is_mariadb=is_mariadb),
    ]
    version = stated.partition("Ver ")[2].split()[0].partition("-")[0]
    description = f"{'MariaDB' if is_mariadb else 'MySQL'} {version} ({program})"
    url = f"mysql+pymysql://root@{LOOPBACK}:{port}/"
    return MySqlServer(url, LOOPBACK, port, description, ServerProcess(command, folder, _READY))


def _base_options(program: Path, folder: Path) -> list[str]:
    options = [str(program), "--no-defaults", f"--datadir={folder / 'data'}"]
    return [*options, "--user=root"] if os.geteuid() == 0 else options  # it refuses root unless told so


def _size_options(*, is_mariadb: bool) -> list[str]:
    """Return what keeps the server small, so that it starts quickly."""
    common = ["--innodb-buffer-pool-size=64M", "--performance-schema=OFF"]
    return [*common, "--innodb-log-file-size=32M"] if is_mariadb else [*common, "--mysqlx=OFF"]


def _initialize(program: Path, folder: Path, *, is_mariadb: bool) -> None:
    """Make the data folder with its system tables and root without a password."""
    if is_mariadb:
        install = _installer()
        assert install is not None, f"mariadb-install-db is missing beside {program}"
        command = [install, *_base_options(program, folder)[1:], "--skip-test-db", *_size_options(is_mariadb=True)]
        command.append("--auth-root-authentication-method=normal")
    else:
        command = [*_base_options(program, folder), "--initialize-insecure"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_INITIALIZE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} could not make a data folder:\n{done.stdout}"


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
        raise ServerMissing(f"the server of {URL_VARIABLE} did not answer: {error}") from error
    kind = "MariaDB" if "MariaDB" in str(version) else "MySQL"
    description = f"{kind} {version} at {host}:{port} ({URL_VARIABLE})"
    return MySqlServer(address.render_as_string(hide_password=False), host, port, description, None)
