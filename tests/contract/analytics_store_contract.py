"""What every analytics store promises, whatever database is behind it. An adapter's tests inherit and open it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import pytest

from common.storage.ports import AnalyticsDocument, AnalyticsStore, Window

T = TypeVar("T")
# Opens a store on the data of this test; opened twice it is two store objects on the same data.
OpenAnalyticsStore = Callable[[], AbstractAsyncContextManager[AnalyticsStore]]

START_MS = 1_760_961_600_000
BTC = "BTCUSDT"
ALL = Window(limit=1000)
BODY = {
    "timeframe": "1h",
    "annualized_volatility": "0.412300",
    "garman_klass": None,
    "rows_used": 720,
    "warmup_complete": True,
    "hourly_pattern": {"0": "1.10", "23": "-0.5"},
    "slippage": [{"side": "buy", "quote_size": "10000"}, {"side": "sell", "quote_size": None}],
    "metadata": {"method": "close_to_close", "completeness": 99.86, "parameters": {"window": 720}},
    "note": "σ, “quoted”, \u0000-free",
}


def document(
    number: int, *, metric: str = "volatility", timeframe: str | None = "1h", **changes: object
) -> AnalyticsDocument:
    computed = START_MS + number * 1000 + 500
    symbol = str(changes.pop("symbol", BTC))
    return AnalyticsDocument(symbol, metric, timeframe, START_MS + number * 1000, computed, {**BODY, **changes})


def using(open_store: OpenAnalyticsStore, scenario: Callable[[AnalyticsStore], Awaitable[T]]) -> T:
    """Run a scenario on a store that is closed afterwards."""

    async def run() -> T:
        async with open_store() as store:
            return await scenario(store)

    return asyncio.run(run())


async def read(store: AnalyticsStore, window: Window = ALL) -> Sequence[AnalyticsDocument]:
    return await store.documents(BTC, "volatility", "1h", window)


class AnalyticsStoreContract:
    """Inherit, and override the fixture ``open_store``."""

    @pytest.fixture
    def open_store(self) -> OpenAnalyticsStore:
        raise NotImplementedError

    def test_documents_come_back_as_they_went_in(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario(store: AnalyticsStore) -> None:
            assert await store.save([document(1), document(2, rows_used=0)]) == 2
            assert await read(store) == [document(1), document(2, rows_used=0)]
            assert await store.save([]) == 0

        using(open_store, scenario)

    def test_another_store_object_reads_what_one_saved(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                assert await read(two) == []
                await one.save([document(1)])
                assert await read(two) == [document(1)]
            async with open_store() as later:
                assert await read(later) == [document(1)]

        asyncio.run(scenario())

    def test_computing_again_replaces(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario(store: AnalyticsStore) -> None:
            await store.save([document(1), document(2)])
            again = AnalyticsDocument(BTC, "volatility", "1h", START_MS + 1000, START_MS + 99_999, {"rows_used": 1})
            assert await store.save([again]) == 1
            assert await read(store) == [again, document(2)]

        using(open_store, scenario)

    def test_of_one_key_in_a_batch_the_last_stays(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario(store: AnalyticsStore) -> None:
            await store.save([document(1, rows_used=1), document(1, rows_used=2)])
            assert await read(store) == [document(1, rows_used=2)]
            assert await store.count_documents(BTC, "volatility", "1h") == 1

        using(open_store, scenario)

    def test_series_are_told_apart(self, open_store: OpenAnalyticsStore) -> None:
        others = [
            document(1, symbol="ETHUSDT"),
            document(1, metric="volume"),
            document(1, timeframe="1d"),
            document(1, metric="spread", timeframe=None),
        ]

        async def scenario(store: AnalyticsStore) -> None:
            await store.save([document(1), *others])
            assert await read(store) == [document(1)]
            for other in others:
                assert await store.documents(other.symbol, other.metric, other.timeframe, ALL) == [other]
            assert await store.documents(BTC, "spread", "1h", ALL) == []

        using(open_store, scenario)

    def test_windows(self, open_store: OpenAnalyticsStore) -> None:
        history = [document(i) for i in range(6)]

        async def scenario(store: AnalyticsStore) -> None:
            await store.save([history[i] for i in (3, 0, 5, 1, 4, 2)])
            assert await read(store, Window(limit=2)) == history[4:]
            assert await read(store, Window(limit=2, order="desc")) == [history[5], history[4]]
            assert await read(store, Window(limit=2, offset=1)) == history[3:5]
            assert await read(store, Window(limit=2, offset=1, order="desc")) == [history[4], history[3]]
            second, fifth = START_MS + 1000, START_MS + 4000
            assert await read(store, Window(second, fifth)) == history[1:4]
            assert await read(store, Window(second, limit=2, offset=1)) == history[2:4]
            assert await read(store, Window(second, fifth, limit=1, order="desc")) == [history[3]]
            assert await read(store, Window(end_ms=second)) == history[:1]
            assert await read(store, Window(fifth, second)) == []

        using(open_store, scenario)

    def test_documents_of_a_range_are_counted(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario(store: AnalyticsStore) -> None:
            await store.save([*(document(i) for i in range(6)), document(1, symbol="ETHUSDT")])
            assert await store.count_documents(BTC, "volatility", "1h") == 6
            assert await store.count_documents(BTC, "volatility", "1h", start_ms=START_MS + 1000) == 5
            assert await store.count_documents(BTC, "volatility", "1h", end_ms=START_MS + 1000) == 1
            inner = await store.count_documents(
                BTC, "volatility", "1h", start_ms=START_MS + 1000, end_ms=START_MS + 4000
            )
            assert inner == 3
            assert await store.count_documents(BTC, "volatility", "1d") == 0

        using(open_store, scenario)

    def test_the_newest_is_the_one_computed_last(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario(store: AnalyticsStore) -> None:
            assert await store.newest_computed_at() is None
            await store.save([document(3), document(9, metric="volume"), document(1)])
            assert await store.newest_computed_at() == document(9).computed_at_ms
            assert await store.newest_computed_at("volatility") == document(3).computed_at_ms
            assert await store.newest_computed_at("trend") is None
            late = START_MS + 99_999
            await store.save([AnalyticsDocument(BTC, "volatility", "1h", START_MS + 1000, late)])
            assert await store.newest_computed_at() == await store.newest_computed_at("volatility") == late

        using(open_store, scenario)

    def test_old_documents_are_deleted(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario(store: AnalyticsStore) -> None:
            await store.save([document(i) for i in range(6)])
            assert await store.delete_analytics_before(START_MS + 4000, limit=3) == 3
            assert await store.delete_analytics_before(START_MS + 4000, limit=3) == 1
            assert await store.delete_analytics_before(START_MS + 4000, limit=3) == 0
            assert await read(store) == [document(4), document(5)]

        using(open_store, scenario)

    def test_the_oldest_go_first_whatever_their_series(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario(store: AnalyticsStore) -> None:
            await store.save([document(i, metric=metric) for metric in ("trend", "volatility") for i in (2, 0, 1)])
            assert await store.delete_analytics_before(START_MS + 9000, limit=4) == 4
            assert await read(store) == [document(2)]
            assert await store.documents(BTC, "trend", "1h", ALL) == [document(2, metric="trend")]

        using(open_store, scenario)

    def test_the_revision_changes_with_the_documents(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario() -> None:
            async with open_store() as store, open_store() as other:
                seen = [await store.revision()]
                assert await store.revision() == seen[0]
                await store.save([document(1)])
                seen.append(await store.revision())
                await other.save([document(1, rows_used=3)])
                seen.append(await store.revision())
                await other.delete_analytics_before(START_MS + 99_999, limit=1)
                seen.append(await store.revision())
                assert len(set(seen)) == len(seen)
                await read(store)
                assert await other.save([]) == 0
                assert await other.delete_analytics_before(START_MS, limit=1) == 0
                assert await store.revision() == seen[-1]  # nothing changed

        asyncio.run(scenario())

    def test_writers_at_once(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                stores = [one, two]
                await asyncio.gather(*(stores[i % 2].save([document(i), document(i + 1)]) for i in range(30)))
                assert await read(one) == [document(i) for i in range(31)]

        asyncio.run(scenario())

    def test_ping_asks_the_store(self, open_store: OpenAnalyticsStore) -> None:
        async def scenario(store: AnalyticsStore) -> None:
            await store.ping()
            await store.ping(write=True)
            assert await read(store) == []
            assert store.name

        using(open_store, scenario)
