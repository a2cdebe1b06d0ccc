"""The database servers that a run starts itself: program, command, account, and the address for the parts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

from infra.local.databases.answering import mongodb_answers, mysql_greets
from infra.local.databases.mongodb import find_mongodb
from infra.local.databases.mysql import find_mysql
from infra.local.ports import LOOPBACK

MONGODB: Final = "mongodb"
MYSQL: Final = "mysql"
MONGODB_VARIABLE: Final = "MONGODB_URL"
MYSQL_VARIABLE: Final = "MYSQL_URI"

# The parts enter by an account that reaches nothing but their database; root has no way in over TCP.
_DATABASE: Final = "petrosa_data_manager"
_ACCOUNT: Final = f"'petrosa'@'{LOOPBACK}'"
_STATEMENTS: Final = (
    f"CREATE USER IF NOT EXISTS {_ACCOUNT} IDENTIFIED BY ''",
    "GRANT ALL PRIVILEGES ON `{}`.* TO {}".format(_DATABASE.replace("_", r"\_"), _ACCOUNT),
)


@dataclass(frozen=True)
class DatabaseServer:
    """A server that the run starts and keeps running.

    Attributes:
        name: that of the part.
        description: which program it is, for people.
        port: where it listens.
        command: program and arguments.
        ready: asks whether it answers.
        variable: the setting by which the parts find it.
        url: the value of that setting.
        keeps_data: whether what it stored is there again after it ended.
    """

    name: str
    description: str
    port: int
    command: tuple[str, ...]
    ready: Callable[[], Awaitable[bool]]
    variable: str
    url: str
    keeps_data: bool = True


def own_mongodb(folder: Path, port: int, database: str) -> DatabaseServer:
    """Make ready a MongoDB server with its data in ``folder``.

    Raises:
        DatabaseMissing: there is no program for it.
    """
    program = find_mongodb(MONGODB_VARIABLE)
    folder.mkdir(exist_ok=True)
    return DatabaseServer(
        name=MONGODB,
        description=program.description + ("" if program.keeps_data else " (in memory: its data go when it ends)"),
        port=port,
        command=program.command(folder, port),
        ready=partial(mongodb_answers, port),
        variable=MONGODB_VARIABLE,
        url=f"mongodb://{LOOPBACK}:{port}/{quote(database, safe='')}",
        keeps_data=program.keeps_data,
    )


def own_mysql(folder: Path, port: int) -> DatabaseServer:
    """Make ready a MySQL server with its data in ``folder``; every commit is on disk before it is acknowledged.

    Raises:
        ConfigurationError: there is no program for it, or its data folder cannot be made.
    """
    program = find_mysql(MYSQL_VARIABLE)
    program.prepare(folder, _STATEMENTS, open_root=False)
    return DatabaseServer(
        name=MYSQL,
        description=program.description,
        port=port,
        command=program.command(folder, port),
        ready=partial(mysql_greets, port),
        variable=MYSQL_VARIABLE,
        url=f"mysql+pymysql://petrosa@{LOOPBACK}:{port}/{_DATABASE}",
    )
