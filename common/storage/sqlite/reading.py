"""Ranges of a series, its extent, and the dead letters. Limits are pushed into SQL; rows come back as they went in."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from common.models.dead_letters import DeadLetter, Reason
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    Family,
    FundingRow,
    MarkPriceRow,
    Origin,
    TickerRow,
    TradeRow,
)
from common.storage.ports import SeriesExtent, Window
from common.storage.sqlite.schema import DEAD_LETTERS, SERIES, Series, series_name

# An open side of a range is the end of SQLite's integers, so that one statement serves every window.
EARLIEST: Final = -(2**63)
LATEST: Final = 2**63 - 1

Scope = tuple[str, ...]


def _select(series: Series, direction: str) -> str:
    scope = " AND ".join(f"{column} = ?" for column in series.scope)
    order = ", ".join(f"{column} {direction}" for column in series.order)
    return (
        f"SELECT * FROM {series.table} WHERE {scope} AND time_ms >= ? AND time_ms < ? "  # noqa: S608 - names of the schema
        f"ORDER BY {order} LIMIT ? OFFSET ?"
    )


_ASCENDING: Final = {family: _select(series, "ASC") for family, series in SERIES.items()}
_DESCENDING: Final = {family: _select(series, "DESC") for family, series in SERIES.items()}


def _select_window(connection: sqlite3.Connection, family: Family, scope: Scope, window: Window) -> list[Any]:
    statement = (_DESCENDING if window.from_newest else _ASCENDING)[family]
    start = EARLIEST if window.start_ms is None else window.start_ms
    end = LATEST if window.end_ms is None else window.end_ms
    rows = connection.execute(statement, (*scope, start, end, window.limit, window.offset)).fetchall()
    if window.from_newest != (window.order == "desc"):
        rows.reverse()
    return rows


def trades(connection: sqlite3.Connection, symbol: str, window: Window) -> list[TradeRow]:
    """Read trades."""
    rows = _select_window(connection, Family.TRADES, (symbol,), window)
    return [TradeRow._make((*row[:5], bool(row[5]))) for row in rows]


def agg_trades(connection: sqlite3.Connection, symbol: str, window: Window) -> list[AggTradeRow]:
    """Read aggregated trades."""
    rows = _select_window(connection, Family.AGG_TRADES, (symbol,), window)
    return [AggTradeRow._make((*row[:7], bool(row[7]))) for row in rows]


def tickers(connection: sqlite3.Connection, symbol: str, window: Window) -> list[TickerRow]:
    """Read 24-hour tickers."""
    return [TickerRow(*row) for row in _select_window(connection, Family.TICKERS, (symbol,), window)]


def depth(connection: sqlite3.Connection, symbol: str, window: Window) -> list[DepthRow]:
    """Read order books."""
    return [DepthRow(*row) for row in _select_window(connection, Family.DEPTH, (symbol,), window)]


def mark_prices(connection: sqlite3.Connection, symbol: str, window: Window) -> list[MarkPriceRow]:
    """Read mark prices."""
    return [MarkPriceRow(*row) for row in _select_window(connection, Family.MARK_PRICES, (symbol,), window)]


def funding_rates(connection: sqlite3.Connection, symbol: str, window: Window) -> list[FundingRow]:
    """Read funding rates."""
    rows = _select_window(connection, Family.FUNDING_RATES, (symbol,), window)
    return [FundingRow._make((*row[:6], Origin(row[6]))) for row in rows]


def candles(connection: sqlite3.Connection, symbol: str, timeframe: str, window: Window) -> list[CandleRow]:
    """Read candles."""
    rows = _select_window(connection, Family.CANDLES, (symbol, timeframe), window)
    return [CandleRow._make((*row[:12], bool(row[12]), row[13], Origin(row[14]), row[15])) for row in rows]


def extent(connection: sqlite3.Connection, family: Family, scope: Sequence[str], end_ms: int | None) -> SeriesExtent:
    """Count the rows of a series, or of all series whose scope begins so, and find the first and last time."""
    series = SERIES[family]
    if len(scope) == len(series.scope):
        return _extent_of_series(connection, family, scope, LATEST if end_ms is None else end_ms)
    condition = " AND ".join(f"{column} = ?" for column in series.scope[: len(scope)])
    statement = (
        f"SELECT count(*), min(time_ms), max(time_ms) FROM {series.table} "  # noqa: S608 - names of the schema
        f"WHERE {condition} AND time_ms < ?"
    )
    end = LATEST if end_ms is None else end_ms
    return SeriesExtent(*connection.execute(statement, (*scope, end)).fetchone())


def _extent_of_series(
    connection: sqlite3.Connection, family: Family, scope: Sequence[str], end_ms: int
) -> SeriesExtent:
    """Take the kept count, less what lies behind the end; counted is only the shorter side."""
    series = SERIES[family]
    condition = " AND ".join(f"{column} = ?" for column in series.scope)
    source = f"FROM {series.table} WHERE {condition}"
    first = connection.execute(f"SELECT min(time_ms) {source}", scope).fetchone()[0]
    last = connection.execute(f"SELECT max(time_ms) {source}", scope).fetchone()[0]
    if first is None or end_ms <= first:
        return SeriesExtent(0, None, None)
    kept = connection.execute("SELECT row_count FROM series WHERE name = ?", (series_name(family, *scope),))
    rows: int = kept.fetchone()[0]
    if end_ms > last:
        return SeriesExtent(rows, first, last)
    if end_ms - first > last - end_ms:
        behind = connection.execute(f"SELECT count(*) {source} AND time_ms >= ?", (*scope, end_ms)).fetchone()[0]
        rows -= behind
    else:
        rows = connection.execute(f"SELECT count(*) {source} AND time_ms < ?", (*scope, end_ms)).fetchone()[0]
    last = connection.execute(f"SELECT max(time_ms) {source} AND time_ms < ?", (*scope, end_ms)).fetchone()[0]
    return SeriesExtent(rows, first, last)


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
        f"SELECT * FROM dead_letters {condition} ORDER BY time_ms DESC, dead_letter_id DESC LIMIT ? OFFSET ?",  # noqa: S608 - names of the schema
        (*given.values(), limit, offset),
    )
    letters = [DeadLetter._make((*row[:3], Reason(row[3]), *row[4:])) for row in page]
    return letters, _count_dead_letters(connection, condition, tuple(given.values()))


def _count_dead_letters(connection: sqlite3.Connection, condition: str, values: tuple[str, ...]) -> int:
    statement = f"SELECT count(*) FROM dead_letters {condition}"  # noqa: S608 - names of the schema
    if not condition:
        statement, values = "SELECT value FROM counters WHERE name = ?", (DEAD_LETTERS,)
    total: int = connection.execute(statement, values).fetchone()[0]
    return total


def ask(connection: sqlite3.Connection) -> None:
    """Read something small from the file itself."""
    connection.execute("SELECT count(*) FROM counters").fetchone()


def scopes(connection: sqlite3.Connection, series: Series) -> Iterator[tuple[str, ...]]:
    """Yield the series of a family in the order of the key; one seek each, however many rows it has."""
    columns = ", ".join(series.scope)
    marks = ", ".join("?" * len(series.scope))
    statement = (
        f"SELECT {columns} FROM {series.table} WHERE ({columns}) > ({marks}) "  # noqa: S608 - names of the schema
        f"ORDER BY {columns} LIMIT 1"
    )
    scope = connection.execute(statement, ("",) * len(series.scope)).fetchone()
    while scope is not None:
        yield scope
        scope = connection.execute(statement, scope).fetchone()


def newest_ms(connection: sqlite3.Connection, family: Family) -> int | None:
    """Return the time of the newest row of a family; one seek for each series."""
    series = SERIES[family]
    condition = " AND ".join(f"{column} = ?" for column in series.scope)
    statement = f"SELECT max(time_ms) FROM {series.table} WHERE {condition}"  # noqa: S608 - names of the schema
    times = (connection.execute(statement, scope).fetchone()[0] for scope in scopes(connection, series))
    return max((time_ms for time_ms in times if time_ms is not None), default=None)
