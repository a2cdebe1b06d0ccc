"""The ports: what the functions may ask of a store, in a shape that suits MongoDB and MySQL as well as SQL files.

Every method raises ``StoreUnavailable`` when the store cannot be reached, is locked, or has no space; none returns an
empty result instead. Ranges are half-open: ``start_ms <= time < end_ms``, and ``None`` leaves that side open.
Writes are idempotent by the keys of ``common.models.rows``. One contract suite (``tests/contract``) runs against
every adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from common.models.dead_letters import DeadLetter, Reason
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    Family,
    FundingRow,
    MarketRow,
    MarkPriceRow,
    TickerRow,
    TradeRow,
)
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe

if TYPE_CHECKING:  # most functions never see metadata
    from common.models.metadata import AuditLog, BackfillJob, Dataset, HealthMetric, JobStatus, LineageRecord

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a series to read.

    Without ``start_ms`` the newest ``limit`` rows before ``end_ms`` are meant, with it the first ``limit`` rows from
    there on; ``offset`` rows are skipped from that side. ``order`` is the order of the answer.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = 100
    offset: int = 0
    order: Order = "asc"

    @property
    def from_newest(self) -> bool:
        """Tell which side the limit counts from."""
        return self.start_ms is None or self.order == "desc"


class WriteCounts(NamedTuple):
    """What a write did. ``unchanged`` are repetitions and older updates: normal redelivery."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    dead_letters: int = 0


class SeriesExtent(NamedTuple):
    """How many rows a series has, and the times of the first and last."""

    rows: int
    first_ms: int | None
    last_ms: int | None


