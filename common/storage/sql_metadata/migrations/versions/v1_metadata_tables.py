"""Version 1: the seven metadata tables, made new or taken over from the original system.

The original knew five of them, in its later form with an ENUM of states and some more indexes (design.md, "Stores").
"""

from typing import Any, Final

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Numeric, SmallInteger, String, Table, Text, inspect
from sqlalchemy.dialects.mysql import DATETIME

from common.storage.sql_metadata.migrations.take_over import take_over

revision = "1"
down_revision = None
branch_labels = None
depends_on = None

TABLES: Final = MetaData()

_ID: Final = String(64)
_SYMBOL: Final = String(30)
_TIME: Final = DATETIME(fsp=3)
_SCORE: Final = Numeric(5, 2)
_COUNT: Final[dict[str, Any]] = {"nullable": False, "server_default": "0"}
_OPTIONS: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

Table(
    "datasets",
    TABLES,
    Column("dataset_id", _ID, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("description", String(500)),
    Column("category", String(50), nullable=False),
    Column("schema_id", _ID),
    Column("storage_type", String(20), nullable=False),
    Column("owner", String(100)),
    Column("update_frequency", String(50)),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Index("idx_datasets_category", "category"),
    **_OPTIONS,
)
Table(
    "audit_logs",
    TABLES,
    Column("audit_id", _ID, primary_key=True),
    Column("dataset_id", _ID, nullable=False),
    Column("symbol", _SYMBOL, nullable=False),
    Column("audit_type", String(50), nullable=False),
    Column("severity", String(20)),
    Column("details", Text),
    Column("timestamp", _TIME, nullable=False),
    Index("idx_audit_logs_dataset_timestamp", "dataset_id", "timestamp"),
    Index("idx_audit_logs_symbol", "symbol", "timestamp"),
    Index("idx_audit_logs_timestamp", "timestamp"),
    **_OPTIONS,
)
Table(
    "health_metrics",
    TABLES,
    Column("metric_id", _ID, primary_key=True),
    Column("dataset_id", _ID, nullable=False),
    Column("symbol", _SYMBOL, nullable=False),
    Column("completeness", _SCORE),
    Column("freshness_seconds", Integer),
    Column("gaps_count", Integer, **_COUNT),
    Column("duplicates_count", Integer, **_COUNT),
    Column("consistency_score", _SCORE),
    Column("quality_score", _SCORE),
    Column("timestamp", _TIME, nullable=False),
    Index("idx_health_metrics_dataset_timestamp", "dataset_id", "timestamp"),
    Index("idx_health_metrics_symbol", "symbol", "timestamp"),
    Index("idx_health_metrics_timestamp", "timestamp"),
    **_OPTIONS,
)
JOBS: Final = Table(
    "backfill_jobs",
    TABLES,
    Column("job_id", _ID, primary_key=True),
    Column("symbol", _SYMBOL, nullable=False),
    Column("data_type", String(50), nullable=False),
    Column("timeframe", String(10)),
    Column("start_time", _TIME, nullable=False),
    Column("end_time", _TIME, nullable=False),
    Column("status", String(20), nullable=False, server_default="pending"),
    Column("priority", SmallInteger, nullable=False, server_default="5"),
    Column("progress", _SCORE, nullable=False, server_default="0.00"),
    Column("records_fetched", Integer, **_COUNT),
    Column("records_inserted", Integer, **_COUNT),
    Column("error_message", Text),
    Column("created_at", _TIME, nullable=False),
    Column("started_at", _TIME),
    Column("completed_at", _TIME),
    Index("idx_backfill_jobs_symbol", "symbol"),
    Index("idx_backfill_jobs_status", "status", "created_at"),
    Index("idx_backfill_jobs_created", "created_at"),
    **_OPTIONS,
)
Table(
    "lineage_records",
    TABLES,
    Column("lineage_id", _ID, primary_key=True),
    Column("dataset_id", _ID, nullable=False),
    Column("source_dataset_id", _ID),
    Column("transformation", String(100), nullable=False),
    Column("input_records", Integer),
    Column("output_records", Integer),
    Column("timestamp", _TIME, nullable=False),
    Index("idx_lineage_records_dataset", "dataset_id", "timestamp"),
    **_OPTIONS,
)
Table(
    "watermarks",
    TABLES,
    Column("name", String(190), primary_key=True),
    Column("value", BigInteger, nullable=False),
    **_OPTIONS,
)
Table(
    "findings",
    TABLES,
    Column("finding_id", _ID, primary_key=True),
    Column("dataset_id", _ID, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("start_time", _TIME, nullable=False),
    Column("end_time", _TIME, nullable=False),
    Column("count", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("found_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Index("idx_findings_dataset_start", "dataset_id", "start_time"),
    Index("idx_findings_state", "state", "start_time"),
    **_OPTIONS,
)

_STATES: Final = ("pending", "running", "completed", "failed", "cancelled")


def upgrade() -> None:
    """Make the tables that are missing and give the others this form."""
    connection = op.get_bind()
    existing = set(inspect(connection).get_table_names())
    for table in TABLES.sorted_tables:
        if table.name in existing:
            take_over(connection, table)
        else:
            table.create(connection)
    # An empty state is what INSERT IGNORE made of a wrong one.
    connection.execute(JOBS.update().where(JOBS.c.status.not_in(_STATES)).values(status="failed"))
