"""The metadata store: asynchronous on the outside, a few threads with a synchronous driver inside."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.errors import StoreUnavailable
from common.models.metadata import AuditLog, BackfillJob, Dataset, HealthMetric, JobStatus, LineageRecord
from common.storage.sql_metadata import statements
from common.storage.sql_metadata.backend import WRITES, Backend, SqliteBackend

T = TypeVar("T")
Work = Callable[[Connection], T]

_SQLITE_CONNECTIONS: Final = 4
# How often a transaction runs that the database undoes for another's sake, before that is reported.
_ATTEMPTS: Final = 4


class SqlMetadataStore:
    """``MetadataStore`` on a database that SQLAlchemy knows.

    Args:
        backend: the database, which this store then owns.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._reading = backend.engine
        self._writing = backend.engine.execution_options(**{WRITES: True})
        self._threads = ThreadPoolExecutor(backend.connections, thread_name_prefix="metadata")
        self._turns = asyncio.Semaphore(backend.connections)

    @property
    def name(self) -> str:
        """Name of the store in answers: ``sqlite``, ``mysql``."""
        return self._backend.name

    async def watermark(self, name: str) -> int | None:
        """Return a watermark, or None when it was never set."""
        return await self._read(partial(statements.watermark, name=name))

    async def advance_watermark(self, name: str, expected: int | None, value: int) -> bool:
        """Set a watermark if it still has the expected value; tells whether it did."""
        return await self._write(partial(statements.advance_watermark, name=name, expected=expected, value=value))

    async def save_health(self, metrics: Sequence[HealthMetric]) -> int:
        """Store health scores, replacing those of the same id."""
        return await self._write(partial(statements.save_health, metrics=metrics)) if metrics else 0

    async def latest_health(self, symbol: str | None = None) -> list[HealthMetric]:
        """Return the newest score of each dataset (of a symbol), by dataset."""
        return await self._read(partial(statements.latest_health, symbol=symbol))

    async def delete_health_before(self, cutoff_ms: int, *, limit: int) -> int:
        """Delete at most ``limit`` health scores older than ``cutoff_ms``."""
        return await self._write(partial(statements.delete_health_before, cutoff_ms=cutoff_ms, limit=limit))

    async def record_audits(self, entries: Sequence[AuditLog]) -> int:
        """Store audit entries once each; returns how many were new."""
        return await self._write(partial(statements.record_audits, entries=entries)) if entries else 0

    async def audits(
        self, symbol: str | None = None, audit_type: str | None = None, *, limit: int = 100, offset: int = 0
    ) -> list[AuditLog]:
        """Read audit entries, newest first."""
        return await self._read(
            partial(statements.audits, symbol=symbol, audit_type=audit_type, limit=limit, offset=offset)
        )

    async def save_datasets(self, datasets: Sequence[Dataset]) -> int:
        """Store catalog entries; ``created_at_ms`` of an existing one is kept."""
        return await self._write(partial(statements.save_datasets, datasets=datasets)) if datasets else 0

    async def datasets(self, category: str | None = None) -> list[Dataset]:
        """Read the catalog by id."""
        return await self._read(partial(statements.datasets, category=category))

    async def dataset(self, dataset_id: str) -> Dataset | None:
        """Read one catalog entry."""
        return await self._read(partial(statements.dataset, dataset_id=dataset_id))

    async def add_job(self, job: BackfillJob) -> bool:
        """Store a new job; false when its id exists."""
        return await self._write(partial(statements.add_job, job=job))

    async def job(self, job_id: str) -> BackfillJob | None:
        """Read one job."""
        return await self._read(partial(statements.job, job_id=job_id))

    async def jobs(
        self, status: JobStatus | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[BackfillJob], int]:
        """Read jobs, newest first, and count all that match."""
        return await self._read(partial(statements.jobs, status=status, limit=limit, offset=offset))

    async def claim_job(self, job_id: str, *, now_ms: int) -> BackfillJob | None:
        """Turn a pending job into a running one, atomically; None when another took it."""
        return await self._write(partial(statements.claim_job, job_id=job_id, now_ms=now_ms))

    async def update_job(self, job: BackfillJob) -> bool:
        """Write status, progress and counts of a job; false when it does not exist."""
        return await self._write(partial(statements.update_job, job=job))

    async def record_lineage(self, records: Sequence[LineageRecord]) -> int:
        """Store lineage records once each; returns how many were new."""
        return await self._write(partial(statements.record_lineage, records=records)) if records else 0

    async def lineage(self, dataset_id: str, *, limit: int = 100) -> list[LineageRecord]:
        """Read the lineage of a dataset, newest first."""
        return await self._read(partial(statements.lineage, dataset_id=dataset_id, limit=limit))

    async def ping(self, *, write: bool = False) -> None:
        """Really ask the store; with ``write``, prove that it would take a write."""
        await self._read(statements.ask)
        if write:
            await self._write(self._try_writing)

    async def close(self) -> None:
        """Finish what is running and release all connections."""
        await asyncio.to_thread(self._close)

    def _try_writing(self, connection: Connection) -> None:
        statements.try_writing(connection)
        self._backend.require_space()

    async def _read(self, work: Work[T]) -> T:
        return await self._in_thread(work, writes=False)

    async def _write(self, work: Work[T]) -> T:
        return await self._in_thread(work, writes=True)

    async def _in_thread(self, work: Work[T], *, writes: bool) -> T:
        await self._wait_for_turn()
        try:
            transact = partial(self._transact, work, writes=writes)
            return await asyncio.get_running_loop().run_in_executor(self._threads, transact)
        finally:
            self._turns.release()

    async def _wait_for_turn(self) -> None:
        patience_s = self._backend.patience_s
        try:
            async with asyncio.timeout(patience_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise StoreUnavailable(f"the metadata store had no free connection within {patience_s} s") from error

    def _transact(self, work: Work[T], *, writes: bool) -> T:
        try:
            self._backend.prepare()
            return self._run(work, self._writing if writes else self._reading)
        except PoolTimeoutError as error:
            raise StoreUnavailable("the metadata store had no free connection") from error
        except DBAPIError as error:
            if not self._backend.is_fault(error):
                raise
            raise StoreUnavailable(f"the metadata store was not available: {error.orig}") from error

    def _run(self, work: Work[T], engine: Engine) -> T:
        """Run a transaction, again when it was undone; not when the connection broke, which may have been after it."""
        for _ in range(_ATTEMPTS - 1):
            try:
                with engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not self._backend.was_undone(error):
                    raise
        with engine.begin() as connection:
            return work(connection)

    def _close(self) -> None:
        self._threads.shutdown()
        self._backend.engine.dispose()


def open_sqlite(folder: Path, *, busy_timeout_ms: int) -> SqlMetadataStore:
    """Return the metadata store on ``metadata.db`` of the state folder."""
    return SqlMetadataStore(SqliteBackend(folder, busy_timeout_ms=busy_timeout_ms, connections=_SQLITE_CONNECTIONS))
