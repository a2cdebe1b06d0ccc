"""Deleting what is too old, a bounded number of rows at a time, so that writers wait for milliseconds only."""

import sqlite3

from common.models.dead_letters import DEAD_LETTERS
from common.models.families import Family, dataset_id
from common.storage.sqlite.changes import record_rows
from common.storage.sqlite.reading import scopes
from common.storage.sqlite.tables import TABLES, Table
from common.storage.sqlite.writing import count


def delete_rows_before(connection: sqlite3.Connection, family: Family, before_ms: int, limit: int) -> int:
    """Delete at most ``limit`` rows of a family that are older than ``before_ms``, series by series."""
    table = TABLES[family]
    deleted = 0
    for scope in scopes(connection, table):
        gone = _delete_oldest(connection, table, scope, before_ms, limit - deleted)
        if gone:
            _record(connection, table, scope, gone, before_ms)
        deleted += gone
        if deleted >= limit:
            break
    count(connection, family, -deleted)
    return deleted


def _record(connection: sqlite3.Connection, table: Table, scope: tuple[str, ...], gone: int, before_ms: int) -> None:
    name = dataset_id(table.spec.family, *scope)
    record_rows(connection, name, (None, before_ms - 1), deleted=gone)
    first = f"SELECT min(time_ms) FROM {table.name} WHERE {table.condition}"  # noqa: S608 - names of the schema
    # Without rows the last stretch stays, too: it knows the greatest id, after which the next ones are expected.
    connection.execute(f"DELETE FROM spans WHERE dataset_id = ? AND last_ms < ({first})", (name, *scope))  # noqa: S608 - names of the schema


def _delete_oldest(
    connection: sqlite3.Connection, table: Table, scope: tuple[str, ...], before_ms: int, limit: int
) -> int:
    key = ", ".join((*table.spec.scope, *table.spec.order))
    order = ", ".join(table.spec.order)
    statement = (
        f"DELETE FROM {table.name} WHERE ({key}) IN (SELECT {key} FROM {table.name} "  # noqa: S608 - names of the schema
        f"WHERE {table.condition} AND time_ms < ? ORDER BY {order} LIMIT ?)"
    )
    return connection.execute(statement, (*scope, before_ms, limit)).rowcount


def delete_dead_letters_before(connection: sqlite3.Connection, before_ms: int, limit: int) -> int:
    """Delete at most ``limit`` dead letters that are older than ``before_ms``."""
    deleted = connection.execute(
        "DELETE FROM dead_letters WHERE rowid IN "
        "(SELECT rowid FROM dead_letters WHERE time_ms < ? ORDER BY time_ms LIMIT ?)",
        (before_ms, limit),
    ).rowcount
    count(connection, DEAD_LETTERS, -deleted)
    return deleted
