"""Pages of a series, its extent, and the dead letters. Limits are pushed into SQL; rows come back as they went in."""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from common.models.dead_letters import DEAD_LETTERS, DeadLetter, Reason
from common.models.families import Family, Series
from common.storage.ports import Page, SeriesExtent, Window
from common.storage.sqlite.tables import TABLES, Table

# An open side of a range is the end of SQLite's integers, so that one statement serves every window.
EARLIEST: Final = -(2**63)
LATEST: Final = 2**63 - 1

_NOTHING: Final = SeriesExtent(0, None, None)
_LISTED: Final = ", ".join("NULL" if field == "payload" else field for field in DeadLetter._fields)


def _select(table: Table, direction: str) -> str:
    order = ", ".join(f"{column} {direction}" for column in table.spec.order)
    return (
        f"SELECT * FROM {table.name} WHERE {table.condition} AND time_ms >= ? AND time_ms < ? "  # noqa: S608 - names of the schema
        f"ORDER BY {order} LIMIT ? OFFSET ?"
    )


def _ends(table: Table) -> str:
    end = f"(SELECT {{}}(time_ms) FROM {table.name} WHERE {table.condition})"  # noqa: S608 - names of the schema
    return f"SELECT {end.format('min')}, {end.format('max')}, (SELECT row_count FROM series WHERE name = ?)"  # noqa: S608 - names of the schema


_ASCENDING: Final = {family: _select(table, "ASC") for family, table in TABLES.items()}
_DESCENDING: Final = {family: _select(table, "DESC") for family, table in TABLES.items()}
_ENDS: Final = {family: _ends(table) for family, table in TABLES.items()}


def page(connection: sqlite3.Connection, series: Series, window: Window, *, counted: bool) -> Page[Any]:
    """Read rows of a series and, if wanted, its place in the series, all of the same moment."""
    found = Page(_rows(connection, series, window))
    if not counted:
        return found
    whole = extent(connection, series, None)
    if whole.first_ms is None or whole.last_ms is None:
        return found
    start, end = bounds(window)
    first, behind = max(start, whole.first_ms), min(end, whole.last_ms + 1)
    total = _count(connection, series, whole, first, behind) if first < behind else 0
    if end > whole.last_ms:
        return Page(found.rows, total, whole.last_ms, whole.last_ms, None)
    nearest = f"SELECT {{}}(time_ms) {_source(series)} AND time_ms {{}} ?"
    before = connection.execute(nearest.format("max", "<"), (*series.scope, end)).fetchone()[0]
    after = connection.execute(nearest.format("min", ">="), (*series.scope, end)).fetchone()[0]
    return Page(found.rows, total, whole.last_ms, before, after)


def bounds(window: Window) -> tuple[int, int]:
    """Return the half-open range of a window."""
    start = EARLIEST if window.start_ms is None else window.start_ms
    return start, LATEST if window.end_ms is None else window.end_ms


def _rows(connection: sqlite3.Connection, series: Series, window: Window) -> list[Any]:
    statement = (_DESCENDING if window.from_newest else _ASCENDING)[series.family]
    values = (*series.scope, *bounds(window), window.limit, window.offset)
    make = TABLES[series.family].row
    return window.arranged([make(row) for row in connection.execute(statement, values)])


def _source(series: Series) -> str:
    table = TABLES[series.family]
    return f"FROM {table.name} WHERE {table.condition}"


def _count(connection: sqlite3.Connection, series: Series, whole: SeriesExtent, start: int, end: int) -> int:
    """Count the rows of ``start <= time < end``: these themselves or those beside them, what is the shorter way."""
    first, last = whole.first_ms or 0, whole.last_ms or 0
    inside, beside = end - start, start - first + last + 1 - end
    if inside <= beside:
        return _between(connection, series, start, end)
    return whole.rows - _between(connection, series, first, start) - _between(connection, series, end, last + 1)


def _between(connection: sqlite3.Connection, series: Series, start: int, end: int) -> int:
    if start >= end:
        return 0
    statement = f"SELECT count(*) {_source(series)} AND time_ms >= ? AND time_ms < ?"
    counted: int = connection.execute(statement, (*series.scope, start, end)).fetchone()[0]
    return counted


