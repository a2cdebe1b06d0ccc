"""What the metadata store asks of its tables; every function runs inside one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from common.models.metadata import AuditLog, BackfillJob, Dataset, HealthMetric, JobStatus, LineageRecord
from common.storage.sql_metadata.dialect import distinct_values, insert_or_update
from common.storage.sql_metadata.records import AUDIT, DATASET, HEALTH, JOB, LINEAGE
from common.storage.sql_metadata.tables import (
    AUDIT_LOGS,
    BACKFILL_JOBS,
    DATASETS,
    HEALTH_METRICS,
    LINEAGE_RECORDS,
    WATERMARKS,
)


def ask(connection: Connection) -> None:
    """Read something small."""
    connection.execute(select(WATERMARKS.c.name).limit(1)).all()


def try_writing(connection: Connection) -> None:
    """Take a write lock and change nothing."""
    connection.execute(update(WATERMARKS).where(WATERMARKS.c.name == "").values(value=0))


def watermark(connection: Connection, name: str) -> int | None:
    """Return a watermark, or None."""
    return connection.scalar(select(WATERMARKS.c.value).where(WATERMARKS.c.name == name))


def advance_watermark(connection: Connection, name: str, expected: int | None, value: int) -> bool:
    """Set a watermark if it has the expected value."""
    if expected is None:
        try:
            connection.execute(WATERMARKS.insert(), {"name": name, "value": value})
        except IntegrityError:
            if watermark(connection, name) is None:
                raise
            return False
        return True
    is_expected = (WATERMARKS.c.name == name) & (WATERMARKS.c.value == expected)
    return connection.execute(update(WATERMARKS).where(is_expected).values(value=value)).rowcount == 1


def save_health(connection: Connection, metrics: Sequence[HealthMetric]) -> int:
    """Store health scores, replacing those of the same id."""
    statement = insert_or_update(connection.dialect, HEALTH_METRICS)
    connection.execute(statement, [HEALTH.row(metric) for metric in metrics])
    return len(metrics)


def latest_health(connection: Connection, symbol: str | None) -> list[HealthMetric]:
    """Return the newest score of each dataset, by dataset.

    The index is entered once per dataset, however many scores each has.
    """
    newest = [key for key in connection.scalars(_newest_health_ids(connection.dialect)) if key is not None]
    found = HEALTH.of_keys(connection, newest)
    return sorted(
        (metric for metric in found if symbol is None or metric.symbol == symbol),
        key=lambda metric: metric.dataset_id,
    )


def _newest_health_ids(dialect: Dialect) -> Select[tuple[Any]]:
    table = HEALTH_METRICS
    datasets = distinct_values(dialect, table.c.dataset_id)
    newest = (
        select(table.c.metric_id)
        .where(table.c.dataset_id == datasets.c.dataset_id)
        .order_by(table.c.timestamp.desc(), table.c.metric_id.desc())
        .limit(1)
    )
    return select(newest.correlate(datasets).scalar_subquery()).select_from(datasets)


def delete_health_before(connection: Connection, cutoff_ms: int, limit: int) -> int:
    """Delete at most ``limit`` old scores, the oldest first. MySQL cannot limit a subquery, so the ids are read."""
    table = HEALTH_METRICS
    old = select(table.c.metric_id).where(table.c.timestamp < cutoff_ms).order_by(table.c.timestamp).limit(limit)
    keys = list(connection.scalars(old))
    deleted = 0
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        deleted += connection.execute(delete(table).where(table.c.metric_id.in_(chunk))).rowcount
    return deleted


def record_audits(connection: Connection, entries: Sequence[AuditLog]) -> int:
    """Store audit entries that are new."""
    return AUDIT.add_new(connection, entries)


def audits(
    connection: Connection, symbol: str | None, audit_type: str | None, limit: int, offset: int
) -> list[AuditLog]:
    """Read audit entries, newest first."""
    table = AUDIT_LOGS
    statement = select(table).order_by(table.c.timestamp.desc(), table.c.audit_id.desc())
    if symbol is not None:
        statement = statement.where(table.c.symbol == symbol)
    if audit_type is not None:
        statement = statement.where(table.c.audit_type == audit_type)
    return AUDIT.read(connection, statement.limit(limit).offset(offset))


def save_datasets(connection: Connection, datasets: Sequence[Dataset]) -> int:
    """Store catalog entries, keeping when each was first stored."""
    statement = insert_or_update(connection.dialect, DATASETS, kept=["created_at"])
    connection.execute(statement, [DATASET.row(dataset) for dataset in datasets])
    return len(datasets)


def datasets(connection: Connection, category: str | None) -> list[Dataset]:
    """Read the catalog by id."""
    statement = select(DATASETS).order_by(DATASETS.c.dataset_id)
    if category is not None:
        statement = statement.where(DATASETS.c.category == category)
    return DATASET.read(connection, statement)


def dataset(connection: Connection, dataset_id: str) -> Dataset | None:
    """Read one catalog entry."""
    return DATASET.find(connection, dataset_id)


def add_job(connection: Connection, job: BackfillJob) -> bool:
    """Store a new job."""
    return JOB.add(connection, job)


def job(connection: Connection, job_id: str) -> BackfillJob | None:
    """Read one job."""
    return JOB.find(connection, job_id)


def jobs(connection: Connection, status: JobStatus | None, limit: int, offset: int) -> tuple[list[BackfillJob], int]:
    """Read one page of jobs, newest first, and how many there are."""
    table = BACKFILL_JOBS
    page = select(table).order_by(table.c.created_at.desc(), table.c.job_id.desc()).limit(limit).offset(offset)
    total = select(func.count()).select_from(table)
    if status is not None:
        page, total = page.where(table.c.status == status), total.where(table.c.status == status)
    return JOB.read(connection, page), connection.scalar(total) or 0


def claim_job(connection: Connection, job_id: str, now_ms: int) -> BackfillJob | None:
    """Turn a pending job into a running one; of two that try at once, the condition lets one pass."""
    table = BACKFILL_JOBS
    is_free = (table.c.job_id == job_id) & (table.c.status == JobStatus.PENDING)
    taken = connection.execute(update(table).where(is_free).values(status=JobStatus.RUNNING, started_at=now_ms))
    return JOB.find(connection, job_id) if taken.rowcount == 1 else None


def update_job(connection: Connection, job: BackfillJob) -> bool:
    """Write how far a job came; what it was asked for stays."""
    table = BACKFILL_JOBS
    progress = {
        "status": job.status,
        "progress": job.progress,
        "records_fetched": job.records_fetched,
        "records_inserted": job.records_inserted,
        "error_message": job.error_message,
        "started_at": job.started_at_ms,
        "completed_at": job.completed_at_ms,
    }
    return connection.execute(update(table).where(table.c.job_id == job.job_id).values(progress)).rowcount == 1


def record_lineage(connection: Connection, records: Sequence[LineageRecord]) -> int:
    """Store lineage records that are new."""
    return LINEAGE.add_new(connection, records)


def lineage(connection: Connection, dataset_id: str, limit: int) -> list[LineageRecord]:
    """Read the lineage of a dataset, newest first."""
    table = LINEAGE_RECORDS
    statement = select(table).where(table.c.dataset_id == dataset_id)
    return LINEAGE.read(
        connection, statement.order_by(table.c.timestamp.desc(), table.c.lineage_id.desc()).limit(limit)
    )
