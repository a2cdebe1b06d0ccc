"""The steps that bring an embedded file from one format to the next. A step that was used stays as it is.

What stands in them is what was so when they were written; what the rest of the program knows may have changed since.
"""

# ruff: noqa: S608 - the statements are made of names that stand here

import sqlite3
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Final

from common.models.changes import fact_text
from common.models.families import FAMILIES, Family
from common.storage.ports import AnalyticsDocument
from common.storage.sqlite import changes
from common.storage.sqlite.facts import ADD_SPAN

Step = Callable[[sqlite3.Connection], None]

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
_RECORDS: Final = (
    """CREATE TABLE changes (
        number INTEGER NOT NULL PRIMARY KEY,
        dataset_id TEXT NOT NULL,
        first_ms INTEGER,
        last_ms INTEGER,
        inserted INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        deleted INTEGER NOT NULL,
        time_ms INTEGER NOT NULL
    )""",
    """CREATE TABLE contradictions (
        dataset_id TEXT NOT NULL,
        key INTEGER NOT NULL,
        stored TEXT NOT NULL,
        offered TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        PRIMARY KEY (dataset_id, key, offered)
    )""",
    "CREATE INDEX contradictions_time ON contradictions (time_ms)",
    # In which stretches of time which ids of a series lie.
    """CREATE TABLE spans (
        dataset_id TEXT NOT NULL,
        last_id INTEGER NOT NULL,
        first_id INTEGER NOT NULL,
        first_ms INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        row_count INTEGER NOT NULL,
        PRIMARY KEY (dataset_id, last_id)
    ) WITHOUT ROWID""",
    "ALTER TABLE series RENAME COLUMN changes TO change",
    "ALTER TABLE series ADD COLUMN last_key INTEGER NOT NULL DEFAULT -1",
)
# The families whose rows have ids, and those that are told apart by their time.
_IDS: Final = {"trades": "trade_id", "agg_trades": "agg_trade_id", "depth": "last_update_id"}
_TIMED: Final = {
    "tickers": "symbol",
    "mark_prices": "symbol",
    "funding_rates": "symbol",
    "candles": "symbol, timeframe",
}
_SPAN_ROWS: Final = 2000
_NEAR_MS: Final = 600_000


def _run(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def _begin(connection: sqlite3.Connection) -> None:
    """Format 1, of an empty file."""
    _run(connection, _FIRST_TABLES)


def _keep_for_redelivery(connection: sqlite3.Connection) -> None:
    """Format 2: dead letters hold what a redelivery needs."""
    _run(connection, _REDELIVERY)


def _record_changes(connection: sqlite3.Connection) -> None:
    """Format 3: changes are recorded, and an id is stored once at whatever time.

    Every series begins with one change, so that who follows them from the first learns of all series.
    """
    _run(connection, _RECORDS)
    given = "SELECT value FROM counters WHERE name = 'analytics_changes' UNION ALL SELECT change FROM series"
    number = connection.execute(f"SELECT coalesce(max(value), 0) FROM ({given})").fetchone()[0]
    # Revisions that were given out before are not given out again.
    connection.execute("INSERT INTO changes VALUES (?, '', NULL, NULL, 0, 0, 0, 0)", (number,))
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table, identity in _IDS.items():
        if table in there:
            _resolve(connection, table, identity)
            _find_spans(connection, table, identity)
            _begin_series(connection, table, "symbol", identity)
    for table, scope in _TIMED.items():
        if table in there:
            _begin_series(connection, table, scope, "time_ms")
    _begin_documents(connection)
    connection.execute("DELETE FROM changes WHERE dataset_id = ''")


def _resolve(connection: sqlite3.Connection, table: str, identity: str) -> None:
    """Keep of rows with one id the earliest; the others become evidence."""
    repeated = f"SELECT symbol, {identity} FROM {table} GROUP BY symbol, {identity} HAVING count(*) > 1"
    rows = connection.execute(
        f"SELECT * FROM {table} WHERE (symbol, {identity}) IN ({repeated}) ORDER BY symbol, {identity}, time_ms"
    ).fetchall()
    for (symbol, key), (first, *others) in groupby(rows, itemgetter(0, 2)):
        stored, *offered = (fact_text(FAMILIES[Family(table)].row._make(row)) for row in (first, *others))
        changes.contradict(connection, f"{table}_{symbol}", [(key, stored, text) for text in offered])
    surplus = [row[:3] for _, (_, *others) in groupby(rows, itemgetter(0, 2)) for row in others]
    connection.executemany(f"DELETE FROM {table} WHERE symbol = ? AND time_ms = ? AND {identity} = ?", surplus)
    connection.execute("UPDATE counters SET value = value - ? WHERE name = ?", (len(surplus), table))


def _find_spans(connection: sqlite3.Connection, table: str, identity: str) -> None:
    """Note stretches of a bounded number of rows that are near each other in time."""
    dated = (
        f"SELECT symbol, time_ms, {identity} AS id, "
        f"time_ms - lag(time_ms, 1, time_ms) OVER in_order > {_NEAR_MS} AS far "
        f"FROM {table} WINDOW in_order AS (PARTITION BY symbol ORDER BY time_ms, {identity})"
    )
    numbered = (
        f"SELECT *, sum(far) OVER in_order AS stretch, (row_number() OVER in_order - 1) / {_SPAN_ROWS} AS part "
        f"FROM ({dated}) WINDOW in_order AS (PARTITION BY symbol ORDER BY time_ms, id)"
    )
    spans = connection.execute(
        f"SELECT '{table}_' || symbol, max(id), min(id), min(time_ms), max(time_ms), count(*) FROM ({numbered}) "
        "GROUP BY symbol, stretch, part"
    )
    connection.executemany(ADD_SPAN, spans)


def _begin_series(connection: sqlite3.Connection, table: str, scope: str, identity: str) -> None:
    name = " || '_' || ".join((f"'{table}'", *scope.split(", ")))
    counted = connection.execute(
        f"SELECT {name}, min(time_ms), max(time_ms), count(*), max({identity}) FROM {table} GROUP BY {scope}"
    ).fetchall()
    for dataset_id, first_ms, last_ms, rows, last_key in counted:
        number = changes.record(connection, dataset_id, (first_ms, last_ms), inserted=rows)
        kept = (number, rows, last_key, dataset_id)
        connection.execute("UPDATE series SET change = ?, row_count = ?, last_key = ? WHERE name = ?", kept)


def _begin_documents(connection: sqlite3.Connection) -> None:
    counted = connection.execute(
        "SELECT symbol, metric, timeframe, min(as_of_ms), max(as_of_ms), count(*) FROM analytics "
        "GROUP BY symbol, metric, timeframe"
    ).fetchall()
    for symbol, metric, timeframe, first_ms, last_ms, rows in counted:
        dataset_id = AnalyticsDocument(symbol, metric, timeframe, first_ms, first_ms).dataset_id
        number = changes.record(connection, dataset_id, (first_ms, last_ms), inserted=rows)
        connection.execute("UPDATE counters SET value = ? WHERE name = 'analytics_changes'", (number,))


STEPS: Final[tuple[Step, ...]] = (_begin, _keep_for_redelivery, _record_changes)
