"""What a batch does to the tables; every function runs inside the batch's transaction.

Facts (trades, books, tickers, mark prices) go straight to ``executemany`` and repeated keys are skipped. Candles and
funding rates are compared with what is stored by ``common.storage.precedence``, which is exact under the write lock.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic

from common.models.dead_letters import DeadLetter
from common.models.rows import CandleRow, Family, FundingRow, MarketRow
from common.storage.ports import WriteCounts
from common.storage.precedence import CANDLES, FUNDING, Precedence, Replacement, Row
from common.storage.sqlite.schema import DEAD_LETTERS, SERIES, Series, series_name

Part = tuple[Family, Sequence[MarketRow]]


def _placeholders(width: int) -> str:
    return ", ".join("?" * width)


# Only a repeated key is skipped; OR IGNORE would also swallow a missing value.
_INSERT_FACT: Final = {
    family: f"INSERT INTO {series.table} VALUES ({_placeholders(series.width)}) ON CONFLICT DO NOTHING"  # noqa: S608 - names of the schema
    for family, series in SERIES.items()
}
_MARK_CHANGED: Final = (
    "INSERT INTO series VALUES (?, 1, ?) "
    "ON CONFLICT (name) DO UPDATE SET changes = changes + 1, row_count = row_count + excluded.row_count"
)
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

    def store(self, connection: sqlite3.Connection, rows: Iterable[Any]) -> list[Replacement[Row]]:
        """Store the winners and return what was replaced by them."""
        replacements = []
        for key, row in self.precedence.winners(rows).items():
            found = connection.execute(self.select, key).fetchone()
            stored = None if found is None else self.row_type(*found)
            replacement = self.precedence.replacement(stored, row)
            if replacement is not None:
                replacements.append(replacement)
        connection.executemany(self.replace, [replacement.row for replacement in replacements])
        return replacements


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
    set_aside = _insert(connection, _INSERT_DEAD_LETTER, dead_letters)
    count(connection, DEAD_LETTERS, set_aside)
    return WriteCounts(inserted, updated, offered - inserted - updated, set_aside)


def _write_part(connection: sqlite3.Connection, family: Family, rows: Sequence[MarketRow]) -> tuple[int, int]:
    contest = _CONTESTS.get(family)
    if contest is not None:
        return _write_contest(connection, family, contest, rows)
    inserted = 0
    for symbol, part in _by_symbol(rows).items():
        added = _insert(connection, _INSERT_FACT[family], part)
        if added:
            mark_changed(connection, family, (symbol,), added)
        inserted += added
    return inserted, 0


def _by_symbol(rows: Sequence[MarketRow]) -> dict[str, list[MarketRow]]:
    """Return the rows of each series; neighbours in the table come one after the other."""
    parts: defaultdict[str, list[MarketRow]] = defaultdict(list)
    for row in rows:
        parts[row.symbol].append(row)
    return parts


def _write_contest(
    connection: sqlite3.Connection, family: Family, contest: "_Contest[Any]", rows: Sequence[MarketRow]
) -> tuple[int, int]:
    replacements = contest.store(connection, rows)
    width = len(SERIES[family].scope)
    added = Counter(replacement.row[:width] for replacement in replacements if replacement.is_new)
    for scope in {replacement.row[:width] for replacement in replacements}:
        mark_changed(connection, family, scope, added[scope])
    inserted = added.total()
    return inserted, sum(replacement.is_change for replacement in replacements) - inserted


def _insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
    before = connection.total_changes
    connection.executemany(statement, map(tuple, rows))  # sqlite3 binds plain tuples faster than named ones
    return connection.total_changes - before


def mark_changed(connection: sqlite3.Connection, family: Family, scope: tuple[object, ...], added: int) -> None:
    """Count a change of a series, so that answers read off it before are known to be old, and its rows."""
    connection.execute(_MARK_CHANGED, (series_name(family, *scope), added))


def count(connection: sqlite3.Connection, counter: str, change: int) -> None:
    """Move a counter; totals are read from it without counting millions of rows."""
    if change:
        connection.execute("UPDATE counters SET value = value + ? WHERE name = ?", (change, counter))
