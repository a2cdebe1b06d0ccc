"""What a batch does to the tables; every function runs inside the batch's transaction.

Candles and funding rates are compared with what is stored by ``common.models.precedence``, which is exact under the
write lock.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from common.models.dead_letters import DEAD_LETTERS, DeadLetter
from common.models.families import dataset_id
from common.models.precedence import Precedence, Replacement
from common.models.rows import MarketRow
from common.storage.ports import Part, WriteCounts
from common.storage.sqlite.changes import record_rows
from common.storage.sqlite.facts import write_facts
from common.storage.sqlite.tables import TABLES, Table

_INSERT_DEAD_LETTER: Final = (
    f"INSERT INTO dead_letters VALUES ({', '.join('?' * len(DeadLetter._fields))}) ON CONFLICT DO NOTHING"  # noqa: S608 - numbers only
)


def write_batch(
    connection: sqlite3.Connection, parts: Sequence[Part], dead_letters: Sequence[DeadLetter]
) -> WriteCounts:
    """Store the rows of a batch, family by family, and its dead letters."""
    offered = inserted = updated = contradicted = 0
    for family, rows in parts:
        table, offered = TABLES[family], offered + len(rows)
        if table.spec.precedence is None:
            added, refused = write_facts(connection, table, rows)
            contradicted += refused
        else:
            added, changed = _write_competing(connection, table, table.spec.precedence, rows)
            updated += changed
        inserted += added
        count(connection, family, added)
    set_aside = _insert_dead_letters(connection, dead_letters)
    unchanged = offered - inserted - updated - contradicted
    return WriteCounts(inserted, updated, unchanged, contradicted, set_aside)


def _insert_dead_letters(connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> int:
    before = connection.total_changes
    connection.executemany(_INSERT_DEAD_LETTER, letters)
    inserted = connection.total_changes - before
    count(connection, DEAD_LETTERS, inserted)
    return inserted


def _write_competing(
    connection: sqlite3.Connection, table: Table, precedence: Precedence[Any], rows: Sequence[MarketRow]
) -> tuple[int, int]:
    """Store what wins; returns how many rows are new, and how many changed. Later evidence alone is no change."""
    width = len(table.spec.scope)
    changed: defaultdict[tuple[str, ...], list[Replacement[Any]]] = defaultdict(list)
    for replacement in _replace(connection, table, precedence, rows):
        if replacement.is_change:
            changed[replacement.row[:width]].append(replacement)
    inserted = updated = 0
    for scope, replacements in changed.items():
        times = [replacement.row.time_ms for replacement in replacements]
        new = sum(replacement.is_new for replacement in replacements)
        other = len(replacements) - new
        span = (min(times), max(times))
        record_rows(connection, dataset_id(table.spec.family, *scope), span, inserted=new, updated=other)
        inserted, updated = inserted + new, updated + other
    return inserted, updated


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


def count(connection: sqlite3.Connection, counter: str, change: int) -> None:
    """Move a counter; totals are read from it without counting millions of rows."""
    if change:
        connection.execute("UPDATE counters SET value = value + ? WHERE name = ?", (change, counter))
