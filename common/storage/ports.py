"""The ports: what the functions may ask of a store, in a shape that suits MongoDB and MySQL as well as SQL files.

Every method raises ``StoreUnavailable`` when the store cannot be reached, is locked, or has no space; none returns an
empty result instead. Ranges are half-open: ``start_ms <= time < end_ms``, and ``None`` leaves that side open.
Writes are idempotent by the keys of ``common.models.rows``. One contract suite (``tests/contract``) runs against
every adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from common.analytics.declaration import collection_name
from common.models.changes import Change, Contradiction
from common.models.dead_letters import DeadLetter, Reason
from common.models.families import Family, Series
from common.models.rows import MarketRow
from common.storage.columns import CandleColumns

if TYPE_CHECKING:  # most functions never see metadata
    from common.models.metadata import AuditLog, BackfillJob, Dataset, HealthMetric, JobStatus, LineageRecord

Order = Literal["asc", "desc"]
Row = TypeVar("Row")


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

    def arranged(self, rows: list[Row]) -> list[Row]:
        """Return rows that were read from the side the limit counts from in the order of the answer."""
        return rows if self.from_newest == (self.order == "desc") else rows[::-1]


class Part(NamedTuple):
    """Rows of one family, of any number of its series."""

    family: Family
    rows: Sequence[MarketRow]


class WriteCounts(NamedTuple):
    """What a write did to the rows that it was given, each of which is counted once.

    ``unchanged`` are repetitions and older updates: normal redelivery. ``contradicted`` are facts under the key of a
    stored one that say something else; they are not stored, but kept as evidence.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    contradicted: int = 0
    dead_letters: int = 0


class Page(NamedTuple, Generic[Row]):
    """Rows of a series as they stood at one moment, and what else stood there.

    Attributes:
        rows: those of the window, in its order.
        total: how many there are in its range, before limit and offset.
        newest_ms: time of the newest row of the whole series.
        before_ms: time of the last row of the series before the end of the window.
        after_ms: time of the first row that is not before it.
    """

    rows: list[Row]
    total: int = 0
    newest_ms: int | None = None
    before_ms: int | None = None
    after_ms: int | None = None


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

    async def write(self, parts: Sequence[Part], dead_letters: Sequence[DeadLetter] = ()) -> WriteCounts:
        """Store the rows of a batch and its dead letters, all or nothing where the store can."""
        ...

    async def page(self, series: Series, window: Window, *, counted: bool = True) -> Page[Any]:
        """Read rows of a series, and its place in the series.

        Args:
            series: which one.
            window: which of its rows.
            counted: find out the other fields of the page too; without it there are only ``rows``.
        """
        ...

    async def columns(
        self, series: Series, *, end_ms: int, bars: int | None = None, start_ms: int | None = None
    ) -> CandleColumns:
        """Read closed candles that had closed by ``end_ms`` into numpy arrays, ascending.

        Args:
            series: of candles.
            end_ms: a candle is included when its open time + interval <= ``end_ms``.
            bars: at most this many, the newest.
            start_ms: none that opened earlier.
        """
        ...

    async def extent(self, series: Series, *, end_ms: int | None = None) -> SeriesExtent:
        """Count the rows of a series and find its ends."""
        ...

    async def totals(self) -> Mapping[Family, int]:
        """Count the rows of each family over all symbols; may be an estimate of the store's own."""
        ...

    async def dead_letters(
        self, *, kind: str | None = None, reason: Reason | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[DeadLetter], int]:
        """Read dead letters without their payloads, newest first, and count all that match."""
        ...

    async def dead_letter(self, dead_letter_id: str) -> DeadLetter | None:
        """Read one dead letter, whole."""
        ...

    async def delete(self, what: Family | Literal["dead_letters"], before_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` of the rows older than ``before_ms`` and return how many went."""
        ...

    async def newest_ms(self, family: Family) -> int | None:
        """Return the time of the newest row of a family over all symbols, or ``None`` when there is none."""
        ...

    async def revision(self, series: Series) -> object | None:
        """Return a token that changes whenever a row of the series does, or ``None`` if the store has none now."""
        ...

    async def changes(self, after: int, *, limit: int) -> list[Change]:
        """Read the changes of all series, of documents too, behind a number, ascending; none is ever left out."""
        ...

    async def contradictions(
        self, series: Series | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Contradiction], int]:
        """Read facts that contradict stored ones (of a series), newest first, and count them."""
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

    ``body`` is JSON-ready: the fields of infra/docs/fields.md with numbers as strings.
    """

    symbol: str
    metric: str
    timeframe: str | None
    as_of_ms: int
    computed_at_ms: int
    body: Mapping[str, object] = field(default_factory=dict)

    @property
    def dataset_id(self) -> str:
        """The documents of one symbol, metric and timeframe: ``analytics_BTCUSDT_trend_1h``."""
        return "_".join(filter(None, (collection_name(self.symbol, self.metric), self.timeframe)))


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

    async def newest_computed_at(self, metric: str | None = None) -> int | None:
        """Return when the newest document (of a metric) was computed (its ``computed_at_ms``), or None."""
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
        """Return a watermark, or None when it was never set."""
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
        """Turn a pending job into a running one, atomically; None when another took it."""
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