class MarketStore(Protocol):
    """Market data and dead letters, which are committed together."""

    @property
    def name(self) -> str:
        """Name of the store in answers: ``sqlite``, ``mongodb``."""
        ...

    async def write(
        self, family: Family, rows: Sequence[MarketRow], dead_letters: Sequence[DeadLetter] = ()
    ) -> WriteCounts:
        """Store rows of one family and the dead letters of the same batch, all or nothing where the store can."""
        ...

    async def write_funding(
        self,
        marks: Sequence[MarketRow],
        funding: Sequence[FundingRow],
        dead_letters: Sequence[DeadLetter] = (),
    ) -> WriteCounts:
        """Store mark prices together with the funding rates read off them, in one transaction."""
        ...

    async def candles(self, symbol: str, timeframe: Timeframe, window: Window) -> list[CandleRow]:
        """Read candles by open time, the open one included."""
        ...

    async def trades(self, symbol: str, window: Window) -> list[TradeRow]:
        """Read trades by trade time, then id."""
        ...

    async def agg_trades(self, symbol: str, window: Window) -> list[AggTradeRow]:
        """Read aggregated trades by trade time, then id."""
        ...

    async def tickers(self, symbol: str, window: Window) -> list[TickerRow]:
        """Read 24-hour tickers."""
        ...

    async def mark_prices(self, symbol: str, window: Window) -> list[MarkPriceRow]:
        """Read mark prices."""
        ...

    async def funding_rates(self, symbol: str, window: Window) -> list[FundingRow]:
        """Read funding rates by funding time."""
        ...

    async def depth(self, symbol: str, window: Window) -> list[DepthRow]:
        """Read order books by time, then update id. The newest book is ``Window(limit=1)``."""
        ...

    async def candle_columns(
        self,
        symbol: str,
        timeframe: Timeframe,
        *,
        end_ms: int,
        bars: int | None = None,
        start_ms: int | None = None,
    ) -> CandleColumns:
        """Read closed candles that had closed by ``end_ms`` into numpy arrays, ascending.

        Args:
            symbol: the pair.
            timeframe: the interval.
            end_ms: a candle is included when its open time + interval <= ``end_ms``.
            bars: at most this many, the newest.
            start_ms: none that opened earlier.
        """
        ...

    async def extent(
        self, family: Family, symbol: str, timeframe: Timeframe | None = None, *, end_ms: int | None = None
    ) -> SeriesExtent:
        """Count a series and find its ends."""
        ...

    async def totals(self) -> Mapping[Family, int]:
        """Count the rows of each family over all symbols; may be an estimate of the store's own."""
        ...

    async def dead_letters(
        self, *, kind: str | None = None, reason: Reason | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[DeadLetter], int]:
        """Read dead letters, newest first, and count all that match."""
        ...

    async def delete_before(self, family: Family | Literal["dead_letters"], cutoff_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` of the rows older than ``cutoff_ms`` and return how many went."""
        ...

    async def newest_ms(self, family: Family) -> int | None:
        """Return the time of the newest row of a family over all symbols, or nothing when there is none."""
        ...

    async def revision(self, family: Family, symbol: str, timeframe: Timeframe | None = None) -> object | None:
        """Return a token that changes whenever a row of the series does, or ``None`` if the store has none."""
        ...

    async def ping(self, *, write: bool = False) -> None:
        """Really ask the store; with ``write``, prove that it would take a write."""
        ...

    async def close(self) -> None:
        """Release the store."""
        ...


@dataclass(frozen=True, slots=True)
class AnalyticsDocument:
    """One computed document. Key: symbol, metric, timeframe, ``as_of_ms``; computing it again replaces it.

    ``body`` is JSON-ready: the fields of spec/analytics.md §9 with numbers as strings.
    """

    symbol: str
    metric: str
    timeframe: str | None
    as_of_ms: int
    computed_at_ms: int
    body: Mapping[str, object] = field(default_factory=dict)


class AnalyticsStore(Protocol):
    """Computed documents: a time series per symbol, metric and timeframe."""

    @property
    def name(self) -> str:
        """Name of the store in answers: ``sqlite``, ``mongodb``."""
        ...

    async def save(self, documents: Sequence[AnalyticsDocument]) -> int:
        """Store documents, replacing those of the same key; returns how many were written."""
        ...

    async def documents(
        self, symbol: str, metric: str, timeframe: str | None, window: Window
    ) -> list[AnalyticsDocument]:
        """Read documents by ``as_of_ms``."""
        ...

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
        ...

    async def newest_as_of(self, metric: str | None = None) -> int | None:
        """Return when the newest document (of a metric) was computed (its ``computed_at_ms``), or nothing."""
        ...

    async def revision(self) -> object | None:
        """Return a token that changes whenever stored documents change, or ``None``."""
        ...

    async def delete_analytics_before(self, cutoff_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` documents older than ``cutoff_ms``."""
        ...

    async def ping(self, *, write: bool = False) -> None:
        """Really ask the store."""
        ...

    async def close(self) -> None:
        """Release the store."""
        ...


class MetadataStore(Protocol):
    """Audit, health, jobs, catalog, lineage and watermarks."""

    @property
    def name(self) -> str:
        """Name of the store in answers: ``sqlite``, ``mysql``."""
        ...

    async def watermark(self, name: str) -> int | None:
        """Return a watermark, or nothing when it was never set."""
        ...

    async def advance_watermark(self, name: str, expected: int | None, value: int) -> bool:
        """Set a watermark if it still has the expected value; tells whether it did (atomic)."""
        ...

    async def save_health(self, metrics: Sequence[HealthMetric]) -> int:
        """Store health scores, replacing those of the same id."""
        ...

    async def latest_health(self, symbol: str | None = None) -> list[HealthMetric]:
        """Return the newest score of each dataset (of a symbol)."""
        ...

    async def delete_health_before(self, cutoff_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` health scores older than ``cutoff_ms``."""
        ...

    async def record_audits(self, entries: Sequence[AuditLog]) -> int:
        """Store audit entries once each; returns how many were new."""
        ...

    async def audits(
        self, symbol: str | None = None, audit_type: str | None = None, *, limit: int = 100, offset: int = 0
    ) -> list[AuditLog]:
        """Read audit entries, newest first."""
        ...

    async def save_datasets(self, datasets: Sequence[Dataset]) -> int:
        """Store catalog entries; ``created_at_ms`` of an existing one is kept."""
        ...

    async def datasets(self, category: str | None = None) -> list[Dataset]:
        """Read the catalog by id."""
        ...

    async def dataset(self, dataset_id: str) -> Dataset | None:
        """Read one catalog entry."""
        ...

    async def add_job(self, job: BackfillJob) -> bool:
        """Store a new job; false when its id exists."""
        ...

    async def job(self, job_id: str) -> BackfillJob | None:
        """Read one job."""
        ...

    async def jobs(
        self, status: JobStatus | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[BackfillJob], int]:
        """Read jobs, newest first, and count all that match."""
        ...

    async def claim_job(self, job_id: str, *, now_ms: int) -> BackfillJob | None:
        """Turn a pending job into a running one, atomically; nothing when another took it."""
        ...

    async def update_job(self, job: BackfillJob) -> bool:
        """Write status, progress and counts of a job; false when it does not exist."""
        ...

    async def record_lineage(self, records: Sequence[LineageRecord]) -> int:
        """Store lineage records once each; returns how many were new."""
        ...

    async def lineage(self, dataset_id: str, *, limit: int = 100) -> list[LineageRecord]:
        """Read the lineage of a dataset, newest first."""
        ...

    async def ping(self, *, write: bool = False) -> None:
        """Really ask the store."""
        ...

    async def close(self) -> None:
        """Release the store."""
        ...
