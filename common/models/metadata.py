"""Rows of the metadata store: catalog, audit log, health scores, backfill jobs, lineage (design.md, "Stores").

Times are milliseconds inside; the tables keep them as the store's own date type in UTC.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class JobStatus(StrEnum):
    """Life of a backfill job."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A catalog entry; its id is the name of the collection."""

    dataset_id: str
    name: str
    category: str
    storage_type: str
    created_at_ms: int
    updated_at_ms: int
    description: str | None = None
    schema_id: str | None = None
    owner: str | None = "data-manager"
    update_frequency: str | None = None


@dataclass(frozen=True, slots=True)
class AuditLog:
    """One finding of an audit. The id is deterministic, so that a finding is recorded once."""

    audit_id: str
    dataset_id: str
    symbol: str
    audit_type: str
    severity: str | None
    details: str | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class HealthMetric:
    """Health of one dataset at one time; scores from 0 to 100 with two decimals."""

    metric_id: str
    dataset_id: str
    symbol: str
    time_ms: int
    completeness: Decimal | None
    freshness_seconds: int | None
    gaps_count: int
    duplicates_count: int
    consistency_score: Decimal | None
    quality_score: Decimal | None


@dataclass(frozen=True, slots=True)
class BackfillJob:
    """A request to fetch history, and how far it came."""

    job_id: str
    symbol: str
    data_type: str
    timeframe: str | None
    start_ms: int
    end_ms: int
    created_at_ms: int
    status: JobStatus = JobStatus.PENDING
    priority: int = 5
    progress: Decimal = Decimal(0)
    records_fetched: int = 0
    records_inserted: int = 0
    error_message: str | None = None
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LineageRecord:
    """Which dataset was made from which, by what."""

    lineage_id: str
    dataset_id: str
    transformation: str
    time_ms: int
    source_dataset_id: str | None = None
    input_records: int | None = None
    output_records: int | None = None
