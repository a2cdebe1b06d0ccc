"""What a batch does to the tables; every function runs inside the batch's transaction.

Facts (trades, books, tickers, mark prices) go straight to ``executemany`` and repeated keys are skipped. Candles and
funding rates are compared with what is stored by ``common.storage.precedence``, which is exact under the write lock.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic

from common.models.dead_letters import DeadLetter
from common.models.rows import CandleRow, Family, FundingRow, MarketRow
from common.storage.ports import WriteCounts
from common.storage.precedence import CANDLES, FUNDING, Precedence, Row
from common.storage.sqlite.schema import DEAD_LETTERS, SERIES, Series, series_name

Part = tuple[Family, Sequence[MarketRow]]


def _placeholders(width: int) -> str:
    return ", ".join("?" * width)


# Only a repeated key is skipped; OR IGNORE would also swallow a missing value.
_INSERT_FACT: Final = {
    family: f"INSERT INTO {series.table} VALUES ({_placeholders(series.width)}) ON CONFLICT DO NOTHING"  # noqa: S608 - names of the schema
    for family, series in SERIES.items()
}
_MARK_CHANGED: Final = "INSERT INTO series_changes VALUES (?, 1) ON CONFLICT (series) DO UPDATE SET value = value + 1"
_INSERT_DEAD_LETTER: Final = (
    f"INSERT INTO dead_letters VALUES ({_placeholders(len(DeadLetter._fields))}) ON CONFLICT DO NOTHING"  # noqa: S608 - numbers only
)


@dataclass(frozen=True, slots=True)
class _Contest(Generic[Row]):
    """A family whose rows compete: its precedence, and the statements that read and replace a row."""

    row_type: type[Row]
    precedence: Precedence[Row]
    select: str
    replace: str

    def store(self, connection: sqlite3.Connection, rows: Iterable[Any]) -> tuple[int, int]:
        """Store the winners and return how many were inserted and how many changed."""
        replacements = []
        for key, row in self.precedence.winners(rows).items():
            found = connection.execute(self.select, key).fetchone()
            stored = None if found is None else self.row_type(*found)
            replacement = self.precedence.replacement(stored, row)
            if replacement is not None:
                replacements.append(replacement)
        connection.executemany(self.replace, [replacement.row for replacement in replacements])
        inserted = sum(replacement.is_new for replacement in replacements)
        return inserted, sum(replacement.is_change for replacement in replacements) - inserted


def _contest(series: Series, row_type: type[Row], precedence: Precedence[Row]) -> _Contest[Row]:
    condition = " AND ".join(f"{column} = ?" for column in (*series.scope, *series.order))
    return _Contest(
        row_type,
        precedence,
        select=f"SELECT * FROM {series.table} WHERE {condition}",  # noqa: S608 - names of the schema
        replace=f"REPLACE INTO {series.table} VALUES ({_placeholders(series.width)})",  # noqa: S608 - names of the schema
    )


_CONTESTS: Final[dict[Family, _Contest[Any]]] = {
    Family.CANDLES: _contest(SERIES[Family.CANDLES], CandleRow, CANDLES),
    Family.FUNDING_RATES: _contest(SERIES[Family.FUNDING_RATES], FundingRow, FUNDING),
}


def write_batch(
    connection: sqlite3.Connection, parts: Sequence[Part], dead_letters: Sequence[DeadLetter]
) -> WriteCounts:
    """Store the rows of a batch, family by family, and its dead letters."""
    offered = inserted = updated = 0
    for family, rows in parts:
        part_inserted, part_updated = _write_part(connection, family, rows)
        offered += len(rows)
        inserted += part_inserted
        updated += part_updated
        count(connection, family, part_inserted)
        if part_inserted or part_updated:
            width = len(SERIES[family].scope)
            mark_changed(connection, family, {row[:width] for row in rows})
    set_aside = _insert(connection, _INSERT_DEAD_LETTER, dead_letters)
    count(connection, DEAD_LETTERS, set_aside)
    return WriteCounts(inserted, updated, offered - inserted - updated, set_aside)


def _write_part(connection: sqlite3.Connection, family: Family, rows: Sequence[MarketRow]) -> tuple[int, int]:
    contest = _CONTESTS.get(family)
    if contest is not None:
        return contest.store(connection, rows)
    return _insert(connection, _INSERT_FACT[family], rows), 0


def _insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
    before = connection.total_changes
    connection.executemany(statement, map(tuple, rows))  # sqlite3 binds plain tuples faster than named ones
    return connection.total_changes - before


def mark_changed(connection: sqlite3.Connection, family: Family, scopes: Iterable[tuple[object, ...]]) -> None:
    """Count a change of each series, so that answers read off them before are known to be old."""
    connection.executemany(_MARK_CHANGED, [(series_name(family, *scope),) for scope in scopes])


def count(connection: sqlite3.Connection, counter: str, change: int) -> None:
    """Move a counter; totals are read from it without counting millions of rows."""
    if change:
        connection.execute("UPDATE counters SET value = value + ? WHERE name = ?", (change, counter))
