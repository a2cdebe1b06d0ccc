"""MongoDB for tests: by URL, ``mongod`` from PATH, or the stand-in."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.local.ports import free_ports
from tests.support.servers.handle import LOOPBACK, Server, started
from tests.support.servers.missing import ServerMissing
from tests.support.servers.process import ServerProcess
from tests.support.servers.stand_in import READY as STAND_IN_READY
from tests.support.servers.stand_in import build_stand_in, stand_in_command, stand_in_version

URL_VARIABLE: Final = "PETROSA_TEST_MONGODB_URL"

_MONGOD_READY: Final = "Waiting for connections"
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
        ServerMissing: none can be had.
    """
    url = os.environ.get(URL_VARIABLE)
    if url and not own:
        yield _given(url)
        return
    folder = Path(tempfile.mkdtemp(prefix="mongodb-"))
    try:
        server = _local(folder)
    except ServerMissing:
        folder.rmdir()
        raise
    with started(server, folder):
        yield server


def prepare_mongodb() -> str:
    """Make sure that a MongoDB server can be started, and say which one it will be.

    Raises:
        ServerMissing: none can be had.
    """
    if os.environ.get(URL_VARIABLE):
        return f"the server of {URL_VARIABLE}"
    if mongod := shutil.which("mongod"):
        return mongod
    build_stand_in()
    return _stand_in_name()


def _local(folder: Path) -> MongoServer:
    [port] = free_ports(1)
    if mongod := shutil.which("mongod"):
        version = subprocess.run([mongod, "--version"], capture_output=True, text=True, check=True)
        description = f"{version.stdout.splitlines()[0]} ({mongod})"
        command: list[str | Path] = [mongod, "--dbpath", folder, "--port", str(port), "--bind_ip", LOOPBACK]
        process = ServerProcess([*command, "--nounixsocket"], folder, _MONGOD_READY)
    else:
        description = _stand_in_name()
        process = ServerProcess(stand_in_command(port), folder, STAND_IN_READY)
    url = f"mongodb://{LOOPBACK}:{port}/"
    return MongoServer(url, LOOPBACK, port, description, process, is_stand_in=mongod is None)


def _stand_in_name() -> str:
    return f"stand-in mongo-java-server {stand_in_version()}, in memory (mongod is not on PATH)"


def _given(url: str) -> MongoServer:
    import pymongo
    import pymongo.errors

    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url, serverSelectionTimeoutMS=_ANSWER_MS) as client:
        try:
            version = client.server_info()["version"]
        except pymongo.errors.PyMongoError as error:
            raise ServerMissing(f"the server of {URL_VARIABLE} did not answer: {error}") from error
        host, port = client.address or (LOOPBACK, 27017)
    description = f"MongoDB {version} at {host}:{port} ({URL_VARIABLE})"
    return MongoServer(url, host, port, description, None, is_stand_in=False)
