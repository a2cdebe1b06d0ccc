"""Which stores a run uses, decided and got ready before anything starts.

For each of MongoDB and MySQL: the server that an address names, else one that the run starts, else SQLite files.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.settings import Settings
from infra.local.databases import given
from infra.local.databases.own import MONGODB, MYSQL, DatabaseServer, own_mongodb, own_mysql
from infra.local.ports import free_ports, require_free

EMBEDDED: Final = "embedded"
SERVERS: Final = "servers"
_FILES: Final = "SQLite files"


@dataclass(frozen=True)
class StoreOptions:
    """Where a run is told to keep its data.

    Attributes:
        start_servers: whether servers are started where no address is given; otherwise files are used there.
        mongodb_given: whether the settings name a MongoDB server.
        mysql_given: whether the settings name a MySQL server.
        mongodb_port: where an own server listens; a free port without it.
        mysql_port: likewise.
    """

    start_servers: bool = False
    mongodb_given: bool = False
    mysql_given: bool = False
    mongodb_port: int | None = None
    mysql_port: int | None = None

    @property
    def kind(self) -> str:
        """``embedded``, ``servers``, or the one kind of server that is used beside files: ``mongodb``, ``mysql``."""
        mongodb, mysql = self.start_servers or self.mongodb_given, self.start_servers or self.mysql_given
        if mongodb and mysql:
            return SERVERS
        return MONGODB if mongodb else MYSQL if mysql else EMBEDDED


@dataclass(frozen=True)
class Stores:
    """The stores of a run.

    Attributes:
        description: what they are, for people.
        mongodb_url: address of MongoDB with its database, without an account; None where files are used.
        servers: those that the run starts.
    """

    description: str = _FILES
    mongodb_url: str | None = None
    servers: tuple[DatabaseServer, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What the parts are told of the servers that the run starts; given ones they know from the user."""
        return {server.variable: server.url for server in self.servers}

    @property
    def ports(self) -> set[int]:
        """The ports of the servers that the run starts."""
        return {server.port for server in self.servers}

    @property
    def forgetful(self) -> tuple[DatabaseServer, ...]:
        """The servers whose data are gone when they end."""
        return tuple(server for server in self.servers if not server.keeps_data)


async def prepare_stores(options: StoreOptions, settings: Settings, folder: Path, taken: Collection[int]) -> Stores:
    """Check the servers that are given, and make ready those that the run starts; nothing is started here.

    Args:
        options: what the run was told.
        settings: those of the parts, which name the given servers.
        folder: takes the data of own servers, each in a folder of its own.
        taken: ports that are spoken for.

    Raises:
        ConfigurationError: a given server does not answer; a program or a port cannot be had.
    """
    mongodb_port, mysql_port = _ports(options, taken)
    descriptions, servers, address = [], [], None
    if options.mongodb_given:
        descriptions.append(await given.check_mongodb(settings))
        address = given.mongodb_without_account(settings)
    elif options.start_servers:
        mongodb = await asyncio.to_thread(own_mongodb, folder / MONGODB, mongodb_port, settings.mongodb_db)
        servers.append(mongodb)
        address = mongodb.url
    if options.mysql_given:
        descriptions.append(await given.check_mysql(settings))
    elif options.start_servers:
        servers.append(await asyncio.to_thread(own_mysql, folder / MYSQL, mysql_port))
    descriptions += [server.description for server in servers]
    if options.kind != SERVERS:
        descriptions.append(_FILES)
    return Stores(", ".join(descriptions), address, tuple(servers))


def _ports(options: StoreOptions, taken: Collection[int]) -> tuple[int, int]:
    """Return where own servers of the two kinds would listen."""
    wanted = {"PETROSA_MONGODB_PORT": options.mongodb_port, "PETROSA_MYSQL_PORT": options.mysql_port}
    chosen = {port for port in wanted.values() if port is not None}
    free = free_ports(2, taken={*taken, *chosen})
    if options.start_servers:
        for setting, port in wanted.items():
            if port is not None:
                require_free(port, setting)
    return options.mongodb_port or free[0], options.mysql_port or free[1]
