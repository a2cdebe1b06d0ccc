"""What every metadata store promises, whatever database is behind it. An adapter's tests inherit and open the store."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from common.models.metadata import AuditLog, BackfillJob, Dataset, HealthMetric, JobStatus, LineageRecord
from common.storage.ports import MetadataStore

T = TypeVar("T")
# Opens a store on the data of this test; opened twice it is two store objects on the same data.
OpenMetadataStore = Callable[[], AbstractAsyncContextManager[MetadataStore]]

START_MS = 1_760_961_600_123  # with milliseconds
HOUR_MS = 3_600_000
BTC = "BTCUSDT"


def health(number: int, dataset: str = "candles_BTCUSDT_1h", symbol: str = BTC, **changes: Any) -> HealthMetric:
    metric = HealthMetric(
        metric_id=f"{dataset}-{number}",
        dataset_id=dataset,
        symbol=symbol,
        time_ms=START_MS + number,
        completeness=Decimal("99.50"),
        freshness_seconds=42,
        gaps_count=1,
        duplicates_count=0,
        consistency_score=None,
        quality_score=Decimal("100.00"),
    )
    return replace(metric, **changes)


def audit(
    number: int, symbol: str = BTC, audit_type: str = "gap", details: str | None = "3 candles missing"
) -> AuditLog:
    dataset = f"candles_{symbol}_1h"
    return AuditLog(f"audit-{number}", dataset, symbol, audit_type, "high", details, START_MS + number)


def dataset(name: str, *, category: str = "market_data", created: int = 0, updated: int = 0, **changes: Any) -> Dataset:
    entry = Dataset(name, f"Dataset {name}", category, "sqlite", START_MS + created, START_MS + updated)
    return replace(entry, **changes)


def job(number: int, **changes: Any) -> BackfillJob:
    end_ms = START_MS + HOUR_MS
    entry = BackfillJob(f"job-{number}", BTC, "candles", "1h", START_MS, end_ms, created_at_ms=START_MS + number)
    return replace(entry, **changes)


def lineage(number: int, dataset_id: str = "analytics_BTCUSDT_volatility") -> LineageRecord:
    return LineageRecord(f"lineage-{number}", dataset_id, "volatility", START_MS + number, "candles_BTCUSDT_1h", 720, 1)


def using(open_store: OpenMetadataStore, scenario: Callable[[MetadataStore], Awaitable[T]]) -> T:
    """Run a scenario on a store that is closed afterwards."""

    async def run() -> T:
        async with open_store() as store:
            return await scenario(store)

    return asyncio.run(run())


async def count_up(store: MetadataStore, name: str, rounds: int) -> int:
    """Try to raise a watermark by one, ``rounds`` times; returns how often this one did it."""
    won = 0
    for _ in range(rounds):
        seen = await store.watermark(name)
        won += await store.advance_watermark(name, seen, 1 if seen is None else seen + 1)
    return won


class MetadataStoreContract:
    """Inherit, and override the fixture ``open_store``."""

    @pytest.fixture
    def open_store(self) -> OpenMetadataStore:
        raise NotImplementedError

    # Watermarks

    def test_a_watermark_moves_from_what_is_expected_only(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            assert await store.watermark("slots:analytics") is None
            assert not await store.advance_watermark("slots:analytics", 5, 6)
            assert await store.advance_watermark("slots:analytics", None, 2**53 + 1)
            assert not await store.advance_watermark("slots:analytics", None, 7)
            assert not await store.advance_watermark("slots:analytics", 2**53, 7)
            assert await store.watermark("slots:analytics") == 2**53 + 1
            assert await store.advance_watermark("slots:analytics", 2**53 + 1, -3)
            assert await store.advance_watermark("slots:analytics", -3, -3)
            assert await store.watermark("slots:analytics") == -3
            assert await store.watermark("slots:audit") is None

        using(open_store, scenario)

    def test_of_those_who_race_for_a_watermark_one_wins_each_step(self, open_store: OpenMetadataStore) -> None:
        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                runners = [count_up(store, "race", 15) for store in (one, two, one, two)]
                won = await asyncio.gather(*runners)
                assert await one.watermark("race") == sum(won) >= 15

        asyncio.run(scenario())

    def test_of_those_who_race_for_a_new_watermark_one_wins(self, open_store: OpenMetadataStore) -> None:
        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                for number in range(10):
                    tries = (
                        store.advance_watermark(f"new-{number}", None, i) for i, store in enumerate((one, two) * 2)
                    )
                    won = await asyncio.gather(*tries)
                    assert sum(won) == 1
                    assert await two.watermark(f"new-{number}") == won.index(True)

        asyncio.run(scenario())

    # Health

    def test_the_newest_health_of_each_dataset(self, open_store: OpenMetadataStore) -> None:
        other = "candles_BTCUSDT_1d"
        theirs = health(5, "trades_ETHUSDT", "ETHUSDT", completeness=None, freshness_seconds=None)

        async def scenario(store: MetadataStore) -> None:
            assert await store.latest_health() == []
            assert await store.save_health([]) == 0
            assert await store.save_health([health(3), health(1), health(2, other), theirs]) == 4
            assert await store.latest_health() == [health(2, other), health(3), theirs]
            assert await store.latest_health(BTC) == [health(2, other), health(3)]
            assert await store.latest_health("SOLUSDT") == []

        using(open_store, scenario)

    def test_health_of_one_id_is_replaced(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            better = health(1, completeness=Decimal("100.00"), gaps_count=0)
            await store.save_health([health(1)])
            await store.save_health([better])
            assert await store.latest_health() == [better]

        using(open_store, scenario)

    def test_scores_have_two_decimals(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            await store.save_health([health(1, completeness=Decimal("99.987"), quality_score=Decimal(0))])
            (found,) = await store.latest_health()
            assert str(found.completeness) == "99.99"
            assert str(found.quality_score) == "0.00"
            assert found.consistency_score is None

        using(open_store, scenario)

    def test_old_health_is_deleted(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            await store.save_health([health(i) for i in range(6)])
            assert await store.delete_health_before(START_MS + 4, limit=3) == 3
            assert await store.delete_health_before(START_MS + 4, limit=3) == 1
            assert await store.delete_health_before(START_MS + 4, limit=3) == 0
            assert await store.latest_health() == [health(5)]

        using(open_store, scenario)

    # Audits and lineage

    def test_an_audit_is_recorded_once(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            assert await store.record_audits([audit(1), audit(2)]) == 2
            assert await store.record_audits([audit(2, details="changed"), audit(3, details=None), audit(3)]) == 1
            assert await store.record_audits([]) == 0
            found = await store.audits()
            assert [entry.audit_id for entry in found] == ["audit-3", "audit-2", "audit-1"]
            assert found[1:] == [audit(2), audit(1)]

        using(open_store, scenario)

    def test_audits_are_filtered_and_paged_newest_first(self, open_store: OpenMetadataStore) -> None:
        entries = [audit(i, (BTC, "ETHUSDT")[i % 2], ("gap", "health_check")[i % 3 == 0]) for i in range(12)]
        newest_first = entries[::-1]

        async def scenario(store: MetadataStore) -> None:
            await store.record_audits(entries)
            assert await store.audits(limit=5, offset=4) == newest_first[4:9]
            theirs = [entry for entry in newest_first if entry.symbol == "ETHUSDT"]
            assert await store.audits("ETHUSDT", limit=3, offset=1) == theirs[1:4]
            gaps = [entry for entry in theirs if entry.audit_type == "gap"]
            assert await store.audits("ETHUSDT", "gap") == gaps
            assert await store.audits(audit_type="nothing") == []

        using(open_store, scenario)

    def test_lineage_is_recorded_once_and_read_newest_first(self, open_store: OpenMetadataStore) -> None:
        bare = LineageRecord("lineage-9", "analytics_BTCUSDT_volatility", "volatility", START_MS + 9)

        async def scenario(store: MetadataStore) -> None:
            assert await store.record_lineage([lineage(1), lineage(2), lineage(3, "other")]) == 3
            assert await store.record_lineage([lineage(2), bare]) == 1
            assert await store.lineage("analytics_BTCUSDT_volatility") == [bare, lineage(2), lineage(1)]
            assert await store.lineage("analytics_BTCUSDT_volatility", limit=1) == [bare]
            assert await store.lineage("unknown") == []

        using(open_store, scenario)

    # Catalog

    def test_the_catalog_keeps_when_an_entry_was_made(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            first = [dataset("trades_BTCUSDT", description="single trades — “all”"), dataset("candles_BTCUSDT_1h")]
            assert await store.save_datasets(first) == 2
            again = dataset("trades_BTCUSDT", created=9, updated=9, description=None, owner=None)
            analytics = dataset("analytics_BTCUSDT_trend", category="analytics", update_frequency="15m")
            assert await store.save_datasets([again, analytics]) == 2
            kept = replace(again, created_at_ms=START_MS)
            assert await store.dataset("trades_BTCUSDT") == kept
            assert await store.datasets() == [analytics, first[1], kept]
            assert await store.datasets("analytics") == [analytics]
            assert await store.datasets("nothing") == []
            assert await store.dataset("nothing") is None

        using(open_store, scenario)

    # Jobs

    def test_a_job_is_added_once(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            assert await store.add_job(job(1))
            assert not await store.add_job(job(1, priority=9))
            assert await store.job("job-1") == job(1)
            assert await store.job("job-2") is None

        using(open_store, scenario)

    def test_a_job_keeps_every_field(self, open_store: OpenMetadataStore) -> None:
        full = job(
            1,
            timeframe=None,
            status=JobStatus.FAILED,
            priority=1,
            progress=Decimal("33.33"),
            records_fetched=1500,
            records_inserted=1400,
            error_message="the exchange answered 418",
            started_at_ms=START_MS + 5,
            completed_at_ms=START_MS + 6,
        )

        async def scenario(store: MetadataStore) -> None:
            await store.add_job(full)
            found = await store.job("job-1")
            assert found == full
            assert isinstance(found.status, JobStatus)

        using(open_store, scenario)

    def test_jobs_are_filtered_and_paged_newest_first(self, open_store: OpenMetadataStore) -> None:
        entries = [job(i, status=list(JobStatus)[i % 5]) for i in range(12)]

        async def scenario(store: MetadataStore) -> None:
            for entry in (*entries[6:], *entries[:6]):
                await store.add_job(entry)
            assert await store.jobs() == (entries[::-1], 12)
            assert await store.jobs(limit=5, offset=10) == (entries[1::-1], 12)
            assert await store.jobs(JobStatus.RUNNING, limit=2) == ([entries[11], entries[6]], 3)
            assert await store.jobs(JobStatus.CANCELLED, offset=9) == ([], 2)

        using(open_store, scenario)

    def test_progress_is_written_and_the_request_stays(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            await store.add_job(job(1))
            further = job(1, status=JobStatus.RUNNING, progress=Decimal("50.00"), records_fetched=7, records_inserted=6)
            assert await store.update_job(replace(further, started_at_ms=START_MS + 1, priority=1, symbol="X"))
            assert await store.job("job-1") == replace(further, started_at_ms=START_MS + 1)
            assert await store.update_job(further)
            assert await store.update_job(further)  # nothing new is no failure
            assert not await store.update_job(job(2))
            assert await store.job("job-2") is None

        using(open_store, scenario)

    def test_a_pending_job_is_claimed_by_one(self, open_store: OpenMetadataStore) -> None:
        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                for number in range(8):
                    await one.add_job(job(number))
                    claims = (store.claim_job(f"job-{number}", now_ms=START_MS + 77) for store in (one, two, one, two))
                    claimed = [entry for entry in await asyncio.gather(*claims) if entry is not None]
                    assert claimed == [job(number, status=JobStatus.RUNNING, started_at_ms=START_MS + 77)]
                    assert await two.job(f"job-{number}") == claimed[0]
                await one.add_job(job(9, status=JobStatus.CANCELLED))
                assert await two.claim_job("job-9", now_ms=START_MS) is None
                assert await two.claim_job("job-unknown", now_ms=START_MS) is None

        asyncio.run(scenario())

    def test_another_store_object_reads_what_one_wrote(self, open_store: OpenMetadataStore) -> None:
        async def scenario() -> None:
            async with open_store() as one:
                await one.add_job(job(1))
                await one.advance_watermark("slots", None, 1)
            async with open_store() as two:
                assert await two.job("job-1") == job(1)
                assert await two.watermark("slots") == 1

        asyncio.run(scenario())

    def test_ping_asks_the_store(self, open_store: OpenMetadataStore) -> None:
        async def scenario(store: MetadataStore) -> None:
            await store.ping()
            await store.ping(write=True)
            assert await store.watermark("") is None
            assert store.name

        using(open_store, scenario)