def extent(connection: sqlite3.Connection, series: Series, end_ms: int | None) -> SeriesExtent:
    """Find the ends of a series; its rows are counted already, and those before ``end_ms`` from the shorter side."""
    ends = (*series.scope, *series.scope, series.dataset_id)
    first, last, rows = connection.execute(_ENDS[series.family], ends).fetchone()
    if first is None or (end_ms is not None and end_ms <= first):
        return _NOTHING
    whole = SeriesExtent(rows, first, last)
    if end_ms is None or end_ms > last:
        return whole
    statement = f"SELECT max(time_ms) {_source(series)} AND time_ms < ?"
    last = connection.execute(statement, (*series.scope, end_ms)).fetchone()[0]
    return SeriesExtent(_count(connection, series, whole, first, end_ms), first, last)


def totals(connection: sqlite3.Connection) -> dict[Family, int]:
    """Read the maintained row counts."""
    counts = dict(connection.execute("SELECT name, value FROM counters"))
    return {family: counts[family.value] for family in Family}


def dead_letters(
    connection: sqlite3.Connection, kind: str | None, reason: Reason | None, limit: int, offset: int
) -> tuple[list[DeadLetter], int]:
    """Read one page of dead letters, newest first, and how many there are."""
    filters = {"kind": kind, "reason": None if reason is None else reason.value}
    given = {column: value for column, value in filters.items() if value is not None}
    condition = f"WHERE {' AND '.join(f'{column} = ?' for column in given)}" if given else ""
    page = connection.execute(
        f"SELECT {_LISTED} FROM dead_letters {condition} ORDER BY time_ms DESC, dead_letter_id DESC LIMIT ? OFFSET ?",  # noqa: S608 - names of the schema
        (*given.values(), limit, offset),
    )
    letters = [_dead_letter(row) for row in page]
    return letters, _count_dead_letters(connection, condition, tuple(given.values()))


def dead_letter(connection: sqlite3.Connection, dead_letter_id: str) -> DeadLetter | None:
    """Read one dead letter, whole."""
    found = connection.execute("SELECT * FROM dead_letters WHERE dead_letter_id = ?", (dead_letter_id,)).fetchone()
    return None if found is None else _dead_letter(found)


def _dead_letter(values: tuple[Any, ...]) -> DeadLetter:
    letter = DeadLetter._make(values)
    return letter._replace(reason=Reason(letter.reason))


def _count_dead_letters(connection: sqlite3.Connection, condition: str, values: tuple[str, ...]) -> int:
    statement = f"SELECT count(*) FROM dead_letters {condition}"  # noqa: S608 - names of the schema
    if not condition:
        statement, values = "SELECT value FROM counters WHERE name = ?", (DEAD_LETTERS,)
    total: int = connection.execute(statement, values).fetchone()[0]
    return total


def ask(connection: sqlite3.Connection) -> None:
    """Read something small from the file itself."""
    connection.execute("SELECT count(*) FROM counters").fetchone()


def scopes(connection: sqlite3.Connection, table: Table) -> Iterator[tuple[str, ...]]:
    """Yield the series of a family in the order of the key; one seek each, however many rows it has."""
    columns = ", ".join(table.spec.scope)
    marks = ", ".join("?" * len(table.spec.scope))
    statement = (
        f"SELECT {columns} FROM {table.name} WHERE ({columns}) > ({marks}) "  # noqa: S608 - names of the schema
        f"ORDER BY {columns} LIMIT 1"
    )
    scope = connection.execute(statement, ("",) * len(table.spec.scope)).fetchone()
    while scope is not None:
        yield scope
        scope = connection.execute(statement, scope).fetchone()


def newest_ms(connection: sqlite3.Connection, family: Family) -> int | None:
    """Return the time of the newest row of a family; one seek for each series."""
    table = TABLES[family]
    statement = f"SELECT max(time_ms) FROM {table.name} WHERE {table.condition}"  # noqa: S608 - names of the schema
    times = (connection.execute(statement, scope).fetchone()[0] for scope in scopes(connection, table))
    return max((time_ms for time_ms in times if time_ms is not None), default=None)
