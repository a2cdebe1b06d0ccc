"""The analytics store of one machine: computed documents as JSON text, in the same file as the market data."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from common.storage.ports import AnalyticsDocument, Window
from common.storage.sqlite import changes, reading, schema
from common.storage.sqlite.base import SqliteStore

_INSERT: Final = (
    "INSERT INTO analytics (computed_at_ms, body, symbol, metric, timeframe, as_of_ms) VALUES (?, ?, ?, ?, ?, ?)"
)
_UPDATE: Final = """
    UPDATE analytics SET computed_at_ms = ?, body = ? WHERE symbol = ? AND metric = ? AND timeframe = ? AND as_of_ms = ?
"""
_SELECT: Final = """
    SELECT as_of_ms, computed_at_ms, body FROM analytics
    WHERE symbol = ? AND metric = ? AND timeframe = ? AND as_of_ms >= ? AND as_of_ms < ?
    ORDER BY as_of_ms {} LIMIT ? OFFSET ?
"""
_ASCENDING: Final = _SELECT.format("ASC")
_DESCENDING: Final = _SELECT.format("DESC")
_COUNT: Final = """
    SELECT count(*) FROM analytics
    WHERE symbol = ? AND metric = ? AND timeframe = ? AND as_of_ms >= ? AND as_of_ms < ?
"""
_DELETE: Final = """
    DELETE FROM analytics
    WHERE rowid IN (SELECT rowid FROM analytics WHERE as_of_ms < ? ORDER BY as_of_ms LIMIT ?)
    RETURNING symbol, metric, timeframe, as_of_ms
"""


class SqliteAnalyticsStore(SqliteStore):
    """``AnalyticsStore`` on an SQLite file."""

    async def save(self, documents: Sequence[AnalyticsDocument]) -> int:
        """Store documents, replacing those of the same key; returns how many were written."""
        if documents:
            await self._database.write(partial(_save, documents=documents))
        return len(documents)

    async def documents(
        self, symbol: str, metric: str, timeframe: str | None, window: Window
    ) -> list[AnalyticsDocument]:
        """Read documents by ``as_of_ms``."""
        return await self._database.read(
            partial(_documents, symbol=symbol, metric=metric, timeframe=timeframe, window=window)
        )

    async def count_documents(
        self,
        symbol: str,
        metric: str,
        timeframe: str | None,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> int:
        """Count the documents of a range of ``as_of_ms``."""
        values = (symbol, metric, timeframe or "", *reading.bounds(Window(start_ms, end_ms)))
        return await self._database.read(partial(_count, values=values))

    async def newest_computed_at(self, metric: str | None = None) -> int | None:
        """Return when the newest document (of a metric) was computed, or None."""
        return await self._database.read(partial(_newest, metric=metric))

    async def revision(self) -> object | None:
        """Return a token that changes with every change to documents, and not with market data."""
        return await self._database.poll(
            f"SELECT value FROM counters WHERE name = '{schema.ANALYTICS_CHANGES}'"  # noqa: S608 - a constant
        )

    async def delete_analytics_before(self, cutoff_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` documents as of a time before ``cutoff_ms``, the oldest first."""
        return await self._database.write(partial(_delete_before, cutoff_ms=cutoff_ms, limit=limit))


def _save(connection: sqlite3.Connection, documents: Sequence[AnalyticsDocument]) -> None:
    for dataset_id, part in _by_series(documents).items():
        updated = 0
        for document in part:
            row = _row(document)
            updated += (replaced := connection.execute(_UPDATE, row).rowcount)
            if not replaced:
                connection.execute(_INSERT, row)
        _record(connection, dataset_id, part, inserted=len(part) - updated, updated=updated)


def _by_series(documents: Iterable[AnalyticsDocument]) -> dict[str, list[AnalyticsDocument]]:
    parts: defaultdict[str, list[AnalyticsDocument]] = defaultdict(list)
    for document in documents:
        parts[document.dataset_id].append(document)
    return parts


def _record(
    connection: sqlite3.Connection, dataset_id: str, documents: Sequence[AnalyticsDocument], **counts: int
) -> None:
    instants = [document.as_of_ms for document in documents]
    number = changes.record(connection, dataset_id, (min(instants), max(instants)), **counts)
    connection.execute("UPDATE counters SET value = ? WHERE name = ?", (number, schema.ANALYTICS_CHANGES))


def _row(document: AnalyticsDocument) -> tuple[object, ...]:
    body = msgspec.json.encode(document.body).decode()
    timeframe = document.timeframe or ""
    return (document.computed_at_ms, body, document.symbol, document.metric, timeframe, document.as_of_ms)


def _documents(
    connection: sqlite3.Connection, symbol: str, metric: str, timeframe: str | None, window: Window
) -> list[AnalyticsDocument]:
    statement = _DESCENDING if window.from_newest else _ASCENDING
    scope = (symbol, metric, timeframe or "")
    rows = connection.execute(statement, (*scope, *reading.bounds(window), window.limit, window.offset)).fetchall()
    return [
        AnalyticsDocument(symbol, metric, timeframe, as_of_ms, computed_at_ms, _body(text))
        for as_of_ms, computed_at_ms, text in window.arranged(rows)
    ]


def _count(connection: sqlite3.Connection, values: tuple[object, ...]) -> int:
    counted: int = connection.execute(_COUNT, values).fetchone()[0]
    return counted


def _body(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])


def _newest(connection: sqlite3.Connection, metric: str | None) -> int | None:
    condition, values = ("WHERE metric = ?", (metric,)) if metric is not None else ("", ())
    statement = f"SELECT max(computed_at_ms) FROM analytics {condition}"  # noqa: S608 - a constant
    found: int | None = connection.execute(statement, values).fetchone()[0]
    return found


def _delete_before(connection: sqlite3.Connection, cutoff_ms: int, limit: int) -> int:
    deleted = connection.execute(_DELETE, (cutoff_ms, limit)).fetchall()
    gone = [
        AnalyticsDocument(symbol, metric, timeframe or None, as_of_ms, 0)
        for symbol, metric, timeframe, as_of_ms in deleted
    ]
    for dataset_id, part in _by_series(gone).items():
        _record(connection, dataset_id, part, deleted=len(part))
    return len(gone)
