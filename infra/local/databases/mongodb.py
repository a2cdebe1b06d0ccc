"""The program that serves MongoDB on this machine: ``mongod`` from PATH, else the stand-in."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infra.local.databases import stand_in
from infra.local.databases.commands import VERSION_TIMEOUT_S, CommandFailed, output_of
from infra.local.databases.missing import DatabaseMissing
from infra.local.ports import LOOPBACK


@dataclass(frozen=True)
class MongoProgram:
    """A program that serves MongoDB.

    Attributes:
        description: which one it is, for people.
        keeps_data: whether what it stored is there again after it ended.
        command: returns the command that serves the data in a folder, which must exist, on a port of the loopback.
    """

    description: str
    keeps_data: bool
    command: Callable[[Path, int], tuple[str, ...]]


def find_mongodb(variable: str) -> MongoProgram:
    """Find the program; the stand-in is built when it is needed for the first time.

    Args:
        variable: the one that names a server to use instead, for the error text.

    Raises:
        DatabaseMissing: there is none that works, and the stand-in cannot be built.
    """
    if mongod := shutil.which("mongod"):
        try:
            stated = output_of(mongod, "--version", timeout_s=VERSION_TIMEOUT_S)
        except CommandFailed as error:
            raise DatabaseMissing(f"{error}: mend it, or give a running server with {variable}") from error
        version = stated.splitlines()[0].rpartition(" v")[2]
        return MongoProgram(f"MongoDB {version} ({mongod})", True, partial(_mongod_command, mongod))
    built = stand_in.build(variable)
    description = f"MongoDB stand-in mongo-java-server {stand_in.version()}"
    return MongoProgram(description, False, lambda _, port: stand_in.command(built, port))


def _mongod_command(mongod: str, folder: Path, port: int) -> tuple[str, ...]:
    return (mongod, "--dbpath", str(folder), "--port", str(port), "--bind_ip", LOOPBACK, "--nounixsocket")
