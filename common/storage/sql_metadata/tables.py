"""The metadata tables (design.md, "Stores"). No foreign keys: parts are written independently."""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, String, Table, Text

from common.models.metadata import JobStatus
from common.storage.sql_metadata.columns import Instant, Score, Status

METADATA: Final = MetaData()

_ID: Final = String(64)
_SYMBOL: Final = String(30)
# Text compares and sorts by its bytes, as on SQLite: servers ignore case by default, and their default varies.
_MYSQL: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

DATASETS: Final = Table(
    "datasets",
    METADATA,
    Column("dataset_id", _ID, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("description", String(500)),
    Column("category", String(50), nullable=False),
    Column("schema_id", _ID),
    Column("storage_type", String(20), nullable=False),
    Column("owner", String(100)),
    Column("update_frequency", String(50)),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("idx_datasets_category", "category"),
    **_MYSQL,
)

AUDIT_LOGS: Final = Table(
    "audit_logs",
    METADATA,
    Column("audit_id", _ID, primary_key=True),
    Column("dataset_id", _ID, nullable=False),
    Column("symbol", _SYMBOL, nullable=False),
    Column("audit_type", String(50), nullable=False),
    Column("severity", String(20)),
    Column("details", Text),
    Column("timestamp", Instant, nullable=False),
    Index("idx_audit_logs_dataset_timestamp", "dataset_id", "timestamp"),
    Index("idx_audit_logs_symbol", "symbol", "timestamp"),
    Index("idx_audit_logs_timestamp", "timestamp"),
    **_MYSQL,
)

HEALTH_METRICS: Final = Table(
    "health_metrics",
    METADATA,
    Column("metric_id", _ID, primary_key=True),
    Column("dataset_id", _ID, nullable=False),
    Column("symbol", _SYMBOL, nullable=False),
    Column("completeness", Score),
    Column("freshness_seconds", Integer),
    Column("gaps_count", Integer, nullable=False, server_default="0"),
    Column("duplicates_count", Integer, nullable=False, server_default="0"),
    Column("consistency_score", Score),
    Column("quality_score", Score),
    Column("timestamp", Instant, nullable=False),
    Index("idx_health_metrics_dataset_timestamp", "dataset_id", "timestamp"),
    Index("idx_health_metrics_symbol", "symbol", "timestamp"),
    Index("idx_health_metrics_timestamp", "timestamp"),
    **_MYSQL,
)

BACKFILL_JOBS: Final = Table(
    "backfill_jobs",
    METADATA,
    Column("job_id", _ID, primary_key=True),
    Column("symbol", _SYMBOL, nullable=False),
    Column("data_type", String(50), nullable=False),
    Column("timeframe", String(10)),
    Column("start_time", Instant, nullable=False),
    Column("end_time", Instant, nullable=False),
    Column("status", Status, nullable=False, server_default=JobStatus.PENDING.value),
    Column("priority", SmallInteger, nullable=False, server_default="5"),
    Column("progress", Score, nullable=False, server_default="0.00"),
    Column("records_fetched", Integer, nullable=False, server_default="0"),
    Column("records_inserted", Integer, nullable=False, server_default="0"),
    Column("error_message", Text),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("completed_at", Instant),
    Index("idx_backfill_jobs_symbol", "symbol"),
    Index("idx_backfill_jobs_status", "status", "created_at"),
    Index("idx_backfill_jobs_created", "created_at"),
    **_MYSQL,
)

LINEAGE_RECORDS: Final = Table(
    "lineage_records",
    METADATA,
    Column("lineage_id", _ID, primary_key=True),
    Column("dataset_id", _ID, nullable=False),
    Column("source_dataset_id", _ID),
    Column("transformation", String(100), nullable=False),
    Column("input_records", Integer),
    Column("output_records", Integer),
    Column("timestamp", Instant, nullable=False),
    Index("idx_lineage_records_dataset", "dataset_id", "timestamp"),
    **_MYSQL,
)

WATERMARKS: Final = Table(
    "watermarks",
    METADATA,
    Column("name", String(190), primary_key=True),
    Column("value", BigInteger, nullable=False),
    **_MYSQL,
)

FINDINGS: Final = Table(
    "findings",
    METADATA,
    Column("finding_id", _ID, primary_key=True),
    Column("dataset_id", _ID, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("start_time", Instant, nullable=False),
    Column("end_time", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("found_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("idx_findings_dataset_start", "dataset_id", "start_time"),
    Index("idx_findings_state", "state", "start_time"),
    **_MYSQL,
)
