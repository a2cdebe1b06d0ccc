"""The record of changes: a row for each series of a batch, written in its transaction, and what is kept of a series.

The row of a series holds the number of its last change, which is its revision, the count of its rows, so that a series
of millions of rows is counted by one look, and the greatest key that it ever held.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from common.clock import SystemClock
from common.models.changes import CHANGES_AGE_MS, CONTRADICTIONS_AGE_MS, CONTRADICTIONS_KEPT, Change, Contradiction

NO_KEY: Final = -1  # less than every id and every time
# The machine's own clock, as on a server: when something was written, whichever day the data are of.
_CLOCK: Final = SystemClock()

_APPEND: Final = (
    "INSERT INTO changes (dataset_id, first_ms, last_ms, inserted, updated, deleted, time_ms) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_KEEP: Final = (
    "INSERT INTO series VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET change = excluded.change, "
    "row_count = row_count + excluded.row_count, last_key = max(last_key, excluded.last_key)"
)
# Old rows go in passing, a few hundred at a time.
_PRUNE_EVERY: Final = 256
_PRUNED_AT_ONCE: Final = 1024
_PRUNE: Final = "DELETE FROM changes WHERE number < (SELECT min(number) + ? FROM changes) AND time_ms < ?"
_READ: Final = "SELECT * FROM changes WHERE number > ? ORDER BY number LIMIT ?"

_CONTRADICT: Final = "INSERT INTO contradictions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_FORGET: Final = "DELETE FROM contradictions WHERE time_ms < ?"


def record(
    connection: sqlite3.Connection,
    dataset_id: str,
    span: tuple[int | None, int | None],
    *,
    inserted: int = 0,
    updated: int = 0,
    deleted: int = 0,
) -> int:
    """Append a change of a series and return its number.

    Args:
        connection: in the transaction of the change.
        dataset_id: the series.
        span: first and last time that were touched.
        inserted: rows that are new.
        updated: rows that are other than before.
        deleted: rows that are gone.
    """
    now_ms = _CLOCK.now_ms()
    number = connection.execute(_APPEND, (dataset_id, *span, inserted, updated, deleted, now_ms)).lastrowid or 0
    if number % _PRUNE_EVERY == 0:
        connection.execute(_PRUNE, (_PRUNED_AT_ONCE, now_ms - CHANGES_AGE_MS))
    return number


def record_rows(
    connection: sqlite3.Connection,
    dataset_id: str,
    span: tuple[int | None, int | None],
    *,
    inserted: int = 0,
    updated: int = 0,
    deleted: int = 0,
    last_key: int = NO_KEY,
) -> None:
    """Record a change of the rows of a series; ``last_key`` is the greatest key among those that are new."""
    number = record(connection, dataset_id, span, inserted=inserted, updated=updated, deleted=deleted)
    connection.execute(_KEEP, (dataset_id, number, inserted - deleted, last_key))


def last_key(connection: sqlite3.Connection, dataset_id: str) -> int:
    """Return the greatest key that a series ever held."""
    found = connection.execute("SELECT last_key FROM series WHERE name = ?", (dataset_id,)).fetchone()
    return NO_KEY if found is None else int(found[0])


def after(connection: sqlite3.Connection, number: int, limit: int) -> list[Change]:
    """Read the changes behind a number, ascending."""
    return list(map(Change._make, connection.execute(_READ, (number, limit))))


def contradict(connection: sqlite3.Connection, dataset_id: str, facts: Sequence[tuple[int, str, str]]) -> None:
    """Keep evidence of facts (key, stored and offered text) that contradict stored ones; each offer once."""
    now_ms = _CLOCK.now_ms()
    kept = [(dataset_id, *fact, now_ms) for fact in facts[:CONTRADICTIONS_KEPT]]
    connection.executemany(_CONTRADICT, kept)
    connection.execute(_FORGET, (now_ms - CONTRADICTIONS_AGE_MS,))


def contradictions(
    connection: sqlite3.Connection, dataset_id: str | None, limit: int, offset: int
) -> tuple[list[Contradiction], int]:
    """Read contradictions of a series, or of all, newest first, and count them."""
    condition, values = ("WHERE dataset_id = ?", (dataset_id,)) if dataset_id is not None else ("", ())
    total: int = connection.execute(f"SELECT count(*) FROM contradictions {condition}", values).fetchone()[0]  # noqa: S608 - a constant
    page = connection.execute(
        f"SELECT * FROM contradictions {condition} ORDER BY time_ms DESC, rowid DESC LIMIT ? OFFSET ?",  # noqa: S608 - a constant
        (*values, limit, offset),
    )
    return list(map(Contradiction._make, page)), total
