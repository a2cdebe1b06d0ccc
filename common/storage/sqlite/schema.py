"""The format of the embedded file: numbered steps from an empty file, or one of an earlier version, to that of today.

Each step is one transaction and stays as it is once a version with it was used; what changes the format is a further
step. The tables of the families follow their rows' types and are made where they are missing.
"""

import sqlite3
from typing import Final

from common.errors import ConfigurationError
from common.models.dead_letters import DEAD_LETTERS
from common.models.families import Family
from common.storage.sqlite import tables
from common.storage.sqlite.steps import STEPS

# Counters kept by the transactions that change what they count.
ANALYTICS_CHANGES: Final = "analytics_changes"
COUNTERS: Final = (*(family.value for family in Family), DEAD_LETTERS, ANALYTICS_CHANGES)

VERSION: Final = len(STEPS)


def prepare(connection: sqlite3.Connection) -> None:
    """Bring a file to the format of today.

    Raises:
        ConfigurationError: the file was written by a newer version of this program.
    """
    for number in range(_version(connection), VERSION):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if _version(connection) == number:  # else another process was faster
                STEPS[number](connection)
                connection.execute(f"PRAGMA user_version = {number + 1}")
    if tables.missing(connection):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in tables.missing(connection):
                connection.execute(table.ddl)
            connection.executemany("INSERT OR IGNORE INTO counters VALUES (?, 0)", [(name,) for name in COUNTERS])


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise ConfigurationError(
            f"the market store has format {version}, which a newer program wrote, and this one knows format {VERSION} "
            "at most: start the newer program, or choose another PETROSA_DATA_DIR"
        )
    return version
