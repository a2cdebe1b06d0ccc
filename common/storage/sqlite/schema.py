"""The file of the embedded store beside the families' own tables: dead letters, documents, counts, and its version."""

import sqlite3
from typing import Final

from common.errors import ConfigurationError
from common.models.dead_letters import DEAD_LETTERS
from common.models.families import Family
from common.storage.sqlite import tables

VERSION: Final = 1

# Counters kept by the transactions that change what they count.
ANALYTICS_CHANGES: Final = "analytics_changes"
COUNTERS: Final = (*(family.value for family in Family), DEAD_LETTERS, ANALYTICS_CHANGES)

_TABLES: Final = (
    *(table.ddl for table in tables.TABLES.values()),
    """CREATE TABLE dead_letters (
        dead_letter_id TEXT NOT NULL PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        field TEXT,
        detail TEXT NOT NULL,
        symbol TEXT,
        origin TEXT NOT NULL,
        excerpt TEXT NOT NULL,
        event_id TEXT,
        size_bytes INTEGER NOT NULL
    )""",
    # Kept by the transactions that make changes: what was read of a series is true for one count of changes, and a
    # series of millions of rows is counted by one look.
    """CREATE TABLE series (
        name TEXT NOT NULL PRIMARY KEY,
        changes INTEGER NOT NULL,
        row_count INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX dead_letters_time ON dead_letters (time_ms, dead_letter_id)",
    "CREATE INDEX dead_letters_kind ON dead_letters (kind, time_ms, dead_letter_id)",
    "CREATE INDEX dead_letters_reason ON dead_letters (reason, time_ms, dead_letter_id)",
    """CREATE TABLE analytics (
        symbol TEXT NOT NULL,
        metric TEXT NOT NULL,
        timeframe TEXT NOT NULL, -- '' for metrics without one
        as_of_ms INTEGER NOT NULL,
        computed_at_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (symbol, metric, timeframe, as_of_ms)
    )""",
    "CREATE INDEX analytics_metric ON analytics (metric, computed_at_ms)",
    "CREATE INDEX analytics_computed ON analytics (computed_at_ms)",
    "CREATE INDEX analytics_as_of ON analytics (as_of_ms)",
    "CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in a file that has none.

    Raises:
        ConfigurationError: the file was written by a newer version of this program.
    """
    if _is_current(connection):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _is_current(connection):  # another process was first
            return
        for statement in _TABLES:
            connection.execute(statement)
        connection.executemany("INSERT INTO counters VALUES (?, 0)", [(name,) for name in COUNTERS])
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_current(connection: sqlite3.Connection) -> bool:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise ConfigurationError(
            f"the market store had format {version}, this program knows {VERSION}: use the newer program, "
            "or choose another PETROSA_DATA_DIR"
        )
    return version == VERSION
