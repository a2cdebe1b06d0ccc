"""Kept answers: the same bytes as a fresh read, whatever is written and however the clock moves."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.clock import FixedClock
from common.models.families import Family
from common.models.rows import CandleRow, Origin, TradeRow
from common.times import MINUTE_MS
from functions.api_data.answers import Answers, Validity
from functions.api_data.queries import CandlesQuery, TradesQuery
from functions.api_data.reader import MarketReader
from tests.support.watched_store import WatchedStore, watched_store

BASE_MS = 1_760_961_600_000
SLOTS = 12


def candle(slot: int, close: str = "1.50") -> CandleRow:
    return CandleRow(
        symbol="BTCUSDT",
        timeframe="1m",
        time_ms=BASE_MS + slot * MINUTE_MS,
        open="1.0",
        high="2.00",
        low="0.5",
        close=close,
        volume="10",
        quote_volume=None,
        trades_count=None,
        taker_buy_volume=None,
        taker_buy_quote_volume=None,
        is_closed=True,
        event_time_ms=BASE_MS,
        origin=Origin.STREAM,
    )


def trade(slot: int, trade_id: int) -> TradeRow:
    return TradeRow("BTCUSDT", BASE_MS + slot * MINUTE_MS, trade_id, "1.0", "0.10", is_buyer_maker=False)


instants = st.none() | st.integers(-1, SLOTS + 1).map(lambda slot: str(BASE_MS + slot * MINUTE_MS))
windows = st.fixed_dictionaries(
    {
        "pair": st.just("BTCUSDT"),
        "start": instants,
        "end": instants,
        "limit": st.sampled_from([1, 3, 100]),
        "offset": st.sampled_from([0, 0, 2]),
        "sort_order": st.sampled_from(["asc", "desc"]),
    }
).map(lambda query: {key: value for key, value in query.items() if value is not None})
ordered = windows.filter(lambda query: int(query.get("start", 0)) <= int(query.get("end", BASE_MS**2)))
queries = st.one_of(
    ordered.map(lambda query: CandlesQuery.model_validate({"period": "1m", **query})),
    ordered.map(TradesQuery.model_validate),
)
NEWEST = CandlesQuery.model_validate({"pair": "BTCUSDT", "period": "1m"})


@dataclass(frozen=True)
class Write:
    """A change to the store: rows written, or candles before a time deleted."""

    rows: tuple[CandleRow | TradeRow, ...] = ()
    forget_before_ms: int | None = None

    def carry_out(self, store: WatchedStore) -> None:
        for row in self.rows:
            store.put(Family.CANDLES if isinstance(row, CandleRow) else Family.TRADES, [row])
        if self.forget_before_ms is not None:
            store.forget(Family.CANDLES, self.forget_before_ms)


@dataclass(frozen=True)
class Step:
    """The clock moves, something is written, and one of the questions is asked.

    ``during`` is written while the question is being read for.
    """

    clock_ms: int
    write: Write
    question: int
    during: Write | None = None


slots = st.integers(0, SLOTS)
changes = st.one_of(
    st.builds(lambda slot, close: Write((candle(slot, close),)), slots, st.sampled_from("123")),
    st.builds(lambda slot, number: Write((trade(slot, number),)), slots, st.integers(1, 3)),
    st.builds(lambda slot: Write(forget_before_ms=BASE_MS + slot * MINUTE_MS), slots),
)
moves = st.one_of(st.just(0), st.just(MINUTE_MS), st.integers(-3 * MINUTE_MS, 3 * MINUTE_MS))
rarely = st.integers(0, 3).map(lambda chance: chance == 0)
writes = st.builds(lambda happens, change: change if happens else Write(), rarely, changes)
during = st.builds(lambda happens, change: change if happens else None, rarely, changes)
steps = st.builds(Step, moves, writes, st.integers(0, 1), during)


def reader_on(store: WatchedStore, clock: FixedClock, kept_bytes: int = 2**20) -> MarketReader:
    return MarketReader(store, clock, kept_bytes=kept_bytes)


async def ask(reader: MarketReader, query: CandlesQuery | TradesQuery) -> bytes:
    await asyncio.sleep(0)  # a request arrives in a turn of the event loop of its own
    return await (reader.candles(query) if isinstance(query, CandlesQuery) else reader.trades(query))


@pytest.fixture
def store() -> Iterator[WatchedStore]:
    with watched_store() as opened:
        yield opened


@settings(max_examples=60, deadline=None)
@given(pool=st.lists(queries, min_size=2, max_size=2), script=st.lists(steps, max_size=30))
def test_a_kept_answer_is_what_a_fresh_read_would_give(
    pool: list[CandlesQuery | TradesQuery], script: list[Step]
) -> None:
    async def play(store: WatchedStore, clock: FixedClock) -> None:
        keeping, fresh = reader_on(store, clock), reader_on(store, clock, kept_bytes=0)
        for step in script:
            clock.advance(step.clock_ms)
            step.write.carry_out(store)
            query = pool[step.question]
            if step.during is not None:
                store.interruption = partial(step.during.carry_out, store)
                await ask(keeping, query)  # read after the write, and kept for the revision before it
                store.interruption = None
            assert await ask(keeping, query) == await ask(fresh, query)

    with watched_store() as store:
        store.put(Family.CANDLES, [candle(slot) for slot in range(0, SLOTS, 2)])
        store.put(Family.TRADES, [trade(slot, slot) for slot in range(0, SLOTS, 3)])
        asyncio.run(play(store, FixedClock(BASE_MS + 5 * MINUTE_MS)))


def reads_of(store: WatchedStore, reader: MarketReader) -> int:
    """Ask for the newest candles and return how many reads of the store that took."""
    before = len(store.datasets)
    asyncio.run(reader.candles(NEWEST))
    return len(store.datasets) - before


def test_unchanged_data_are_read_once(store: WatchedStore) -> None:
    clock = FixedClock(BASE_MS + 5 * MINUTE_MS)
    store.put(Family.CANDLES, [candle(slot) for slot in range(4)])
    reader = reader_on(store, clock)
    first = reads_of(store, reader)
    assert first > 0
    assert reads_of(store, reader) == 0
    clock.advance(MINUTE_MS)
    assert reads_of(store, reader) == 0
    store.put(Family.TRADES, [trade(1, 1)])
    assert reads_of(store, reader) == 0
    store.put(Family.CANDLES, [candle(4)])
    assert reads_of(store, reader) == first


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_write_is_seen_by_whoever_asks_after_it_however_long_a_revision_takes(
    store: WatchedStore, turns: int
) -> None:
    store.revision_turns, clock = turns, FixedClock(BASE_MS + 5 * MINUTE_MS)
    reader = reader_on(store, clock)

    async def run() -> None:
        for slot in range(5):
            earlier = asyncio.create_task(ask(reader, NEWEST))
            for _ in range(slot):
                await asyncio.sleep(0)
            store.put(Family.CANDLES, [candle(slot)])
            assert (await ask(reader, NEWEST)).count(b'"close"') == slot + 1
            await earlier

    asyncio.run(run())


def test_the_end_that_was_absent_is_the_present_also_in_a_kept_answer(store: WatchedStore) -> None:
    clock = FixedClock(BASE_MS + 5 * MINUTE_MS)
    store.put(Family.CANDLES, [candle(1)])
    reader = reader_on(store, clock)
    first = asyncio.run(reader.candles(NEWEST))
    clock.advance(1)
    second = asyncio.run(reader.candles(NEWEST))
    assert b'"end":"2025-10-20T12:05:00.000Z"' in first
    assert second == first.replace(b"12:05:00.000Z", b"12:05:00.001Z")


def test_a_row_that_lay_ahead_appears_when_its_time_has_passed(store: WatchedStore) -> None:
    clock = FixedClock(BASE_MS + MINUTE_MS)
    store.put(Family.CANDLES, [candle(0, "1"), candle(1, "2")])
    reader = reader_on(store, clock)
    assert asyncio.run(reader.candles(NEWEST)).count(b'"close"') == 1
    clock.advance(1)
    assert asyncio.run(reader.candles(NEWEST)).count(b'"close"') == 2


def test_a_store_without_revisions_is_always_read(store: WatchedStore) -> None:
    clock = FixedClock(BASE_MS + 5 * MINUTE_MS)
    store.has_revision = False
    store.put(Family.CANDLES, [candle(1)])
    reader = reader_on(store, clock)
    assert reads_of(store, reader) == reads_of(store, reader) > 0


def test_memory_is_bounded_and_the_least_recently_used_answer_goes_first() -> None:
    answers = Answers(max_bytes=3 * 1600)
    for name in "abc":
        assert answers.get(name, 1, 0) is None
        answers.put(name, 1, name.encode() * 1000, Validity())
    assert answers.get("a", 1, 0) is not None
    answers.put("d", 1, b"d" * 1000, Validity())
    kept = [name for name in "abcd" if answers.get(name, 1, 0) is not None]
    assert kept == ["a", "c", "d"]


def test_an_answer_larger_than_the_memory_is_not_kept() -> None:
    answers = Answers(max_bytes=1000)
    answers.get("a", 1, 0)
    answers.put("a", 1, b"a" * 1000, Validity())
    assert answers.get("a", 1, 0) is None


def test_answers_of_an_older_revision_are_gone() -> None:
    answers = Answers(max_bytes=10_000)
    answers.get("a", 1, 0)
    answers.put("a", 1, b"old", Validity())
    assert answers.get("a", 2, 0) is None
    answers.put("a", 1, b"late", Validity())
    assert answers.get("a", 2, 0) is None


def test_requests_that_arrived_together_ask_for_the_revision_once(store: WatchedStore) -> None:
    clock = FixedClock(BASE_MS + 5 * MINUTE_MS)
    reader = reader_on(store, clock)

    async def run() -> list[int]:
        await reader.candles(NEWEST)
        polls = []
        for _ in range(2):
            before = store.polls
            await asyncio.gather(*(reader.candles(NEWEST) for _ in range(5)))
            polls.append(store.polls - before)
        return polls

    assert asyncio.run(run()) == [1, 1]
