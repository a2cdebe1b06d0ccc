"""What is promised of facts: stored once by their key, the first stays, contradictions are evidence."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.clock import SystemClock
from common.models.changes import CONTRADICTIONS_KEPT, fact_text
from common.models.families import Family, Series
from common.models.rows import TradeRow
from common.storage.ports import MarketStore, Window, WriteCounts
from common.timeframes import Timeframe
from tests.contract.market_store.opening import FAMILIES, IDENTIFIED, INHERITED, OpenStore, StoreOpened, using
from tests.support.store_rows import (
    BTC,
    CANDLES,
    HOUR_MS,
    SAMPLES,
    SERIES,
    START_MS,
    TRADES,
    agg_trade,
    book,
    candle,
    put,
    rows_of,
    ticker,
    trade,
)

# Few ids at many times, in batches: on their way up, late, repeated, and contradicting each other.
fact_batches = st.lists(
    st.lists(
        st.builds(
            lambda number, offset, price: trade(number, time_ms=START_MS + 10 * number + offset, price=price),
            st.integers(0, 15),
            st.sampled_from([0, 0, 0, 0, 1, -200, 500, HOUR_MS]),
            st.sampled_from(["1", "1", "1", "2"]),
        ),
        min_size=1,
        max_size=6,
    ),
    max_size=8,
)


class FactsContract(StoreOpened):
    """Rows that are written once."""

    # What is written is read

    @pytest.mark.parametrize("family", FAMILIES)
    def test_rows_come_back_as_they_went_in(self, open_store: OpenStore, family: Family) -> None:
        rows = SAMPLES[family]

        async def scenario(store: MarketStore) -> None:
            assert await put(store, family, rows) == WriteCounts(inserted=len(rows))
            found = await rows_of(store, SERIES[family])
            assert found == rows
            assert [[type(value) for value in row] for row in found] == [[type(value) for value in row] for row in rows]

        using(open_store, scenario)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_another_store_object_reads_what_one_wrote(self, open_store: OpenStore, family: Family) -> None:
        async def scenario() -> None:
            async with open_store() as writer, open_store() as reader:
                assert await rows_of(reader, SERIES[family]) == []
                await put(writer, family, SAMPLES[family])
                assert await rows_of(reader, SERIES[family]) == SAMPLES[family]
            async with open_store() as later:
                assert await rows_of(later, SERIES[family]) == SAMPLES[family]

        asyncio.run(scenario())

    @pytest.mark.parametrize("family", FAMILIES)
    def test_writing_again_changes_nothing(self, open_store: OpenStore, family: Family) -> None:
        rows = SAMPLES[family]

        async def scenario(store: MarketStore) -> None:
            await put(store, family, rows)
            assert await put(store, family, rows) == WriteCounts(unchanged=len(rows))
            assert await rows_of(store, SERIES[family]) == rows
            assert (await store.totals())[family] == len(rows)

        using(open_store, scenario)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_repetitions_inside_a_batch_are_stored_once(self, open_store: OpenStore, family: Family) -> None:
        rows = SAMPLES[family]

        async def scenario(store: MarketStore) -> None:
            counts = await put(store, family, [*rows, *reversed(rows)])
            assert counts == WriteCounts(inserted=len(rows), unchanged=len(rows))
            assert await rows_of(store, SERIES[family]) == rows

        using(open_store, scenario)

    def test_a_batch_that_overlaps_stored_rows_adds_the_rest(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            await put(store, Family.TRADES, [trade(i) for i in range(10)])
            counts = await put(store, Family.TRADES, [trade(i) for i in range(5, 25)])
            assert counts == WriteCounts(inserted=15, unchanged=5)
            assert await rows_of(store, TRADES) == [trade(i) for i in range(25)]

        using(open_store, scenario)

    def test_an_empty_batch_is_no_write(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            assert await put(store, Family.TRADES, []) == WriteCounts()
            assert await store.write([]) == WriteCounts()

        using(open_store, scenario)

    def test_facts_of_one_millisecond_are_kept_apart_by_their_ids(self, open_store: OpenStore) -> None:
        trades = [trade(i, time_ms=START_MS) for i in (1, 2, 3)]
        books = [book(i, time_ms=START_MS) for i in (1, 2)]

        async def scenario(store: MarketStore) -> None:
            assert (await put(store, Family.TRADES, trades)).inserted == 3
            assert (await put(store, Family.DEPTH, books)).inserted == 2
            assert await rows_of(store, TRADES) == trades
            assert await rows_of(store, Series(Family.DEPTH, BTC), Window(limit=1)) == [books[1]]

        using(open_store, scenario)

    @pytest.mark.parametrize("family", IDENTIFIED)
    def test_an_id_is_stored_once_at_whatever_time_it_is_offered(self, open_store: OpenStore, family: Family) -> None:
        """The first stays: in a batch, in the next one, and before the last ones as well as after them."""
        first, *later = SAMPLES[family]
        elsewhere = [first._replace(time_ms=first.time_ms + offset) for offset in (-HOUR_MS, -1, 1, HOUR_MS)]

        async def scenario(store: MarketStore) -> None:
            assert await put(store, family, [first, elsewhere[0]]) == WriteCounts(inserted=1, contradicted=1)
            assert await put(store, family, [elsewhere[1]]) == WriteCounts(contradicted=1)
            counts = await put(store, family, [*later, elsewhere[2], later[0], first])
            assert counts == WriteCounts(inserted=2, unchanged=2, contradicted=1)
            assert await put(store, family, [elsewhere[3], *elsewhere]) == WriteCounts(contradicted=5)
            assert await rows_of(store, SERIES[family]) == [first, *later]
            assert (await store.page(SERIES[family], Window(limit=1))).total == (await store.totals())[family] == 3

        using(open_store, scenario)

    @settings(deadline=None, max_examples=60, suppress_health_check=INHERITED)
    @given(deliveries=fact_batches)
    def test_any_delivery_of_facts_keeps_the_first_of_each_id(
        self, open_fresh: OpenStore, deliveries: list[list[TradeRow]]
    ) -> None:
        async def scenario(store: MarketStore) -> None:
            first: dict[int, TradeRow] = {}
            for batch in deliveries:
                before = len(first)
                for row in batch:
                    first.setdefault(row.trade_id, row)
                refused = sum(first[row.trade_id] != row for row in batch)
                new = len(first) - before
                assert await put(store, Family.TRADES, batch) == WriteCounts(
                    inserted=new, unchanged=len(batch) - new - refused, contradicted=refused
                )
            assert await rows_of(store, TRADES) == sorted(first.values(), key=lambda row: (row.time_ms, row.trade_id))

        using(open_fresh, scenario)

    def test_what_contradicts_a_stored_fact_is_kept_as_evidence(self, open_store: OpenStore) -> None:
        stored, offered = trade(1), trade(1, price="1.5")
        moved = stored._replace(time_ms=START_MS - 5)

        async def scenario(store: MarketStore) -> None:
            assert await store.contradictions() == ([], 0)
            await put(store, Family.TRADES, [stored])
            for _ in range(2):
                assert await put(store, Family.TRADES, [offered]) == WriteCounts(contradicted=1)
            await put(store, Family.TRADES, [moved, trade(2)])
            await put(store, Family.TICKERS, [ticker(1)])
            assert await put(store, Family.TICKERS, [ticker(1)._replace(volume="0")]) == WriteCounts(contradicted=1)
            found, total = await store.contradictions(TRADES)
            assert total == 2
            assert {one.key for one in found} == {1}
            assert {one.stored for one in found} == {fact_text(stored)}
            assert {one.offered for one in found} == {fact_text(offered), fact_text(moved)}
            both, total = await store.contradictions(limit=2)
            assert (len(both), total) == (2, 3)
            assert {one.dataset_id for one in both} <= {TRADES.dataset_id, SERIES[Family.TICKERS].dataset_id}
            ((only,), _) = await store.contradictions(SERIES[Family.TICKERS])
            assert (only.key, only.dataset_id) == (START_MS + 1, "tickers_BTCUSDT")
            assert abs(only.time_ms - SystemClock().now_ms()) < HOUR_MS

        using(open_store, scenario)

    def test_evidence_of_a_batch_is_bounded_and_all_of_it_counted(self, open_store: OpenStore) -> None:
        rows = [trade(number) for number in range(CONTRADICTIONS_KEPT + 20)]

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.TRADES, rows)
            counts = await put(store, Family.TRADES, [row._replace(price="1") for row in rows])
            assert counts == WriteCounts(contradicted=len(rows))
            assert (await store.contradictions(TRADES))[1] == CONTRADICTIONS_KEPT
            assert await rows_of(store, TRADES) == rows

        using(open_store, scenario)

    def test_series_do_not_mix(self, open_store: OpenStore) -> None:
        five_minutes = candle("5", timeframe="5m")
        other = candle("7", symbol="ETHUSDT")

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.CANDLES, [candle(), five_minutes, other])
            await put(store, Family.TRADES, [trade(1), trade(1, symbol="ETHUSDT")])
            await put(store, Family.AGG_TRADES, [agg_trade(1)])
            assert await rows_of(store, CANDLES) == [candle()]
            assert await rows_of(store, Series(Family.CANDLES, BTC, Timeframe.M5)) == [five_minutes]
            assert await rows_of(store, Series(Family.CANDLES, "ETHUSDT", Timeframe.H1)) == [other]
            assert await rows_of(store, TRADES) == [trade(1)]
            assert await rows_of(store, Series(Family.AGG_TRADES, BTC)) == [agg_trade(1)]
            assert await rows_of(store, Series(Family.TRADES, "BTC")) == []

        using(open_store, scenario)

    def test_late_rows_take_their_place(self, open_store: OpenStore) -> None:
        ids = [5, 1, 9, 3, 0, 7]

        async def scenario(store: MarketStore) -> None:
            for trade_id in ids:
                await put(store, Family.TRADES, [trade(trade_id)])
            assert await rows_of(store, TRADES) == [trade(i) for i in sorted(ids)]

        using(open_store, scenario)
