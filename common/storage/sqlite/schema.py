"""The format of the embedded file: numbered steps from an empty file, or one of an earlier version, to that of today.

Each step is one transaction and stays as it is once a version with it was used; what changes the format is a further
step. The tables of the families follow their rows' types and are made where they are missing.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from common.errors import ConfigurationError
from common.models.dead_letters import DEAD_LETTERS
from common.models.families import Family
from common.storage.sqlite import tables

# Counters kept by the transactions that change what they count.
ANALYTICS_CHANGES: Final = "analytics_changes"
COUNTERS: Final = (*(family.value for family in Family), DEAD_LETTERS, ANALYTICS_CHANGES)

_FIRST_TABLES: Final = (
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

_REDELIVERY: Final = (
    "ALTER TABLE dead_letters ADD COLUMN attributes TEXT",
    "ALTER TABLE dead_letters ADD COLUMN payload BLOB",
    "ALTER TABLE dead_letters ADD COLUMN destination TEXT",
)


def _statements(statements: tuple[str, ...]) -> Callable[[sqlite3.Connection], None]:
    def step(connection: sqlite3.Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    return step


_STEPS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (
    _statements(_FIRST_TABLES),
    _statements(_REDELIVERY),
)
VERSION: Final = len(_STEPS)


def prepare(connection: sqlite3.Connection) -> None:
    """Bring a file to the format of today.

    Raises:
        ConfigurationError: the file was written by a newer version of this program.
    """
    for number in range(_version(connection), VERSION):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if _version(connection) == number:  # else another process was faster
                _STEPS[number](connection)
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
