"""Facts: of each key the first stays, whatever else is offered under it, at whatever time.

Their tables are ordered by time, and an index by id would cost a quarter of what writing them costs. So of every
series it is kept in which stretches of time which ids lie (``spans``). A batch whose keys lie above all that were ever
stored, as on a living stream, needs no look at stored rows. Otherwise the rows of its own times are looked at, and for
ids that are not there the stretches whose ids they could be among.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from common.models.changes import fact_text
from common.models.families import dataset_id
from common.models.rows import MarketRow
from common.storage.sqlite import changes
from common.storage.sqlite.tables import Table

Row = tuple[Any, ...]

# Rows of a stretch: as many as are quickly read to find one.
_SPAN_ROWS: Final = 2000
_EXTEND: Final = (
    "UPDATE spans SET last_id = ?, first_ms = min(first_ms, ?), last_ms = max(last_ms, ?), row_count = row_count + ? "
    "WHERE dataset_id = ? AND last_id = ? AND row_count < ?"
)
ADD_SPAN: Final = (
    "INSERT INTO spans (dataset_id, last_id, first_id, first_ms, last_ms, row_count) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET first_id = min(first_id, excluded.first_id), "
    "first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)"
)
_OVERLAPPING: Final = "SELECT first_ms, last_ms FROM spans WHERE dataset_id = ? AND last_id >= ? AND first_id <= ?"


def write_facts(connection: sqlite3.Connection, table: Table, rows: Sequence[MarketRow]) -> tuple[int, int]:
    """Store the facts of a batch; returns how many are new, and how many contradict what is stored."""
    inserted = contradicted = 0
    for scope, part in _by_series(table, rows).items():
        added, refused = _write_series(connection, table, scope, part)
        inserted += added
        contradicted += refused
    return inserted, contradicted


def _by_series(table: Table, rows: Sequence[Row]) -> Mapping[Row, list[Row]]:
    """Return the rows of each series; neighbours in the table come one after the other."""
    width = len(table.spec.scope)
    parts: defaultdict[Any, list[Row]] = defaultdict(list)
    if width > 1:
        for row in rows:
            parts[row[:width]].append(row)
        return parts
    for row in rows:
        parts[row[0]].append(row)
    return {(symbol,): part for symbol, part in parts.items()}


def _write_series(connection: sqlite3.Connection, table: Table, scope: Row, rows: Sequence[Row]) -> tuple[int, int]:
    name = dataset_id(table.spec.family, *scope)
    last_key = changes.last_key(connection, name)
    columns = tuple(zip(*rows, strict=True))
    keys = columns[table.key_position]
    if min(keys) > last_key and _agree(keys, rows):
        return _insert(connection, table, name, columns, last_key), 0
    stays: dict[int, Row] = {}
    for key, row in zip(keys, rows, strict=True):
        stays.setdefault(key, row)
    known = _known(connection, table, scope, {key: row for key, row in stays.items() if key <= last_key})
    fresh = [row for key, row in stays.items() if key not in known]
    inserted = _insert(connection, table, name, tuple(zip(*fresh, strict=True)), last_key) if fresh else 0
    stays.update(known)
    refused = [(key, stays[key], row) for key, row in zip(keys, rows, strict=True) if stays[key] != row]
    if refused:
        make = table.spec.row._make
        facts = [(key, fact_text(make(stored)), fact_text(make(row))) for key, stored, row in refused]
        changes.contradict(connection, name, facts)
    return inserted, len(refused)


def _agree(keys: Sequence[int], rows: Sequence[Row]) -> bool:
    """Tell whether rows of one key have one content."""
    last = dict(zip(keys, rows, strict=True))
    if len(last) == len(rows):
        return True
    repeated = [(last[key], row) for key, row in zip(keys, rows, strict=True) if last[key] is not row]
    return all(one == other for one, other in repeated)


def _insert(connection: sqlite3.Connection, table: Table, name: str, columns: Sequence[Row], last_key: int) -> int:
    """Store rows, given by their columns, none of which is there; one that comes twice is stored once."""
    keys, times = columns[table.key_position], columns[len(table.spec.scope)]
    low, high, first_ms, last_ms = min(keys), max(keys), min(times), max(times)
    before = connection.total_changes
    connection.executemany(table.insert, zip(*columns, strict=True))  # sqlite3 binds plain tuples fastest
    inserted = connection.total_changes - before
    if table.is_ordered_by_id:
        extended = (high, first_ms, last_ms, inserted, name, last_key, _SPAN_ROWS)
        if low <= last_key or not connection.execute(_EXTEND, extended).rowcount:
            connection.execute(ADD_SPAN, (name, high, low, first_ms, last_ms, inserted))
    changes.record_rows(connection, name, (first_ms, last_ms), inserted=inserted, last_key=high)
    return inserted


def _known(connection: sqlite3.Connection, table: Table, scope: Row, asked: Mapping[int, Row]) -> dict[int, Row]:
    """Return the stored rows that have one of the keys."""
    if not asked:
        return {}
    times = [row[len(scope)] for row in asked.values()]
    known = dict(_among(connection, table, (*scope, min(times), max(times), min(asked), max(asked)), asked))
    missing = asked.keys() - known.keys()
    if missing and table.is_ordered_by_id:
        name, ends = dataset_id(table.spec.family, *scope), (min(missing), max(missing))
        for span in connection.execute(_OVERLAPPING, (name, *ends)).fetchall():
            known.update(_among(connection, table, (*scope, *span, *ends), missing))
    return known


def _among(connection: sqlite3.Connection, table: Table, bounds: Row, keys: Iterable[int]) -> Iterator[tuple[int, Row]]:
    """Yield those of the rows within some bounds of time and key that have one of the keys."""
    position, wanted = table.key_position, frozenset(keys)
    for row in connection.execute(table.between, bounds):
        if row[position] in wanted:
            yield row[position], row
