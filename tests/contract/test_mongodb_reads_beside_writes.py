"""Pages and kept answers on MongoDB while others write: a page agrees with itself, and an answer is kept while true."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from common.clock import FixedClock
from common.models.families import Family, Series
from common.storage.mongodb import reading
from common.storage.mongodb.changes import Span
from common.storage.mongodb.connection import ConnectionOptions
from common.storage.mongodb.market import MongoMarketStore
from common.storage.ports import Page, Window
from common.timeframes import Timeframe
from functions.api_data.queries import CandlesQuery
from functions.api_data.reader import MarketReader
from tests.support.mongo_stores import opened
from tests.support.store_rows import BTC, CANDLES, HOUR_MS, START_MS, TRADES, candle, put, trade

Interrupt = Callable[[Callable[[], Awaitable[Any]]], None]


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    """Let something happen whenever a page has read its rows and not yet its place."""
    extent = reading.extent

    def arrange(event: Callable[[], Awaitable[Any]]) -> None:
        async def interrupted(*arguments: Any) -> Any:
            await event()
            return await extent(*arguments)

        monkeypatch.setattr(reading, "extent", interrupted)

    return arrange


def test_a_page_is_of_one_state_though_rows_came_while_it_was_read(
    mongodb_connection: ConnectionOptions, interrupt: Interrupt
) -> None:
    async def scenario() -> None:
        async with (
            opened(MongoMarketStore, mongodb_connection) as store,
            opened(MongoMarketStore, mongodb_connection) as other,
        ):
            await put(store, Family.TRADES, [trade(1), trade(2)])
            late = iter([trade(4), trade(3)])

            async def write() -> None:
                if row := next(late, None):
                    await put(other, Family.TRADES, [row])

            interrupt(write)
            found = await store.page(TRADES, Window(end_ms=START_MS + 99))
            rows = [trade(1), trade(2), trade(3), trade(4)]
            assert found == Page(rows, 4, START_MS + 4, START_MS + 4, None)

    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [2, 50])
def test_a_page_of_a_series_that_is_written_all_the_time_does_not_deny_its_rows(
    mongodb_connection: ConnectionOptions, interrupt: Interrupt, limit: int
) -> None:
    async def scenario() -> None:
        async with (
            opened(MongoMarketStore, mongodb_connection) as store,
            opened(MongoMarketStore, mongodb_connection) as other,
        ):
            await put(store, Family.TRADES, [trade(1), trade(2), trade(3)])
            gone = [trade(9), trade(3), trade(2), trade(1)]

            async def delete() -> None:
                if gone:
                    await other.connection.collection("trades_BTCUSDT").delete_one({"trade_id": gone.pop().trade_id})

            interrupt(delete)
            async with other._changes.recorded({"trades_BTCUSDT": Span(0, 1)}):
                found = await store.page(TRADES, Window(limit=limit))
            assert found.rows == [trade(1), trade(2), trade(3)][-limit:]
            assert found.total >= len(found.rows)
            assert found.newest_ms == found.before_ms == START_MS + 3
            assert limit == 2 or found.total == 3

    asyncio.run(scenario())


class CountingStore(MongoMarketStore):
    """Counts the pages that are read."""

    pages = 0

    async def page(self, series: Series, window: Window, *, counted: bool = True) -> Page[Any]:
        self.pages += 1
        return await super().page(series, window, counted=counted)


def closes(answer: bytes) -> list[str]:
    return [value["close"] for value in json.loads(answer)["values"]]


def test_answers_are_kept_while_nobody_writes_their_series(mongodb_connection: ConnectionOptions) -> None:
    query = CandlesQuery(pair=BTC, period=Timeframe.H1)

    async def scenario() -> None:
        async with (
            opened(CountingStore, mongodb_connection) as store,
            opened(MongoMarketStore, mongodb_connection) as other,
        ):
            reader = MarketReader(store, FixedClock(START_MS + 9 * HOUR_MS))
            await put(other, Family.CANDLES, [candle("1")])
            for _ in range(3):
                assert closes(await reader.candles(query)) == ["1"]
            assert store.pages == 1
            await put(other, Family.CANDLES, [candle("1")])
            await put(other, Family.TRADES, [trade(1)])
            assert closes(await reader.candles(query)) == ["1"]
            assert store.pages == 1
            await put(other, Family.CANDLES, [candle("2", event_ms=1)])
            assert closes(await reader.candles(query)) == ["2"]
            await other.delete(Family.CANDLES, START_MS + 1, limit=1)
            assert closes(await reader.candles(query)) == []
            assert store.pages == 3

    asyncio.run(scenario())


def test_an_answer_that_is_read_while_its_series_is_written_is_not_kept(mongodb_connection: ConnectionOptions) -> None:
    query = CandlesQuery(pair=BTC, period=Timeframe.H1)

    async def scenario() -> None:
        async with (
            opened(CountingStore, mongodb_connection) as store,
            opened(MongoMarketStore, mongodb_connection) as other,
        ):
            reader = MarketReader(store, FixedClock(START_MS + 9 * HOUR_MS))
            await put(other, Family.CANDLES, [candle("1")])
            assert closes(await reader.candles(query)) == ["1"]
            async with other._changes.recorded({CANDLES.dataset_id: Span(START_MS, START_MS)}):
                for _ in range(2):
                    await reader.candles(query)
                assert store.pages == 3
            assert closes(await reader.candles(query)) == ["1"]  # nothing had changed: the first answer is true again
            assert store.pages == 3

    asyncio.run(scenario())
