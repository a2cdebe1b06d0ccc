"""What every market store promises, whatever database is behind it. An adapter's tests inherit and open the store."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import product
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.clock import SystemClock
from common.models.changes import CONTRADICTIONS_KEPT, fact_text
from common.models.dead_letters import Reason
from common.models.families import Family, Series
from common.models.rows import CandleRow, FundingRow, Origin, TradeRow
from common.storage.ports import MarketStore, Page, Part, Window, WriteCounts
from common.timeframes import Timeframe
from tests.support.candles import recorded_rows
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
    funding,
    letter,
    mark,
    put,
    rows_of,
    ticker,
    trade,
)

T = TypeVar("T")
# Opens a store on the data of this test; opened twice it is two store objects on the same data.
OpenStore = Callable[[], AbstractAsyncContextManager[MarketStore]]

FAMILIES = list(Family)
IDENTIFIED = [Family.TRADES, Family.AGG_TRADES, Family.DEPTH]
# One property runs for several adapters, each example on data of its own.
INHERITED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


def using(open_store: OpenStore, scenario: Callable[[MarketStore], Awaitable[T]]) -> T:
    """Run a scenario on a store that is closed afterwards."""

    async def run() -> T:
        async with open_store() as store:
            return await scenario(store)

    return asyncio.run(run())


def windowed(times: Sequence[int], window: Window) -> list[int]:
    """Return what a window means of ascending times, word by word as the port says it."""
    inside = [
        time
        for time in times
        if (window.start_ms is None or time >= window.start_ms) and (window.end_ms is None or time < window.end_ms)
    ]
    newest_side = window.start_ms is None or window.order == "desc"
    if newest_side:
        stop = max(0, len(inside) - window.offset)
        page = inside[max(0, stop - window.limit) : stop]
    else:
        page = inside[window.offset : window.offset + window.limit]
    return sorted(page, reverse=window.order == "desc")


def beats(incoming: CandleRow, stored: CandleRow) -> bool:
    """Tell which candle wins (design.md, "Which candle wins"); of equal evidence the one that saw more trades."""
    if incoming.is_closed != stored.is_closed:
        return incoming.is_closed
    if incoming.is_closed and incoming.origin != stored.origin:
        return incoming.origin > stored.origin
    if incoming.event_time_ms != stored.event_time_ms:
        return incoming.event_time_ms > stored.event_time_ms
    if incoming.origin != stored.origin:
        return incoming.origin > stored.origin
    return (incoming.trades_count or -1) > (stored.trades_count or -1)


def winners(rows: Sequence[CandleRow]) -> list[CandleRow]:
    """Return the winning candle of each open time, by comparing one after the other."""
    best: dict[int, CandleRow] = {}
    for row in rows:
        if row.time_ms not in best or beats(row, best[row.time_ms]):
            best[row.time_ms] = row
    return [best[time] for time in sorted(best)]


def content(row: CandleRow) -> CandleRow:
    """Return a candle without what its history leaves behind."""
    return row._replace(revision=0)


# name, stored, incoming, does the incoming one win, does the content change, revision afterwards
CandleCase = tuple[str, CandleRow, CandleRow, bool, bool, int]
CANDLE_CASES: list[CandleCase] = [
    ("open, then later open", candle("1", closed=False), candle("2", closed=False, event_ms=1), True, True, 0),
    ("open, then earlier open", candle("1", closed=False, event_ms=2), candle("2", closed=False), False, False, 0),
    ("open, then the same", candle("1", closed=False), candle("1", closed=False), False, False, 0),
    ("open, then later, equal", candle("1", closed=False), candle("1", closed=False, event_ms=9), True, False, 0),
    ("open, then closed", candle("1", closed=False), candle("2", event_ms=1), True, True, 0),
    ("open, then closed with equal prices", candle("1", closed=False), candle("1", event_ms=1), True, True, 0),
    ("open, then closed of an earlier event", candle("1", closed=False, event_ms=9), candle("2"), True, True, 0),
    (
        "open from REST, then later open from the stream",
        candle("1", closed=False, origin=Origin.REST),
        candle("2", closed=False, event_ms=1),
        True,
        True,
        0,
    ),
    ("closed, then later open", candle("1"), candle("2", closed=False, event_ms=9), False, False, 0),
    (
        "closed, then later open from REST",
        candle("1"),
        candle("2", closed=False, event_ms=9, origin=Origin.REST),
        False,
        False,
        0,
    ),
    ("closed, then the same", candle("1"), candle("1"), False, False, 0),
    ("closed, then later, equal", candle("1"), candle("1", event_ms=9), True, False, 0),
    ("closed, then later, other", candle("1"), candle("2", event_ms=9), True, True, 1),
    ("closed, then earlier, other", candle("1", event_ms=9), candle("2"), False, False, 0),
    ("closed by stream, then equal from REST", candle("1"), candle("1", origin=Origin.REST), True, False, 0),
    ("closed by stream, then other from REST", candle("1"), candle("2", origin=Origin.REST), True, True, 1),
    ("closed by stream, then other from archive", candle("1"), candle("2", origin=Origin.ARCHIVE), True, True, 1),
    (
        "closed by stream, then REST of an earlier event",
        candle("1", event_ms=9),
        candle("2", origin=Origin.REST),
        True,
        True,
        1,
    ),
    (
        "closed by REST, then later stream",
        candle("1", origin=Origin.REST),
        candle("2", event_ms=9),
        False,
        False,
        0,
    ),
    (
        "closed by archive, then REST",
        candle("1", origin=Origin.ARCHIVE),
        candle("2", origin=Origin.REST),
        True,
        True,
        1,
    ),
    (
        "closed by REST, then later REST",
        candle("1", origin=Origin.REST),
        candle("2", origin=Origin.REST, event_ms=9),
        True,
        True,
        1,
    ),
    ("trailing zeros are content", candle("1.1"), candle("1.10", event_ms=9), True, True, 1),
    ("a value that was missing", candle(trades=None), candle(trades=5, event_ms=9), True, True, 1),
    ("equal evidence, more trades", candle("1", trades=5), candle("2", trades=6), True, True, 1),
    ("equal evidence, fewer trades", candle("1", trades=6), candle("2", trades=5), False, False, 0),
]

# name, stored, incoming, does the incoming one win, does the content change
FUNDING_CASES: list[tuple[str, FundingRow, FundingRow, bool, bool]] = [
    ("later of the stream", funding(), funding(rate="0.0002", event_ms=1), True, True),
    ("earlier of the stream", funding(event_ms=1), funding(rate="0.0002"), False, False),
    ("the same", funding(), funding(), False, False),
    ("later, equal", funding(), funding(event_ms=1), True, False),
    ("settled value", funding(event_ms=9), funding(rate="0.0002", origin=Origin.REST), True, True),
    ("stream after the settled value", funding(origin=Origin.REST), funding(rate="0.0002", event_ms=9), False, False),
    (
        "later settled value",
        funding(origin=Origin.REST),
        funding(rate="0.0002", origin=Origin.REST, event_ms=1),
        True,
        True,
    ),
]

# Few values, so that evidence often ties; the texts follow from what ties are decided by.
candle_updates = st.lists(
    st.builds(
        lambda slot, closed, event_ms, origin, trades: candle(
            f"{trades}.{event_ms}{origin.value}{closed:d}0",
            slot=slot,
            closed=closed,
            event_ms=event_ms,
            origin=origin,
            trades=trades,
        ),
        st.integers(0, 1),
        st.booleans(),
        st.integers(0, 3),
        st.sampled_from(list(Origin)),
        st.integers(1, 3),
    ),
    max_size=12,
)
cuts = st.lists(st.integers(1, 4), max_size=12)
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


def in_batches(rows: Sequence[CandleRow], sizes: Sequence[int]) -> list[list[CandleRow]]:
    """Cut a delivery into batches of these sizes; the rest is one batch."""
    batches, start = [], 0
    for size in (*sizes, len(rows)):
        if rows[start : start + size]:
            batches.append(list(rows[start : start + size]))
        start += size
    return batches


class MarketStoreContract:
    """Inherit, and override the fixture ``open_store``."""

    # Whether readers see a batch whole or not at all; without transactions only each row is.
    batches_are_atomic = True

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError

    @pytest.fixture
    def open_fresh(self) -> Callable[[], AbstractAsyncContextManager[MarketStore]]:
        """Opens a store on data of its own at each call; for tests with many examples."""
        raise NotImplementedError

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

    # Windows

    def test_windows_mean_what_the_port_says(self, open_store: OpenStore) -> None:
        times = [START_MS + 10 * i for i in range(7)]
        rows = [trade(i, time_ms=time) for i, time in enumerate(times)]
        starts = (None, START_MS, START_MS + 15, START_MS + 20, START_MS + 99)
        ends = (None, START_MS, START_MS + 40, START_MS + 41, START_MS + 999)

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.TRADES, rows)
            for start, end, limit, offset, descending in product(starts, ends, (0, 2, 50), (0, 1, 9), (False, True)):
                window = Window(start, end, limit, offset, "desc" if descending else "asc")
                found = [row.time_ms for row in await rows_of(store, TRADES, window)]
                assert found == windowed(times, window), window

        using(open_store, scenario)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_every_family_reads_its_newest(self, open_store: OpenStore, family: Family) -> None:
        rows = SAMPLES[family]

        async def scenario(store: MarketStore) -> None:
            await put(store, family, rows)
            assert await rows_of(store, SERIES[family], Window(limit=2)) == rows[1:]
            assert await rows_of(store, SERIES[family], Window(limit=2, order="desc")) == [rows[2], rows[1]]
            start = Window(start_ms=rows[1].time_ms, limit=1)
            assert await rows_of(store, SERIES[family], start) == [rows[1]]
            assert await rows_of(store, SERIES[family], Window(end_ms=rows[1].time_ms)) == [rows[0]]

        using(open_store, scenario)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_a_page_knows_its_place_in_the_series(self, open_store: OpenStore, family: Family) -> None:
        rows, series = SAMPLES[family], SERIES[family]
        first, middle, last = (row.time_ms for row in rows)

        async def scenario(store: MarketStore) -> None:
            assert await store.page(series, Window()) == Page([])
            await put(store, family, rows)
            assert await store.page(series, Window(limit=1)) == Page([rows[2]], 3, last, last, None)
            assert await store.page(series, Window(end_ms=middle)) == Page([rows[0]], 1, last, first, middle)
            assert await store.page(series, Window(end_ms=first)) == Page([], 0, last, None, first)
            assert await store.page(series, Window(first + 1, last)) == Page([rows[1]], 1, last, middle, last)
            assert await store.page(series, Window(last + 1)) == Page([], 0, last, last, None)
            assert await store.page(series, Window(limit=0), counted=False) == Page([])

        using(open_store, scenario)

    def test_totals_of_pages_are_those_of_their_ranges(self, open_store: OpenStore) -> None:
        times = [START_MS + offset for offset in (0, 0, 3, 4, 90, 91, 92, 100)]
        edges = (None, START_MS - 1, START_MS, START_MS + 4, START_MS + 91, START_MS + 100, START_MS + 101)

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.TRADES, [trade(number, time_ms=time) for number, time in enumerate(times)])
            for start, end in product(edges, edges):
                inside = windowed(times, Window(start, end))
                page = await store.page(TRADES, Window(start, end, limit=2, offset=1))
                assert page.total == len(inside), (start, end)
                assert [row.time_ms for row in page.rows] == windowed(times, Window(start, end, limit=2, offset=1))

        using(open_store, scenario)

    # Which candle wins

    @pytest.mark.parametrize("case", CANDLE_CASES, ids=lambda case: case[0])
    def test_which_candle_wins(self, open_store: OpenStore, case: CandleCase) -> None:
        _, stored, incoming, wins, changes, revision = case

        async def scenario(store: MarketStore) -> None:
            assert await put(store, Family.CANDLES, [stored]) == WriteCounts(inserted=1)
            counts = await put(store, Family.CANDLES, [incoming])
            assert counts == (WriteCounts(updated=1) if changes else WriteCounts(unchanged=1))
            expected = (incoming if wins else stored)._replace(revision=revision)
            assert await rows_of(store, CANDLES) == [expected]
            assert (await store.totals())[Family.CANDLES] == 1

        using(open_store, scenario)

    @pytest.mark.parametrize("case", CANDLE_CASES, ids=lambda case: case[0])
    def test_which_candle_of_a_batch_wins(self, open_store: OpenStore, case: CandleCase) -> None:
        _, stored, incoming, wins, _, _ = case

        async def scenario(store: MarketStore) -> None:
            assert await put(store, Family.CANDLES, [stored, incoming]) == WriteCounts(inserted=1, unchanged=1)
            assert await rows_of(store, CANDLES) == [incoming if wins else stored]

        using(open_store, scenario)

    def test_every_correction_of_a_closed_candle_counts(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            for number in range(4):
                await put(store, Family.CANDLES, [candle(str(number), event_ms=number)])
            await put(store, Family.CANDLES, [candle("3", event_ms=9)])
            (found,) = await rows_of(store, CANDLES)
            assert (found.close, found.revision, found.event_time_ms) == ("3", 3, START_MS + 9)

        using(open_store, scenario)

    def test_a_revision_is_the_store_s_own_count(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            await put(store, Family.CANDLES, [candle("1", revision=7)])
            await put(store, Family.CANDLES, [candle("2", event_ms=1, revision=7)])
            (found,) = await rows_of(store, CANDLES)
            assert found.revision == 1

        using(open_store, scenario)

    @settings(deadline=None, max_examples=60, suppress_health_check=INHERITED)
    @given(updates=candle_updates, repeated=st.lists(st.integers(0, 11), max_size=6), sizes=cuts, data=st.data())
    def test_any_delivery_ends_in_the_same_candles(
        self,
        open_fresh: OpenStore,
        updates: list[CandleRow],
        repeated: list[int],
        sizes: list[int],
        data: st.DataObject,
    ) -> None:
        deliveries = [*updates, *(updates[i] for i in repeated if i < len(updates))]
        deliveries = data.draw(st.permutations(deliveries))
        expected = winners(updates)

        async def scenario(store: MarketStore) -> None:
            inserted = offered = 0
            for batch in in_batches(deliveries, sizes):
                counts = await put(store, Family.CANDLES, batch)
                assert counts.inserted + counts.updated + counts.unchanged == len(batch)
                inserted += counts.inserted
                offered += len(batch)
            found = await rows_of(store, CANDLES)
            assert offered == len(deliveries)
            assert inserted == len(expected)
            assert [content(row) for row in found] == expected

        using(open_fresh, scenario)

    # Funding

    @pytest.mark.parametrize(
        ("stored", "incoming", "wins", "changes"),
        [case[1:] for case in FUNDING_CASES],
        ids=[c[0] for c in FUNDING_CASES],
    )
    def test_which_funding_rate_wins(
        self, open_store: OpenStore, stored: FundingRow, incoming: FundingRow, wins: bool, changes: bool
    ) -> None:
        async def scenario(store: MarketStore) -> None:
            await put(store, Family.FUNDING_RATES, [stored])
            counts = await put(store, Family.FUNDING_RATES, [incoming])
            assert counts == (WriteCounts(updated=1) if changes else WriteCounts(unchanged=1))
            assert await rows_of(store, Series(Family.FUNDING_RATES, BTC)) == [incoming if wins else stored]

        using(open_store, scenario)

    def test_several_families_are_one_write(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            readings = [funding(rate=f"0.000{i}", event_ms=i) for i in range(3)]
            parts = [Part(Family.MARK_PRICES, [mark(1), mark(2)]), Part(Family.FUNDING_RATES, readings)]
            counts = await store.write(parts, [letter(1, kind="markprice")])
            assert counts == WriteCounts(inserted=3, unchanged=2, dead_letters=1)
            assert await rows_of(store, Series(Family.MARK_PRICES, BTC)) == [mark(1), mark(2)]
            assert await rows_of(store, Series(Family.FUNDING_RATES, BTC)) == [readings[2]]
            later = [funding(rate="0.9", event_ms=9)]
            counts = await store.write(
                [Part(Family.MARK_PRICES, [mark(2), mark(3)]), Part(Family.FUNDING_RATES, later)]
            )
            assert counts == WriteCounts(inserted=1, updated=1, unchanged=1)

        using(open_store, scenario)

    # Columns

    def test_columns_hold_what_float_makes_of_the_texts(self, open_store: OpenStore) -> None:
        numpy = pytest.importorskip("numpy")
        closes = ["64302.1", "0.1", "0.30000000000000004", "123456789.12345678", "0.00000001", "9007199254740993"]
        rows = [candle(close, slot=slot, volume=f"{slot}.700") for slot, close in enumerate(closes)]

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.CANDLES, rows)
            columns = await store.columns(CANDLES, end_ms=START_MS + 100 * HOUR_MS)
            assert columns.open_time_ms.dtype == numpy.int64
            assert columns.open_time_ms.tolist() == [row.time_ms for row in rows]
            for name in ("open", "high", "low", "close", "volume", "quote_volume", "trades_count", "taker_buy_volume"):
                column = getattr(columns, name)
                assert column.dtype == numpy.float64
                assert column.flags.c_contiguous
                assert column.tolist() == [float(getattr(row, name)) for row in rows], name

        using(open_store, scenario)

    def test_columns_show_missing_values_as_nan(self, open_store: OpenStore) -> None:
        numpy = pytest.importorskip("numpy")
        bare = candle(slot=0)._replace(quote_volume=None, trades_count=None, taker_buy_volume=None)

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.CANDLES, [bare, candle(slot=1, trades=0)])
            columns = await store.columns(CANDLES, end_ms=START_MS + 100 * HOUR_MS)
            for name in ("quote_volume", "trades_count", "taker_buy_volume"):
                assert numpy.isnan(getattr(columns, name)).tolist() == [True, False]
            assert columns.trades_count[1] == 0
            assert not numpy.isnan(columns.close).any()

        using(open_store, scenario)

    def test_columns_hold_closed_candles_that_had_closed(self, open_store: OpenStore) -> None:
        rows = [candle(slot=slot, closed=slot != 3) for slot in range(6)]
        rows.append(candle(slot=1, timeframe="5m"))
        end_of_2 = START_MS + 3 * HOUR_MS

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.CANDLES, rows)

            async def slots(end_ms: int, bars: int | None = None, start: int | None = None) -> list[int]:
                columns = await store.columns(CANDLES, end_ms=end_ms, bars=bars, start_ms=start)
                assert len(columns) == len(columns.close)
                return [(time - START_MS) // HOUR_MS for time in columns.open_time_ms.tolist()]

            assert await slots(START_MS + 100 * HOUR_MS) == [0, 1, 2, 4, 5]
            assert await slots(end_of_2) == [0, 1, 2]
            assert await slots(end_of_2 - 1) == [0, 1]
            assert await slots(START_MS + 100 * HOUR_MS, bars=2) == [4, 5]
            assert await slots(end_of_2, bars=2) == [1, 2]
            assert await slots(end_of_2, bars=50) == [0, 1, 2]
            assert await slots(end_of_2, start=START_MS + HOUR_MS) == [1, 2]
            assert await slots(end_of_2, bars=1, start=START_MS + HOUR_MS) == [2]
            assert await slots(START_MS) == []

        using(open_store, scenario)

    @pytest.mark.recorded
    def test_recorded_candles_keep_their_digits(self, open_store: OpenStore, recorded_data: Path) -> None:
        rows = recorded_rows(recorded_data / "klines/um_1h_BTCUSDT_2025-09_2025-12.csv.gz", BTC, Timeframe.H1)

        async def scenario(store: MarketStore) -> None:
            assert await put(store, Family.CANDLES, rows) == WriteCounts(inserted=len(rows))
            assert await put(store, Family.CANDLES, rows) == WriteCounts(unchanged=len(rows))
            assert await rows_of(store, CANDLES) == rows
            columns = await store.columns(CANDLES, end_ms=rows[-1].time_ms + HOUR_MS)
            assert columns.close.tolist() == [float(row.close) for row in rows]

        using(open_store, scenario)

    # Counts

    def test_extent_is_that_of_the_rows(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            assert await store.extent(TRADES) == (0, None, None)
            await put(store, Family.TRADES, [trade(i) for i in (3, 1, 2)])
            await put(store, Family.CANDLES, [candle(), candle(slot=4), candle(timeframe="5m", slot=9)])
            assert await store.extent(TRADES) == (3, START_MS + 1, START_MS + 3)
            assert await store.extent(TRADES, end_ms=START_MS + 3) == (2, START_MS + 1, START_MS + 2)
            assert await store.extent(TRADES, end_ms=START_MS) == (0, None, None)
            hours = await store.extent(CANDLES)
            assert hours == (2, START_MS, START_MS + 4 * HOUR_MS)
            assert await store.newest_ms(Family.CANDLES) == START_MS + 9 * HOUR_MS
            assert await store.newest_ms(Family.DEPTH) is None

        using(open_store, scenario)

    def test_totals_count_every_symbol(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            assert dict(await store.totals()) == dict.fromkeys(Family, 0)
            await put(store, Family.TRADES, [trade(1), trade(2), trade(1, symbol="ETHUSDT")])
            await put(store, Family.CANDLES, [candle(), candle(timeframe="5m"), candle("2", event_ms=1)])
            await store.delete(Family.TRADES, START_MS + 2, limit=1)
            totals = await store.totals()
            assert totals[Family.TRADES] == 2
            assert totals[Family.CANDLES] == 2

        using(open_store, scenario)

    # Dead letters

    def test_dead_letters_are_stored_with_their_batch_and_once(self, open_store: OpenStore) -> None:
        letters = [letter(1), letter(2, reason=Reason.NOT_JSON)]

        async def scenario(store: MarketStore) -> None:
            assert await put(store, Family.TRADES, [trade(1)], letters) == WriteCounts(inserted=1, dead_letters=2)
            assert await put(store, Family.TRADES, [], letters) == WriteCounts()
            again = [letters[0]._replace(time_ms=START_MS + 99)]
            assert await put(store, Family.TRADES, [trade(1)], again) == WriteCounts(unchanged=1)
            found, total = await store.dead_letters()
            assert sorted(found) == sorted(letters)
            assert total == 2
            assert all(isinstance(one.reason, Reason) for one in found)

        using(open_store, scenario)

    def test_a_dead_letter_is_kept_whole_and_listed_without_its_payload(self, open_store: OpenStore) -> None:
        whole = letter(1)._replace(
            attributes='{"type":"x"}', payload=b"\x00\xff" * 500_000, destination="http://ingest"
        )
        bare = letter(2)

        async def scenario(store: MarketStore) -> None:
            await store.write([], [whole, bare])
            assert await store.dead_letter(whole.dead_letter_id) == whole
            assert await store.dead_letter(bare.dead_letter_id) == bare
            assert await store.dead_letter("unknown") is None
            found, _ = await store.dead_letters()
            assert sorted(found, key=str) == sorted([whole._replace(payload=None), bare], key=str)

        using(open_store, scenario)

    def test_dead_letters_are_paged_newest_first(self, open_store: OpenStore) -> None:
        kinds, reasons = ("trade", "kline"), (Reason.NOT_JSON, Reason.INVALID_VALUE)
        letters = [letter(i, kind=kinds[i % 2], reason=reasons[i % 3 == 0], at_ms=i) for i in range(12)]

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.TRADES, [], letters[::2])
            await put(store, Family.TRADES, [], letters)
            newest_first = letters[::-1]
            assert await store.dead_letters() == (newest_first, 12)
            assert await store.dead_letters(limit=5) == (newest_first[:5], 12)
            assert await store.dead_letters(limit=5, offset=10) == (newest_first[10:], 12)
            assert await store.dead_letters(limit=5, offset=99) == ([], 12)
            klines = [one for one in newest_first if one.kind == "kline"]
            assert await store.dead_letters(kind="kline", limit=2, offset=1) == (klines[1:3], len(klines))
            both = [one for one in klines if one.reason is Reason.NOT_JSON]
            assert await store.dead_letters(kind="kline", reason=Reason.NOT_JSON) == (both, len(both))
            assert await store.dead_letters(reason=Reason.REFUSED) == ([], 0)

        using(open_store, scenario)

    # Deleting

    @pytest.mark.parametrize("family", FAMILIES)
    def test_what_is_older_is_deleted_and_nothing_else(self, open_store: OpenStore, family: Family) -> None:
        rows = SAMPLES[family]

        async def scenario(store: MarketStore) -> None:
            for other in Family:
                await put(store, other, SAMPLES[other])
            assert await store.delete(family, rows[1].time_ms, limit=100) == 1
            assert await store.delete(family, rows[1].time_ms, limit=100) == 0
            assert await rows_of(store, SERIES[family]) == rows[1:]
            totals = await store.totals()
            assert totals == {other: len(SAMPLES[other]) - (other is family) for other in Family}

        using(open_store, scenario)

    def test_deleting_is_bounded_and_goes_on(self, open_store: OpenStore) -> None:
        symbols = ("ADAUSDT", BTC, "ETHUSDT")

        async def scenario(store: MarketStore) -> None:
            for symbol in symbols:
                await put(store, Family.TRADES, [trade(i, symbol=symbol) for i in range(10)])
            gone = [await store.delete(Family.TRADES, START_MS + 7, limit=4) for _ in range(7)]
            assert gone == [4, 4, 4, 4, 4, 1, 0]
            for symbol in symbols:
                assert await rows_of(store, Series(Family.TRADES, symbol)) == [
                    trade(i, symbol=symbol) for i in (7, 8, 9)
                ]

        using(open_store, scenario)

    def test_old_dead_letters_are_deleted(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            await put(store, Family.TRADES, [], [letter(i, at_ms=i) for i in range(5)])
            assert await store.delete("dead_letters", START_MS + 3, limit=2) == 2
            assert await store.delete("dead_letters", START_MS + 3, limit=2) == 1
            assert await store.dead_letters() == ([letter(4, at_ms=4), letter(3, at_ms=3)], 2)

        using(open_store, scenario)

    # Several at once

    def test_changes_tell_what_happened_to_which_series(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            assert await store.changes(0, limit=9) == []
            await put(store, Family.TRADES, [trade(1), trade(5), trade(2, symbol="ETHUSDT")])
            await put(store, Family.TRADES, [trade(1)])  # nothing new
            await put(store, Family.CANDLES, [candle(), candle(slot=2)])
            await put(store, Family.CANDLES, [candle("2", event_ms=1), candle(slot=3)])
            await store.delete(Family.TRADES, START_MS + 2, limit=9)
            found = await store.changes(0, limit=9)
            assert [change.number for change in found] == sorted({change.number for change in found})
            counts = [(change.dataset_id, change.inserted, change.updated, change.deleted) for change in found]
            assert sorted(counts[:2]) == [("trades_BTCUSDT", 2, 0, 0), ("trades_ETHUSDT", 1, 0, 0)]
            assert counts[2:] == [
                ("candles_BTCUSDT_1h", 2, 0, 0),
                ("candles_BTCUSDT_1h", 1, 1, 0),
                ("trades_BTCUSDT", 0, 0, 1),
            ]
            by_name = {change.dataset_id: change for change in reversed(found)}
            assert by_name["trades_BTCUSDT"][2:4] == (START_MS + 1, START_MS + 5)
            assert found[3][2:4] == (START_MS, START_MS + 3 * HOUR_MS)
            assert abs(found[0].time_ms - SystemClock().now_ms()) < HOUR_MS
            assert await store.changes(found[1].number, limit=2) == found[2:4]
            assert await store.changes(found[-1].number, limit=2) == []

        using(open_store, scenario)

    def test_a_revision_changes_with_its_series(self, open_store: OpenStore) -> None:
        async def scenario() -> None:
            async with open_store() as store, open_store() as other:

                async def revisions() -> tuple[object, object]:
                    return (
                        await store.revision(CANDLES),
                        await store.revision(TRADES),
                    )

                candles, trades = await revisions()
                assert await revisions() == (candles, trades)
                await put(store, Family.CANDLES, [candle()])
                own = await revisions()
                assert own[0] != candles
                assert own[1] == trades
                await put(other, Family.TRADES, [trade(1)])
                foreign = await revisions()
                assert foreign[0] == own[0]
                assert foreign[1] != own[1]
                await put(other, Family.TRADES, [trade(1)])
                assert await revisions() == foreign
                await other.delete(Family.TRADES, START_MS + 99, limit=9)
                assert (await revisions())[1] != foreign[1]

        asyncio.run(scenario())

    def test_writers_at_once_store_every_row_once(self, open_store: OpenStore) -> None:
        batches = [[trade(i) for i in range(start, start + 60)] for start in range(0, 600, 20)]

        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                stores = [one, two]
                writes = [put(stores[i % 2], Family.TRADES, batch) for i, batch in enumerate([*batches, *batches])]
                counts = await asyncio.gather(*writes)
                distinct = {row for batch in batches for row in batch}
                assert sum(count.inserted for count in counts) == len(distinct)
                assert sum(count.unchanged for count in counts) == 2 * 60 * len(batches) - len(distinct)
                assert await rows_of(one, TRADES) == sorted(distinct)
                assert (await two.totals())[Family.TRADES] == len(distinct)

        asyncio.run(scenario())

    def test_writers_at_once_agree_on_the_candle(self, open_store: OpenStore) -> None:
        updates = [candle(str(i), slot=i % 3, closed=i % 5 == 0, event_ms=i) for i in range(60)]

        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                stores = [one, two]
                deliveries = [*updates, *reversed(updates)]
                counts = await asyncio.gather(
                    *(put(stores[i % 2], Family.CANDLES, [row]) for i, row in enumerate(deliveries))
                )
                assert sum(count.inserted for count in counts) == 3
                assert [content(row) for row in await rows_of(two, CANDLES)] == winners(updates)

        asyncio.run(scenario())

    def test_reads_go_on_while_it_is_written(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            writes = [
                asyncio.ensure_future(put(store, Family.TRADES, [trade(i) for i in range(start, start + 100)]))
                for start in range(0, 2000, 100)
            ]
            seen = []
            while not all(write.done() for write in writes):
                seen.append(len(await rows_of(store, TRADES)))
            await asyncio.gather(*writes)
            seen.append(len(await rows_of(store, TRADES)))
            assert seen == sorted(seen)
            assert all(count % 100 == 0 for count in seen) or not self.batches_are_atomic
            assert seen[-1] == 2000

        using(open_store, scenario)

    def test_ping_asks_the_store(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            before = await store.totals()
            await store.ping()
            await store.ping(write=True)
            assert await store.totals() == before
            assert store.name

        using(open_store, scenario)
