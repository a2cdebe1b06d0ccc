"""Deleting what is too old, a bounded number of rows at a time, so that writers wait for milliseconds only."""

import sqlite3

from common.models.dead_letters import DEAD_LETTERS
from common.models.families import Family, dataset_id
from common.storage.sqlite.reading import scopes
from common.storage.sqlite.tables import TABLES, Table
from common.storage.sqlite.writing import count, mark_changed


def delete_rows_before(connection: sqlite3.Connection, family: Family, before_ms: int, limit: int) -> int:
    """Delete at most ``limit`` rows of a family that are older than ``before_ms``, series by series."""
    table = TABLES[family]
    deleted = 0
    for scope in scopes(connection, table):
        gone = _delete_oldest(connection, table, scope, before_ms, limit - deleted)
        if gone:
            mark_changed(connection, dataset_id(family, *scope), -gone)
        deleted += gone
        if deleted >= limit:
            break
    count(connection, family, -deleted)
    return deleted


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
