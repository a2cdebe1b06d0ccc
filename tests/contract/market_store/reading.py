"""What is promised of reading: windows, pages, columns, extents and totals."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from common.models.families import Family
from common.storage.ports import MarketStore, Page, Window, WriteCounts
from common.timeframes import Timeframe
from tests.contract.market_store.opening import FAMILIES, OpenStore, StoreOpened, using
from tests.support.candles import recorded_rows
from tests.support.store_rows import (
    BTC,
    CANDLES,
    HOUR_MS,
    SAMPLES,
    SERIES,
    START_MS,
    TRADES,
    candle,
    put,
    rows_of,
    trade,
)


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


class ReadingContract(StoreOpened):
    """What is read of a series."""

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
