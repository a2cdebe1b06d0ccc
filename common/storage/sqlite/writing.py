"""What a batch does to the tables; every function runs inside the batch's transaction.

Facts (trades, books, tickers, mark prices) go straight to ``executemany`` and repeated keys are skipped. Candles and
funding rates are compared with what is stored by ``common.models.precedence``, which is exact under the write lock.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from common.models.dead_letters import DEAD_LETTERS, DeadLetter
from common.models.families import dataset_id
from common.models.precedence import Precedence, Replacement
from common.models.rows import MarketRow
from common.storage.ports import Part, WriteCounts
from common.storage.sqlite.tables import TABLES, Table

_MARK_CHANGED: Final = (
    "INSERT INTO series VALUES (?, 1, ?) "
    "ON CONFLICT (name) DO UPDATE SET changes = changes + 1, row_count = row_count + excluded.row_count"
)
_INSERT_DEAD_LETTER: Final = (
    f"INSERT INTO dead_letters VALUES ({', '.join('?' * len(DeadLetter._fields))}) ON CONFLICT DO NOTHING"  # noqa: S608 - numbers only
)


def write_batch(
    connection: sqlite3.Connection, parts: Sequence[Part], dead_letters: Sequence[DeadLetter]
) -> WriteCounts:
    """Store the rows of a batch, family by family, and its dead letters."""
    offered = inserted = updated = 0
    for family, rows in parts:
        part_inserted, part_updated = _write_part(connection, TABLES[family], rows)
        offered += len(rows)
        inserted += part_inserted
        updated += part_updated
        count(connection, family, part_inserted)
    set_aside = _insert(connection, _INSERT_DEAD_LETTER, dead_letters)
    count(connection, DEAD_LETTERS, set_aside)
    return WriteCounts(inserted, updated, offered - inserted - updated, set_aside)


def _write_part(connection: sqlite3.Connection, table: Table, rows: Sequence[MarketRow]) -> tuple[int, int]:
    if table.spec.precedence is not None:
        return _write_competing(connection, table, table.spec.precedence, rows)
    inserted = 0
    for symbol, part in _by_symbol(rows).items():
        added = _insert(connection, table.insert, part)
        if added:
            mark_changed(connection, dataset_id(table.spec.family, symbol), added)
        inserted += added
    return inserted, 0


def _by_symbol(rows: Sequence[MarketRow]) -> dict[str, list[MarketRow]]:
    """Return the rows of each series; neighbours in the table come one after the other."""
    parts: defaultdict[str, list[MarketRow]] = defaultdict(list)
    for row in rows:
        parts[row.symbol].append(row)
    return parts


def _write_competing(
    connection: sqlite3.Connection, table: Table, precedence: Precedence[Any], rows: Sequence[MarketRow]
) -> tuple[int, int]:
    replacements = _replace(connection, table, precedence, rows)
    width = len(table.spec.scope)
    added = Counter(replacement.row[:width] for replacement in replacements if replacement.is_new)
    for scope in {replacement.row[:width] for replacement in replacements}:
        mark_changed(connection, dataset_id(table.spec.family, *scope), added[scope])
    inserted = added.total()
    return inserted, sum(replacement.is_change for replacement in replacements) - inserted


def _replace(
    connection: sqlite3.Connection, table: Table, precedence: Precedence[Any], rows: Iterable[Any]
) -> list[Replacement[Any]]:
    """Store the winners and return what was replaced by them."""
    select = f"SELECT * FROM {table.name} WHERE {table.condition} AND time_ms = ?"  # noqa: S608 - names of the schema
    replacements = []
    for key, row in precedence.winners(rows).items():
        found = connection.execute(select, key).fetchone()
        replacement = precedence.replacement(None if found is None else table.row(found), row)
        if replacement is not None:
            replacements.append(replacement)
    connection.executemany(table.replace, [replacement.row for replacement in replacements])
    return replacements


def _insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
    before = connection.total_changes
    connection.executemany(statement, map(tuple, rows))  # sqlite3 binds plain tuples faster than named ones
    return connection.total_changes - before


def mark_changed(connection: sqlite3.Connection, dataset: str, added: int) -> None:
    """Count a change of a series, so that answers read off it before are known to be old, and its rows."""
    connection.execute(_MARK_CHANGED, (dataset, added))


def count(connection: sqlite3.Connection, counter: str, change: int) -> None:
    """Move a counter; totals are read from it without counting millions of rows."""
    if change:
        connection.execute("UPDATE counters SET value = value + ? WHERE name = ?", (change, counter))
