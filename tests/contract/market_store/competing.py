"""What is promised of rows that compete: candles and funding rates (design.md, "Which candle wins")."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.models.families import Family, Series
from common.models.rows import CandleRow, FundingRow, Origin
from common.storage.ports import MarketStore, Part, WriteCounts
from tests.contract.market_store.opening import INHERITED, OpenStore, StoreOpened, using
from tests.support.store_rows import (
    BTC,
    CANDLES,
    START_MS,
    candle,
    funding,
    letter,
    mark,
    put,
    rows_of,
)


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


def in_batches(rows: Sequence[CandleRow], sizes: Sequence[int]) -> list[list[CandleRow]]:
    """Cut a delivery into batches of these sizes; the rest is one batch."""
    batches, start = [], 0
    for size in (*sizes, len(rows)):
        if rows[start : start + size]:
            batches.append(list(rows[start : start + size]))
        start += size
    return batches


class CompetingContract(StoreOpened):
    """Rows of which the better one stays."""

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
