"""Brings the tables of a database to the newest version. It loads Alembic: import it when there is something to do."""

import logging
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, func, select

from common.errors import ConfigurationError, StoreUnavailable
from common.storage.sql_metadata.migrations import HEAD

_LOCK_NAME_LENGTH: Final = 64

logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it tells of each of its own modules


def upgrade(connection: Connection, *, wait_s: int) -> None:
    """Apply the versions that are missing; of several processes one does, the others wait for it.

    Args:
        connection: one that is closed afterwards, which releases the lock.
        wait_s: how long to wait for another process that is at it.

    Raises:
        StoreUnavailable: another process is still at it.
        ConfigurationError: the tables were made by a newer program.
    """
    database = connection.scalar(select(func.database()))
    name = f"petrosa_metadata:{database}"[:_LOCK_NAME_LENGTH]
    if connection.scalar(select(func.get_lock(name, wait_s))) != 1:
        raise StoreUnavailable("the tables of the metadata store were being migrated by another process")
    connection.commit()  # Alembic commits only what it began itself
    config = Config()
    config.set_main_option("script_location", "common.storage.sql_metadata:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise ConfigurationError(
            f"the tables in database {database!r} were of a version that this program does not know ({error}): "
            "use the newer program, or another database in MYSQL_URI"
        ) from error
