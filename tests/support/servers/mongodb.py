"""MongoDB for tests: by URL, ``mongod`` from PATH, or the stand-in."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.local.databases.missing import DatabaseMissing
from infra.local.databases.mongodb import MongoProgram, find_mongodb
from infra.local.ports import free_ports
from tests.support.servers.handle import LOOPBACK, Server, started
from tests.support.servers.process import ServerProcess

URL_VARIABLE: Final = "PETROSA_TEST_MONGODB_URL"

_READY: Final = "Waiting for connections"
_ANSWER_MS: Final = 5000


@dataclass(frozen=True)
class MongoServer(Server):
    """A MongoDB server.

    Attributes:
        is_stand_in: whether this is the stand-in, which keeps its data in memory: after ``stop`` or ``kill`` it comes
            back empty. It expires nothing, and it knows no sessions.
    """

    is_stand_in: bool


@contextmanager
def mongodb_server(*, own: bool = False) -> Iterator[MongoServer]:
    """Provide a MongoDB server for the length of a ``with`` block.

    Args:
        own: whether the caller will stop or freeze it; a server given by URL is then left alone.

    Raises:
        DatabaseMissing: none can be had.
    """
    url = os.environ.get(URL_VARIABLE)
    if url and not own:
        yield _given(url)
        return
    program = find_mongodb(URL_VARIABLE)
    folder = Path(tempfile.mkdtemp(prefix="mongodb-"))
    with started(_local(program, folder), folder) as server:
        yield server


def prepare_mongodb() -> str:
    """Make sure that a MongoDB server can be started, and say which one it will be.

    Raises:
        DatabaseMissing: none can be had.
    """
    if os.environ.get(URL_VARIABLE):
        return f"the server of {URL_VARIABLE}"
    return find_mongodb(URL_VARIABLE).description


def _local(program: MongoProgram, folder: Path) -> MongoServer:
    [port] = free_ports(1)
    process = ServerProcess(program.command(folder, port), folder, _READY)
    url = f"mongodb://{LOOPBACK}:{port}/"
    return MongoServer(url, LOOPBACK, port, program.description, process, is_stand_in=not program.keeps_data)


def _given(url: str) -> MongoServer:
    import pymongo
    import pymongo.errors

    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url, serverSelectionTimeoutMS=_ANSWER_MS) as client:
        try:
            version = client.server_info()["version"]
        except pymongo.errors.PyMongoError as error:
            raise DatabaseMissing(f"the server of {URL_VARIABLE} did not answer: {error}") from error
        host, port = client.address or (LOOPBACK, 27017)
    description = f"MongoDB {version} at {host}:{port} ({URL_VARIABLE})"
    return MongoServer(url, host, port, description, None, is_stand_in=False)
