"""Deleting what is too old, a bounded number of rows at a time, so that writers wait for milliseconds only."""

import sqlite3

from common.models.rows import Family
from common.storage.sqlite.reading import scopes
from common.storage.sqlite.schema import DEAD_LETTERS, SERIES, Series
from common.storage.sqlite.writing import count, mark_changed


def delete_rows_before(connection: sqlite3.Connection, family: Family, cutoff_ms: int, limit: int) -> int:
    """Delete at most ``limit`` rows of a family that are older than ``cutoff_ms``, series by series."""
    series = SERIES[family]
    deleted = 0
    for scope in scopes(connection, series):
        gone = _delete_oldest(connection, series, scope, cutoff_ms, limit - deleted)
        if gone:
            mark_changed(connection, family, scope, -gone)
        deleted += gone
        if deleted >= limit:
            break
    count(connection, family, -deleted)
    return deleted


def _delete_oldest(
    connection: sqlite3.Connection, series: Series, scope: tuple[str, ...], cutoff_ms: int, limit: int
) -> int:
    key = ", ".join((*series.scope, *series.order))
    order = ", ".join(series.order)
    condition = " AND ".join(f"{column} = ?" for column in series.scope)
    statement = (
        f"DELETE FROM {series.table} WHERE ({key}) IN (SELECT {key} FROM {series.table} "  # noqa: S608 - names of the schema
        f"WHERE {condition} AND time_ms < ? ORDER BY {order} LIMIT ?)"
    )
    return connection.execute(statement, (*scope, cutoff_ms, limit)).rowcount


def delete_dead_letters_before(connection: sqlite3.Connection, cutoff_ms: int, limit: int) -> int:
    """Delete at most ``limit`` dead letters that are older than ``cutoff_ms``."""
    deleted = connection.execute(
        "DELETE FROM dead_letters WHERE rowid IN "
        "(SELECT rowid FROM dead_letters WHERE time_ms < ? ORDER BY time_ms LIMIT ?)",
        (cutoff_ms, limit),
    ).rowcount
    count(connection, DEAD_LETTERS, -deleted)
    return deleted
