"""Entities as rows of their tables and back: the same names but for the times, whose unit stands in the entity only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Select, Table, select
from sqlalchemy.exc import IntegrityError

from common.models.metadata import AuditLog, BackfillJob, Dataset, HealthMetric, LineageRecord
from common.storage.sql_metadata import tables
from common.storage.sql_metadata.dialect import insert_or_skip

_IDS_PER_STATEMENT: Final = 500


class _Entity(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


E = TypeVar("E", bound=_Entity)


@dataclass(frozen=True, slots=True)
class Record(Generic[E]):
    """An entity and its table.

    Attributes:
        entity: the dataclass.
        table: the table.
        renamed: columns that are not called as their field.
    """

    entity: type[E]
    table: Table
    renamed: Mapping[str, str]

    def row(self, entity: E) -> dict[str, Any]:
        """Return the values of a row by column."""
        return {self._column(field.name): getattr(entity, field.name) for field in fields(entity)}

    def read(self, connection: Connection, statement: Select[Any]) -> list[E]:
        """Run a select over the whole table and return the entities."""
        names = {field.name: self._column(field.name) for field in fields(self.entity)}
        rows = connection.execute(statement).mappings()
        return [self.entity(**{name: row[column] for name, column in names.items()}) for row in rows]

    def find(self, connection: Connection, key: str) -> E | None:
        """Return the entity of a key, or None."""
        found = self.read(connection, select(self.table).where(self._key == key))
        return found[0] if found else None

    def add(self, connection: Connection, entity: E) -> bool:
        """Insert an entity; false when its key exists."""
        row = self.row(entity)
        try:
            connection.execute(self.table.insert(), row)
        except IntegrityError:
            if self.existing(connection, [row[self._key.name]]):
                return False
            raise
        return True

    def add_new(self, connection: Connection, entities: Iterable[E]) -> int:
        """Insert the entities whose key is new and return how many were."""
        rows = {row[self._key.name]: row for row in map(self.row, entities)}
        new = rows.keys() - self.existing(connection, list(rows))
        if new:
            statement = insert_or_skip(connection.dialect, self.table)
            connection.execute(statement, [row for key, row in rows.items() if key in new])
        return len(new)

    def existing(self, connection: Connection, keys: list[str]) -> set[str]:
        """Return which of the keys exist."""
        return {
            key
            for start in range(0, len(keys), _IDS_PER_STATEMENT)
            for key in connection.scalars(
                select(self._key).where(self._key.in_(keys[start : start + _IDS_PER_STATEMENT]))
            )
        }

    def of_keys(self, connection: Connection, keys: list[str]) -> list[E]:
        """Return the entities of many keys."""
        return [
            entity
            for start in range(0, len(keys), _IDS_PER_STATEMENT)
            for entity in self.read(
                connection,
                select(self.table).where(self._key.in_(keys[start : start + _IDS_PER_STATEMENT])),
            )
        ]

    @property
    def _key(self) -> Any:
        return next(iter(self.table.primary_key.columns))

    def _column(self, field: str) -> str:
        return self.renamed.get(field, field)


_TIME: Final = {"time_ms": "timestamp"}
_SPAN: Final = {"start_ms": "start_time", "end_ms": "end_time"}
_LIFE: Final = {"created_at_ms": "created_at", "updated_at_ms": "updated_at"}
_PROGRESS: Final = {"started_at_ms": "started_at", "completed_at_ms": "completed_at"}

DATASET: Final = Record(Dataset, tables.DATASETS, _LIFE)
AUDIT: Final = Record(AuditLog, tables.AUDIT_LOGS, _TIME)
HEALTH: Final = Record(HealthMetric, tables.HEALTH_METRICS, _TIME)
JOB: Final = Record(BackfillJob, tables.BACKFILL_JOBS, {**_SPAN, **_LIFE, **_PROGRESS})
LINEAGE: Final = Record(LineageRecord, tables.LINEAGE_RECORDS, _TIME)
