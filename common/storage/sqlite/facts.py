"""Facts: of each key the first stays, whatever else is offered under it, at whatever time.

Their tables are ordered by time, and an index by id would cost a quarter of what writing them costs. So of every
series it is kept in which stretches of time which ids lie (``spans``). A batch whose keys lie above all that were ever
stored, as on a living stream, needs no look at stored rows. Otherwise the rows of its own times are looked at, and for
ids that are not there the stretches whose ids they could be among. Rows that are far apart are looked for apart, so
that what was stored between them costs nothing.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from common.models.changes import fact_text
from common.models.families import dataset_id
from common.models.rows import MarketRow
from common.storage.sqlite import changes
from common.storage.sqlite.tables import Table
from common.times import MINUTE_MS

Row = tuple[Any, ...]

# Rows of a stretch: as many as are quickly read to find one.
_SPAN_ROWS: Final = 2000
# Rows further apart in time lie in two stretches: what lies between may be filled with millions of rows later.
_NEAR_MS: Final = 10 * MINUTE_MS
_EXTEND: Final = (
    "UPDATE spans SET last_id = ?, first_ms = min(first_ms, ?), last_ms = max(last_ms, ?), row_count = row_count + ? "
    "WHERE dataset_id = ? AND last_id = ? AND row_count < ? AND last_ms >= ? AND first_ms <= ?"
)
ADD_SPAN: Final = (
    "INSERT INTO spans (dataset_id, last_id, first_id, first_ms, last_ms, row_count) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET first_id = min(first_id, excluded.first_id), "
    "first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)"
)
_OVERLAPPING: Final = "SELECT first_ms, last_ms FROM spans WHERE dataset_id = ? AND last_id >= ? AND first_id <= ?"


class Stretch(NamedTuple):
    """Rows of a series that lie near each other in time, both ends included."""

    last_id: int
    first_id: int
    first_ms: int
    last_ms: int
    rows: int


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
        facts = [(key, fact_text(table.row(stored)), fact_text(table.row(row))) for key, stored, row in refused]
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
    before = connection.total_changes
    connection.executemany(table.insert, zip(*columns, strict=True))  # sqlite3 binds plain tuples fastest
    inserted = connection.total_changes - before
    if table.is_ordered_by_id:
        _note_spans(connection, name, _stretches(keys, times), last_key)
    changes.record_rows(connection, name, (min(times), max(times)), inserted=inserted, last_key=max(keys))
    return inserted


def _note_spans(connection: sqlite3.Connection, name: str, stretches: Sequence[Stretch], last_key: int) -> None:
    """Note where rows lie: behind the last ones in the same stretch, if they are its continuation."""
    last_id, first_id, first_ms, last_ms, rows = stretches[0]
    near = (first_ms - _NEAR_MS, last_ms + _NEAR_MS)
    extended = (last_id, first_ms, last_ms, rows, name, last_key, _SPAN_ROWS, *near)
    if len(stretches) > 1 or first_id <= last_key or not connection.execute(_EXTEND, extended).rowcount:
        connection.executemany(ADD_SPAN, [(name, *stretch) for stretch in stretches])


def _stretches(keys: Sequence[int], times: Sequence[int]) -> list[Stretch]:
    first_ms, last_ms = min(times), max(times)
    if last_ms - first_ms <= _NEAR_MS:
        return [Stretch(max(keys), min(keys), first_ms, last_ms, len(keys))]
    parts: list[list[tuple[int, int]]] = []
    for row in sorted(zip(times, keys, strict=True)):
        if not parts or row[0] - parts[-1][-1][0] > _NEAR_MS:
            parts.append([])
        parts[-1].append(row)
    ids = [[key for _, key in part] for part in parts]
    return [
        Stretch(max(each), min(each), part[0][0], part[-1][0], len(part)) for each, part in zip(ids, parts, strict=True)
    ]


def _known(connection: sqlite3.Connection, table: Table, scope: Row, asked: Mapping[int, Row]) -> dict[int, Row]:
    """Return the stored rows that have one of the keys."""
    known: dict[int, Row] = {}
    for part in _stretches_of(scope, asked):
        bounds = (*scope, part.first_ms, part.last_ms, part.first_id, part.last_id)
        known.update(_among(connection, table, bounds, asked))
    if not table.is_ordered_by_id:
        return known
    missing = {key: row for key, row in asked.items() if key not in known}
    for part in _stretches_of(scope, missing):
        ids = (part.first_id, part.last_id)
        for span in connection.execute(_OVERLAPPING, (dataset_id(table.spec.family, *scope), *ids)).fetchall():
            known.update(_among(connection, table, (*scope, *span, *ids), missing))
    return known


def _stretches_of(scope: Row, rows: Mapping[int, Row]) -> list[Stretch]:
    return _stretches(list(rows), [row[len(scope)] for row in rows.values()]) if rows else []


def _among(
    connection: sqlite3.Connection, table: Table, bounds: Row, keys: Container[int]
) -> Iterator[tuple[int, Row]]:
    """Yield those of the rows within some bounds of time and key that have one of the keys."""
    position = table.key_position
    for row in connection.execute(table.between, bounds):
        if row[position] in keys:
            yield row[position], row
