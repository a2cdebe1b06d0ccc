"""The embedded analytics store: the contract, and how it shares its file with the market data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.errors import StoreUnavailable
from common.models.families import Family
from common.storage.ports import AnalyticsStore
from common.storage.sqlite.analytics import SqliteAnalyticsStore
from common.storage.sqlite.base import FILE_NAME
from common.storage.sqlite.market import SqliteMarketStore
from tests.contract.analytics_store_contract import AnalyticsStoreContract, OpenAnalyticsStore, document, read, using
from tests.support.sqlite_files import locked
from tests.support.store_rows import BTC, TRADES, put, trade


@asynccontextmanager
async def opened(folder: Path, busy_ms: int = 2000) -> AsyncIterator[SqliteAnalyticsStore]:
    store = SqliteAnalyticsStore(folder, busy_timeout_ms=busy_ms)
    try:
        yield store
    finally:
        await store.close()


class TestSqliteAnalyticsStore(AnalyticsStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenAnalyticsStore:
        return lambda: opened(tmp_path)


def test_market_data_and_documents_share_a_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        market = SqliteMarketStore(tmp_path, busy_timeout_ms=2000)
        async with opened(tmp_path) as analytics:
            await analytics.save([document(1)])
            documents, trades = await analytics.revision(), await market.revision(TRADES)
            await put(market, Family.TRADES, [trade(1)])
            assert await analytics.revision() == documents
            assert await market.revision(TRADES) != trades
            saves = [analytics.save([document(i)]) for i in range(20)]
            writes = [put(market, Family.TRADES, [trade(i)]) for i in range(20)]
            await asyncio.gather(*saves, *writes)
            assert len(await read(analytics)) == (await market.totals())[Family.TRADES] == 20
        await market.close()

    asyncio.run(scenario())
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_locked_file_is_reported_and_then_written(tmp_path: Path) -> None:
    async def scenario(store: AnalyticsStore) -> None:
        await store.save([document(1)])
        with locked(tmp_path / FILE_NAME):
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.save([document(2)])
            assert await read(store) == [document(1)]
        assert await store.save([document(2)]) == 1

    using(lambda: opened(tmp_path, 200), scenario)


def test_a_file_that_is_moved_away_is_missed_until_it_is_back(tmp_path: Path) -> None:
    async def scenario(store: AnalyticsStore) -> None:
        await store.save([document(1)])
        away = tmp_path / "away"
        (tmp_path / FILE_NAME).rename(away)
        calls = (
            store.save([document(2)]),
            read(store),
            store.count_documents(BTC, "volatility", "1h"),
            store.newest_computed_at(),
            store.revision(),
            store.delete_analytics_before(0, limit=1),
            store.ping(),
        )
        for call in calls:
            with pytest.raises(StoreUnavailable, match="was missing"):
                await call
        away.rename(tmp_path / FILE_NAME)
        assert await read(store) == [document(1)]

    using(lambda: opened(tmp_path), scenario)


def test_a_batch_with_a_body_that_is_no_json_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(store: AnalyticsStore) -> None:
        with pytest.raises(TypeError):  # a bug of ours, not a fault of the store
            await store.save([document(1), document(2, note=object())])
        assert await read(store) == []
        assert await store.save([document(1)]) == 1

    using(lambda: opened(tmp_path), scenario)
