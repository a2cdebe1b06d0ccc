"""Gives a table that exists already the form of a version, keeping its rows: the tables of the original system.

What they may hold against the form: seconds only, missing columns, other indexes under the same name, other character
sets, NULL where a number has a default, and the zero dates and empty words that INSERT IGNORE leaves.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, DateTime, Dialect, Table, inspect, text, update
from sqlalchemy.schema import CreateColumn

from common.errors import ConfigurationError

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the column holds UTC without a zone
_FIRST_DATE: Final = datetime(1000, 1, 1)  # noqa: DTZ001 - zero dates sort before the first valid one


def take_over(connection: Connection, table: Table) -> None:
    """Change the table of the same name to the columns, indexes and character set of ``table``.

    Indexes of other columns stay. Running it again changes nothing.

    Raises:
        ConfigurationError: the table is of another kind altogether.
    """
    found = inspect(connection)
    columns = {column["name"]: column for column in found.get_columns(table.name)}
    key = found.get_pk_constraint(table.name)["constrained_columns"]
    _require_kinship(table, columns, key)
    _fill_gaps(connection, table, columns)
    indexes = {str(index["name"]): tuple(index["column_names"]) for index in found.get_indexes(table.name)}
    changes = [
        "ENGINE = InnoDB",
        "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        *_column_changes(table, columns, connection.dialect),
        *_index_changes(table, indexes, connection.dialect),
    ]
    # One statement: the rows are copied once, and the change happens as a whole or not at all.
    connection.execute(text(f"ALTER TABLE {_quoted(table.name, connection.dialect)} {', '.join(changes)}"))


def _require_kinship(table: Table, columns: dict[str, Any], key: list[str]) -> None:
    needed = {column.name for column in table.columns if not column.nullable and column.server_default is None}
    if needed <= columns.keys() and key == list(table.primary_key.columns.keys()):
        return
    raise ConfigurationError(
        f"a table {table.name!r} of another kind was in the database (missing: {sorted(needed - columns.keys())}): "
        "name another database in MYSQL_URI"
    )


def _fill_gaps(connection: Connection, table: Table, columns: dict[str, Any]) -> None:
    """Give values to what the new form does not allow to be empty."""
    for column in table.columns:
        if column.name not in columns:
            continue
        if isinstance(column.type, DateTime):
            empty = None if column.nullable else _EPOCH
            connection.execute(update(table).where(column < _FIRST_DATE).values({column.name: empty}))
        default: Any = column.server_default
        if default is not None and columns[column.name]["nullable"]:
            connection.execute(update(table).where(column.is_(None)).values({column.name: default.arg}))


def _column_changes(table: Table, columns: dict[str, Any], dialect: Dialect) -> Iterator[str]:
    for column in table.columns:
        definition = str(CreateColumn(column).compile(dialect=dialect)).strip()
        yield f"{'MODIFY' if column.name in columns else 'ADD'} COLUMN {definition}"


def _index_changes(table: Table, indexes: dict[str, tuple[str | None, ...]], dialect: Dialect) -> Iterator[str]:
    wanted = {str(index.name): tuple(index.columns.keys()) for index in table.indexes}
    for name, columns in indexes.items():
        if wanted.get(name) != columns and (name in wanted or columns in wanted.values()):
            yield f"DROP INDEX {_quoted(name, dialect)}"
    for name, columns in sorted(wanted.items()):
        if indexes.get(name) != columns:
            listed = ", ".join(_quoted(column, dialect) for column in columns)
            yield f"ADD INDEX {_quoted(name, dialect)} ({listed})"


def _quoted(name: str, dialect: Dialect) -> str:
    return dialect.identifier_preparer.quote_identifier(name)
