"""Market data that an earlier version of this program wrote: opened, every row kept, the contract fulfilled.

``written_before`` holds a dump of the file that version 80fd9b4 itself wrote, with ids stored at several times, as that
version did.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from common.errors import ConfigurationError
from common.models.families import Family, Series
from common.storage.ports import AnalyticsStore, MarketStore, Window, WriteCounts
from common.storage.sqlite import schema, steps
from common.storage.sqlite.base import FILE_NAME
from common.timeframes import Timeframe
from tests.contract.analytics_store_contract import AnalyticsStoreContract, OpenAnalyticsStore
from tests.contract.analytics_store_contract import using as using_analytics
from tests.contract.market_store_contract import MarketStoreContract, OpenStore, using
from tests.contract.test_sqlite_analytics_store import opened as opened_analytics
from tests.contract.test_sqlite_market_store import opened
from tests.support.store_rows import (
    BTC,
    CANDLES,
    HOUR_MS,
    SAMPLES,
    SERIES,
    START_MS,
    TRADES,
    book,
    candle,
    letter,
    put,
    rows_of,
    ticker,
    trade,
)

WRITTEN: Final = Path(__file__).parent / "written_before" / "market.sqlite.sql"


def made_file(folder: Path, *, rows: bool = True) -> None:
    """Make the state folder of the earlier version."""
    folder.mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.executescript(WRITTEN.read_text())
    if not rows:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        connection.executescript("".join(f"DELETE FROM {name};" for name in tables - {"counters"}))
        connection.executescript("UPDATE counters SET value = 0")
    connection.close()


class TestFileOfAnEarlierVersion(MarketStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        made_file(tmp_path, rows=False)
        return lambda: opened(tmp_path)

    @pytest.fixture
    def open_fresh(self, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[MarketStore]]:
        numbers = count()

        def open_next() -> AbstractAsyncContextManager[MarketStore]:
            folder = tmp_path / str(next(numbers))
            made_file(folder, rows=False)
            return opened(folder)

        return open_next


class TestDocumentsOfAnEarlierVersion(AnalyticsStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenAnalyticsStore:
        made_file(tmp_path, rows=False)
        return lambda: opened_analytics(tmp_path)


async def _holds_every_row(store: MarketStore) -> None:
    """Of rows with one id the earliest stays; all others of that version are there."""
    first, _, third = SAMPLES[Family.TRADES]
    earliest = trade(2, time_ms=START_MS - 5, price="1.5")
    assert await rows_of(store, TRADES) == [earliest, first, third, trade(7)]
    assert await rows_of(store, Series(Family.TRADES, "ETHUSDT")) == [trade(1, symbol="ETHUSDT")]
    hours = SAMPLES[Family.CANDLES]
    corrected = candle("64120.00", event_ms=9)._replace(revision=1)
    assert await rows_of(store, CANDLES) == [corrected, *hours[1:]]
    assert await rows_of(store, Series(Family.CANDLES, BTC, Timeframe.M5)) == [candle(timeframe="5m")]
    assert await rows_of(store, Series(Family.TICKERS, BTC)) == [ticker(2), ticker(3)]
    for family in (Family.AGG_TRADES, Family.DEPTH, Family.MARK_PRICES, Family.FUNDING_RATES):
        page = await store.page(SERIES[family], Window())
        assert page.rows == SAMPLES[family]
        assert page.total == (await store.totals())[family] == 3
    assert (await store.page(TRADES, Window())).total == 4
    assert (await store.totals())[Family.TRADES] == 5
    assert sorted((await store.dead_letters())[0]) == sorted([letter(1), letter(2, kind="kline")])


def test_every_row_of_an_earlier_file_is_kept(tmp_path: Path) -> None:
    made_file(tmp_path)
    using(lambda: opened(tmp_path), _holds_every_row)
    using(lambda: opened(tmp_path), _holds_every_row)


def test_every_document_of_an_earlier_file_is_kept(tmp_path: Path) -> None:
    made_file(tmp_path)

    async def scenario(store: AnalyticsStore) -> None:
        trends = await store.documents(BTC, "trend", "1h", Window())
        assert [one.body for one in trends] == [{"sma": "0.50"}, {"sma": "1.50"}]
        (spread,) = await store.documents(BTC, "spread", None, Window())
        assert (spread.body, spread.computed_at_ms) == ({"é": "1"}, START_MS + 3)
        assert len(await store.documents("MARKET", "correlation_matrix", "1d", Window())) == 1

    using_analytics(lambda: opened_analytics(tmp_path), scenario)


def test_what_had_an_id_twice_becomes_evidence(tmp_path: Path) -> None:
    made_file(tmp_path)

    async def scenario(store: MarketStore) -> None:
        found, total = await store.contradictions()
        offered = [(one.dataset_id, one.key, json.loads(one.offered)["time_ms"] - START_MS) for one in found]
        expected = [("trades_BTCUSDT", 2, 2), ("trades_BTCUSDT", 7, 8), ("trades_BTCUSDT", 7, 9)]
        assert sorted(offered) == [("depth_BTCUSDT", 3, 50), *expected]
        assert total == 4
        late = trade(3, time_ms=START_MS + HOUR_MS, price="12345678901234567890.12345678901234")
        assert await put(store, Family.TRADES, [trade(7), late, trade(8)]) == WriteCounts(1, 0, 1, 1)
        assert await put(store, Family.DEPTH, [book(2, time_ms=START_MS)]) == WriteCounts(contradicted=1)

    using(lambda: opened(tmp_path), scenario)


def test_changes_begin_with_every_series_that_is_there(tmp_path: Path) -> None:
    made_file(tmp_path)

    async def scenario(store: MarketStore) -> None:
        changes = {change.dataset_id: change for change in await store.changes(0, limit=99)}
        assert len(changes) == 13
        assert changes["trades_BTCUSDT"][2:5] == (START_MS - 5, START_MS + 7, 4)
        assert changes["analytics_BTCUSDT_trend_1h"].inserted == 2
        assert {"analytics_correlation_matrix_1d", "analytics_BTCUSDT_spread", "candles_BTCUSDT_5m"} <= set(changes)
        newest = max(change.number for change in changes.values())
        await put(store, Family.TRADES, [trade(100)])
        ((last,), before) = (await store.changes(newest, limit=9), await store.revision(SERIES[Family.DEPTH]))
        assert last.dataset_id == "trades_BTCUSDT"
        assert before != await store.revision(TRADES)

    using(lambda: opened(tmp_path), scenario)


def _form_of(folder: Path) -> tuple[int, list[tuple[Any, ...]]]:
    connection = sqlite3.connect(folder / FILE_NAME)
    names = sorted(
        name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")
    )
    form = [(name, *connection.execute(f"PRAGMA table_info('{name}')").fetchall()) for name in names]
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return version, form


def test_an_earlier_file_gets_the_form_of_a_new_one(tmp_path: Path) -> None:
    made_file(tmp_path / "earlier")
    for folder in ("earlier", "new"):
        using(lambda folder=folder: opened(tmp_path / folder), lambda store: store.ping(write=True))  # type: ignore[misc]
    assert _form_of(tmp_path / "earlier") == _form_of(tmp_path / "new")


def test_several_stores_that_open_an_earlier_file_at_once_bring_it_forward_once(tmp_path: Path) -> None:
    made_file(tmp_path)

    async def scenario() -> None:
        async with opened(tmp_path, 5000) as one, opened(tmp_path, 5000) as two, opened(tmp_path, 5000) as three:
            await asyncio.gather(one.ping(), two.ping(), three.ping())
            await _holds_every_row(three)

    asyncio.run(scenario())


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_file(tmp_path)
    before = _form_of(tmp_path)

    def failing(connection: sqlite3.Connection) -> None:
        steps.STEPS[1](connection)
        raise RuntimeError("the second half")

    monkeypatch.setattr(schema, "STEPS", (steps.STEPS[0], failing, steps.STEPS[2]))
    with pytest.raises(RuntimeError, match="second half"):
        using(lambda: opened(tmp_path), lambda store: store.ping())
    assert _form_of(tmp_path) == before


def test_a_file_of_a_newer_program_is_refused_with_a_way_out(tmp_path: Path) -> None:
    made_file(tmp_path)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(ConfigurationError) as caught:
        using(lambda: opened(tmp_path), lambda store: store.ping())
    for words in ("format 999", f"format {schema.VERSION}", "PETROSA_DATA_DIR"):
        assert words in str(caught.value)


def test_rows_that_are_far_apart_are_looked_for_apart(tmp_path: Path) -> None:
    made_file(tmp_path, rows=False)
    rows = [trade(number, time_ms=START_MS + number * HOUR_MS) for number in range(3)]
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.executemany("INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("INSERT INTO series VALUES (?, 1, 3)", (TRADES.dataset_id,))
    connection.close()

    async def scenario(store: MarketStore) -> None:
        assert await put(store, Family.TRADES, [*rows, trade(3)]) == WriteCounts(inserted=1, unchanged=3)

    using(lambda: opened(tmp_path), scenario)
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        spans = connection.execute("SELECT first_ms, last_ms FROM spans WHERE last_id < 3").fetchall()
    connection.close()
    assert spans == [(row.time_ms, row.time_ms) for row in rows]
