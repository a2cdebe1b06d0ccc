"""The program that serves MySQL on this machine: MariaDB or MySQL from PATH or where Debian puts servers."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.errors import ConfigurationError
from infra.local.databases.commands import VERSION_TIMEOUT_S, CommandFailed, output_of
from infra.local.databases.missing import DatabaseMissing
from infra.local.ports import LOOPBACK
from infra.local.runner.state_folder import write_atomically

_INITIALIZE_SECONDS: Final = 60
# Servers are often installed where only root's PATH looks.
_SEARCHED: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


@dataclass(frozen=True)
class MySqlProgram:
    """A program that serves MySQL.

    Attributes:
        path: the server.
        installer: what makes a data folder for MariaDB; None for MySQL, which makes its own.
        description: which one it is, for people.
    """

    path: str
    installer: str | None
    description: str

    def prepare(self, folder: Path, statements: Sequence[str], *, open_root: bool) -> None:
        """Make the data folder when it is missing, and write down what the server does at each start.

        Args:
            folder: takes all that belongs to the server.
            statements: SQL, each on one line, carried out before connections are taken.
            open_root: whether the account ``root`` is open without a password; otherwise nobody enters by it over TCP.

        Raises:
            ConfigurationError: the data folder could not be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(_statements(folder), "".join(f"{statement};\n" for statement in statements).encode())
        if _data(folder).is_dir():
            return
        draft = folder / "unfinished"  # an interrupted one must not be taken for a whole one
        shutil.rmtree(draft, ignore_errors=True)
        try:
            with tempfile.TemporaryDirectory() as short:
                # MariaDB's script does not stand every path, those with spaces for example.
                way = Path(short) / "way"
                way.symlink_to(folder.absolute())
                command = self._initialization(way / draft.name, open_root=open_root)
                output_of(*command, timeout_s=_INITIALIZE_SECONDS)
        except CommandFailed as error:
            raise ConfigurationError(f"the data folder {draft} of {self.description} was not made: {error}") from error
        draft.rename(_data(folder))

    def command(self, folder: Path, port: int, *options: str) -> tuple[str, ...]:
        """Return the command that serves a prepared folder on ``port`` of the loopback, and on no socket file."""
        return (
            *self._base_options(_data(folder)),
            f"--port={port}",
            f"--bind-address={LOOPBACK}",
            "--socket=",  # its path would be too long in many a folder
            f"--pid-file={folder / 'server.pid'}",
            f"--init-file={_statements(folder)}",
            "--skip-log-bin",
            *self._size_options(),
            *options,
        )

    def _base_options(self, data: Path) -> list[str]:
        options = [self.path, "--no-defaults", f"--datadir={data}"]
        return [*options, "--user=root"] if os.geteuid() == 0 else options  # it refuses root unless told so

    def _size_options(self) -> list[str]:
        """Return what keeps the server small, so that it starts quickly."""
        common = ["--innodb-buffer-pool-size=64M", "--performance-schema=OFF"]
        return [*common, "--innodb-log-file-size=32M"] if self.installer else [*common, "--mysqlx=OFF"]

    def _initialization(self, data: Path, *, open_root: bool) -> list[str]:
        if self.installer is None:
            return [*self._base_options(data), "--initialize-insecure" if open_root else "--initialize"]
        method = "normal" if open_root else "socket"
        options = ["--skip-test-db", f"--auth-root-authentication-method={method}", *self._size_options()]
        return [self.installer, *self._base_options(data)[1:], *options]


def find_mysql(variable: str) -> MySqlProgram:
    """Find the program.

    Args:
        variable: the one that names a server to use instead, for the error text.

    Raises:
        DatabaseMissing: there is none, or a data folder cannot be made for it.
    """
    found = _which("mariadbd") or _which("mysqld")
    try:
        stated = output_of(found, "--version", timeout_s=VERSION_TIMEOUT_S) if found else ""
    except CommandFailed as error:
        raise DatabaseMissing(f"{error}: mend it, or give a running server with {variable}") from error
    is_mariadb = "MariaDB" in stated
    installer = _which("mariadb-install-db") if is_mariadb else None
    if found is None or (is_mariadb and installer is None):
        raise DatabaseMissing(
            "neither mariadbd (with mariadb-install-db) nor mysqld is on PATH or in /usr/sbin: install mariadb-server "
            f"(`make test-servers` does it for root on Debian), or give a running server with {variable}"
        )
    version = stated.partition("Ver ")[2].split()[0].partition("-")[0]
    return MySqlProgram(found, installer, f"{'MariaDB' if is_mariadb else 'MySQL'} {version} ({found})")


def _which(name: str) -> str | None:
    return shutil.which(name, path=_SEARCHED)


def _data(folder: Path) -> Path:
    return folder / "data"


def _statements(folder: Path) -> Path:
    return folder / "first.sql"
