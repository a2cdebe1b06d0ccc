"""Prices that are written on one store and read on another are the same strings, digit for digit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from common.models.families import Family, Series
from common.models.rows import MarketRow
from common.storage.mongodb.market import MongoMarketStore
from common.storage.ports import MarketStore
from common.storage.sqlite.market import SqliteMarketStore
from common.timeframes import Timeframe
from tests.support.candles import recorded_rows
from tests.support.mongo_stores import opened, options
from tests.support.servers.mongodb import MongoServer
from tests.support.store_rows import SAMPLES, SERIES, START_MS, candle, put, rows_of, trade

# What exchanges write, and what only just fits or does not fit the other store's number type.
TEXTS = [
    "0.00000001",
    "64302.10",
    "64302.1000",
    "100",
    "1",
    "0.10",
    "99999999.99999999",
    "1234567890123456.123456789012345678",
    "12345678901234567890.123456789012345678",
    "00.10",
]


def with_both(
    folder: Path, server: MongoServer, database: str, scenario: Callable[[MarketStore, MarketStore], Awaitable[None]]
) -> None:
    """Run a scenario on an embedded store and one on MongoDB."""

    async def run() -> None:
        embedded = SqliteMarketStore(folder, busy_timeout_ms=2000)
        try:
            async with opened(MongoMarketStore, options(server.url, database)) as mongo:
                await scenario(embedded, mongo)
        finally:
            await embedded.close()

    asyncio.run(run())


async def copy(source: MarketStore, target: MarketStore, family: Family) -> Sequence[MarketRow]:
    """Copy a series from store to store and return what the target then holds."""
    await put(target, family, await rows_of(source, SERIES[family]))
    return await rows_of(target, SERIES[family])


@pytest.mark.parametrize("family", list(Family))
def test_rows_survive_both_ways(
    tmp_path: Path, mongodb_server: MongoServer, mongodb_database: str, family: Family
) -> None:
    async def scenario(embedded: MarketStore, mongo: MarketStore) -> None:
        await put(embedded, family, SAMPLES[family])
        assert await copy(embedded, mongo, family) == SAMPLES[family]
        second = SqliteMarketStore(tmp_path / "second", busy_timeout_ms=2000)
        try:
            assert await copy(mongo, second, family) == SAMPLES[family]
        finally:
            await second.close()

    with_both(tmp_path, mongodb_server, mongodb_database, scenario)


def test_every_way_to_write_a_price_survives(
    tmp_path: Path, mongodb_server: MongoServer, mongodb_database: str
) -> None:
    rows = [trade(number, price=text)._replace(quantity=text) for number, text in enumerate(TEXTS)]

    async def scenario(embedded: MarketStore, mongo: MarketStore) -> None:
        await put(embedded, Family.TRADES, rows)
        assert await copy(embedded, mongo, Family.TRADES) == rows

    with_both(tmp_path, mongodb_server, mongodb_database, scenario)


def test_both_compute_on_the_same_doubles(tmp_path: Path, mongodb_server: MongoServer, mongodb_database: str) -> None:
    rows = [candle(text, slot=slot, volume=text) for slot, text in enumerate(TEXTS)]
    rows.append(candle("7", slot=len(rows), trades=None)._replace(quote_volume=None, taker_buy_volume=None))

    async def scenario(embedded: MarketStore, mongo: MarketStore) -> None:
        end_ms = START_MS + 1000 * Timeframe.H1.duration_ms
        columns = []
        for store in (embedded, mongo):
            await put(store, Family.CANDLES, rows)
            read = await store.columns(Series(Family.CANDLES, "BTCUSDT", Timeframe.H1), end_ms=end_ms)
            columns.append({name: getattr(read, name).tobytes() for name in read.__dataclass_fields__})
        assert columns[0] == columns[1]

    with_both(tmp_path, mongodb_server, mongodb_database, scenario)


@pytest.mark.recorded
def test_recorded_candles_survive(
    tmp_path: Path, mongodb_server: MongoServer, mongodb_database: str, recorded_data: Path
) -> None:
    rows = recorded_rows(recorded_data / "klines/um_1h_ETHUSDT_2025-09_2025-12.csv.gz", "BTCUSDT", Timeframe.H1)

    async def scenario(embedded: MarketStore, mongo: MarketStore) -> None:
        await put(embedded, Family.CANDLES, rows)
        assert await copy(embedded, mongo, Family.CANDLES) == rows
        end_ms = rows[-1].time_ms + Timeframe.H1.duration_ms
        one = await embedded.columns(Series(Family.CANDLES, "BTCUSDT", Timeframe.H1), end_ms=end_ms)
        other = await mongo.columns(Series(Family.CANDLES, "BTCUSDT", Timeframe.H1), end_ms=end_ms)
        assert len(one) == len(rows)
        for name in one.__dataclass_fields__:
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name

    with_both(tmp_path, mongodb_server, mongodb_database, scenario)
