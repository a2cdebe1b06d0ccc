"""What MySQL and SQLite say differently; nothing else in the statements differs."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Column, Dialect, FromClause, Table, func, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.sql.dml import Insert

_MYSQL: Final = frozenset({"mysql", "mariadb"})


def insert_or_update(dialect: Dialect, table: Table, *, kept: Iterable[str] = ()) -> Insert:
    """Return an insert that replaces a row of the same key.

    Args:
        dialect: the engine's.
        table: where to.
        kept: columns whose first value stays.
    """
    key = set(table.primary_key.columns.keys())
    columns = [name for name in table.columns.keys() if name not in key | set(kept)]  # noqa: SIM118 - not a dict
    return _insert(dialect, table, columns)


def insert_or_skip(dialect: Dialect, table: Table) -> Insert:
    """Return an insert that leaves a row of the same key as it is; other violations still fail."""
    return _insert(dialect, table, [])


def distinct_values(dialect: Dialect, column: Column[Any]) -> FromClause:
    """Return the values of a column that an index begins with, under its name; on SQLite with a NULL at the end.

    The index is entered once per value: MySQL does so for a DISTINCT, whereas SQLite reads all of it and has to be
    led from each value to the next one, which in turn MySQL does not follow.
    """
    if dialect.name in _MYSQL:
        return select(column).distinct().subquery("distinct_values")
    values = select(func.min(column).label(column.name)).cte("distinct_values", recursive=True)
    value = values.c[column.name]
    following = select(func.min(column)).where(column > value).correlate(values).scalar_subquery()
    return values.union_all(select(following).where(value.is_not(None)))


def _insert(dialect: Dialect, table: Table, updated: list[str]) -> Insert:
    key = list(table.primary_key.columns.keys())
    if dialect.name in _MYSQL:
        statement = mysql.insert(table)
        # Setting the key to itself changes nothing: INSERT IGNORE would also turn missing values into empty ones.
        return statement.on_duplicate_key_update(_incoming(statement.inserted, updated or key))
    insert = sqlite.insert(table)
    if not updated:
        return insert.on_conflict_do_nothing(index_elements=key)
    return insert.on_conflict_do_update(index_elements=key, set_=_incoming(insert.excluded, updated))


def _incoming(row: Any, names: list[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}
