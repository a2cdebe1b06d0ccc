"""The counts that the embedded store keeps for each series, against counting the rows themselves."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from common.models.families import Family, Series
from common.models.rows import CandleRow, Origin, TradeRow
from common.storage.ports import Window
from common.storage.sqlite.market import SqliteMarketStore
from common.timeframes import Timeframe
from tests.support.store_rows import put, rows_of

PAIRS = ("BTCUSDT", "ETHUSDT")
MINUTE = 60_000

trades = st.lists(st.tuples(st.sampled_from(PAIRS), st.integers(0, 30)), max_size=20)
candles = st.lists(st.tuples(st.sampled_from(PAIRS), st.integers(0, 10), st.booleans(), st.integers(0, 3)), max_size=8)
steps = st.lists(
    st.one_of(
        trades.map(lambda rows: ("trades", rows)),
        candles.map(lambda rows: ("candles", rows)),
        st.integers(0, 30).map(lambda cutoff: ("delete", cutoff)),
    ),
    max_size=8,
)


def _trade(pair: str, number: int) -> TradeRow:
    return TradeRow(pair, number, number, "1.0", "2.0", is_buyer_maker=True)


def _candle(pair: str, slot: int, is_closed: bool, event_ms: int) -> CandleRow:
    prices = ("1", "2", "0.5", f"1.{event_ms}", "9")
    return CandleRow(pair, "1m", slot * MINUTE, *prices, None, None, None, None, is_closed, event_ms, Origin.STREAM)


@settings(deadline=None, max_examples=60)
@given(steps, st.integers(-1, 31))
def test_kept_counts_agree_with_counting(operations: list[tuple[str, object]], end: int) -> None:
    async def run(folder: Path) -> None:
        store = SqliteMarketStore(folder, busy_timeout_ms=1000)
        for kind, what in operations:
            before = {pair: await store.revision(Series(Family.TRADES, pair)) for pair in PAIRS}
            rows_before = {
                pair: await rows_of(store, Series(Family.TRADES, pair), Window(limit=1000)) for pair in PAIRS
            }
            if kind == "trades":
                await put(store, Family.TRADES, [_trade(*row) for row in what])  # type: ignore[attr-defined]
            elif kind == "candles":
                await put(store, Family.CANDLES, [_candle(*row) for row in what])  # type: ignore[attr-defined]
            else:
                await store.delete(Family.TRADES, what, limit=5)  # type: ignore[arg-type]
            for pair in PAIRS:
                changed = rows_before[pair] != await rows_of(store, Series(Family.TRADES, pair), Window(limit=1000))
                assert changed == (before[pair] != await store.revision(Series(Family.TRADES, pair)))
        for pair in PAIRS:
            times = [row.time_ms for row in await rows_of(store, Series(Family.TRADES, pair), Window(limit=1000))]
            for end_ms in (None, end):
                inside = [time for time in times if end_ms is None or time < end_ms]
                found = await store.extent(Series(Family.TRADES, pair), end_ms=end_ms)
                assert found == (len(inside), min(inside, default=None), max(inside, default=None))
            slots = await rows_of(store, Series(Family.CANDLES, pair, Timeframe.M1), Window(limit=1000))
            assert (await store.extent(Series(Family.CANDLES, pair, Timeframe.M1))).rows == len(slots)
        newest = [
            row.time_ms
            for pair in PAIRS
            for row in await rows_of(store, Series(Family.TRADES, pair), Window(limit=1000))
        ]
        assert await store.newest_ms(Family.TRADES) == max(newest, default=None)
        await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
