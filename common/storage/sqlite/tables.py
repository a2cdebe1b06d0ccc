"""The tables of the families: one for each, columns in the order of the row's fields, made from the row's type.

Prices and quantities are TEXT, the exchange's own digits. The primary key begins with the series and its time, so a
range of one series is one stretch of the table and no second index is needed. Books are large for a key-ordered
table, so theirs keeps rows and key apart.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, get_args

from common.models.families import FAMILIES, Family, FamilySpec
from common.models.rows import MarketRow

_LARGE: Final = frozenset({Family.DEPTH})


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of one family are kept.

    Attributes:
        spec: what is known of the family.
        condition: SQL that is true of the rows of one series; takes its scope.
        ddl: SQL that makes the table.
        insert: SQL that inserts a row, and skips one whose key is there.
        replace: SQL that inserts a row in the place of one of its key.
        between: SQL that reads the rows of one series within two times and two keys, all included.
        row: makes a row of a tuple of values.
    """

    spec: FamilySpec
    condition: str
    ddl: str
    insert: str
    replace: str
    between: str
    row: Callable[[tuple[Any, ...]], MarketRow]

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.spec.family.value

    @property
    def is_ordered_by_id(self) -> bool:
        """Whether ids tell rows apart, of which there can be several in one instant."""
        return len(self.spec.order) > 1

    @property
    def key_position(self) -> int:
        """Where in a row its key stands."""
        return self.spec.row._fields.index(self.spec.identity)


def _table(spec: FamilySpec) -> Table:
    name, key = spec.family.value, ", ".join((*spec.scope, *spec.order))
    columns = ", ".join(_column(field, hint) for field, hint in spec.row.__annotations__.items())
    condition = " AND ".join(f"{column} = ?" for column in spec.scope)
    rowid = "" if spec.family in _LARGE else " WITHOUT ROWID"
    values = f"VALUES ({', '.join('?' * len(spec.row._fields))})"
    return Table(
        spec,
        condition=condition,
        ddl=f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({key})){rowid}",
        # Only a repeated key is skipped; OR IGNORE would also swallow a missing value.
        insert=f"INSERT INTO {name} {values} ON CONFLICT DO NOTHING",
        replace=f"REPLACE INTO {name} {values}",
        between=(
            f"SELECT * FROM {name} WHERE {condition} "  # noqa: S608 - names of the schema
            f"AND time_ms BETWEEN ? AND ? AND {spec.identity} BETWEEN ? AND ?"
        ),
        row=_row_maker(spec.row),
    )


def _column(field: str, hint: Any) -> str:
    optional = NoneType in get_args(hint)
    kind = get_args(hint)[0] if optional else hint
    return f"{field} {'TEXT' if kind is str else 'INTEGER'}{'' if optional else ' NOT NULL'}"


def _row_maker(row: type[MarketRow]) -> Callable[[tuple[Any, ...]], MarketRow]:
    """Return what gives the values of a row the types that SQLite does not know."""
    types = {position: hint for position, hint in enumerate(row.__annotations__.values()) if _is_special(hint)}
    if not types:
        return row._make

    def make(values: tuple[Any, ...]) -> MarketRow:
        typed = list(values)
        for position, kind in types.items():
            typed[position] = kind(typed[position])
        return row._make(typed)

    return make


def _is_special(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, int) and hint is not int


TABLES: Final[dict[Family, Table]] = {family: _table(spec) for family, spec in FAMILIES.items()}


def missing(connection: sqlite3.Connection) -> list[Table]:
    """Return the tables that a file does not have yet."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [table for table in TABLES.values() if table.name not in there]
