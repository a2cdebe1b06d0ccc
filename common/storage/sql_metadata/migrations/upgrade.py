"""Brings the tables of a database to the newest version. It loads Alembic: import it when there is something to do."""

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

from common.errors import StoreUnavailable
from common.storage.sql_metadata.migrations import HEAD

_LOCK_NAME_LENGTH: Final = 64
_LIST: Final = Path(__file__).parent

logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it tells of each of its own modules


def upgrade_server(connection: Connection, *, wait_s: int) -> None:
    """Apply the versions that are missing; of several processes one does, the others wait for it.

    Args:
        connection: one that is closed afterwards, which releases the lock.
        wait_s: how long to wait for another process that is at it.

    Raises:
        StoreUnavailable: another process is still at it.
    """
    database = connection.scalar(select(func.database()))
    name = f"petrosa_metadata:{database}"[:_LOCK_NAME_LENGTH]
    if connection.scalar(select(func.get_lock(name, wait_s))) != 1:
        raise StoreUnavailable("the tables of the metadata store were being migrated by another process")
    connection.commit()  # Alembic commits only what it began itself
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def apply_version(connection: Connection, number: int) -> None:
    """Apply one version in the transaction that is under way."""
    version = ScriptDirectory.from_config(_config()).get_revision(str(number))
    with Operations.context(MigrationContext.configure(connection)):
        version.module.upgrade()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_LIST).replace("%", "%%"))
    return config
