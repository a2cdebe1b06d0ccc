"""The MongoDB adapter beside the bare driver: the same documents, the same collection and indexes, the same run."""

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import bson
from pymongo import DESCENDING

from common.models.families import Family, Series
from common.models.rows import CandleRow, Origin, TradeRow
from common.storage.mongodb.documents import SHAPES, stored_at
from common.storage.mongodb.market import MongoMarketStore
from common.timeframes import Timeframe
from common.times import HOUR_MS
from tests.bench.report import Figure, paired
from tests.support.mongo_stores import fresh_database, opened, options
from tests.support.servers.mongodb import mongodb_server
from tests.support.store_rows import put

TRADES: Final = 60_000
BATCH: Final = 2_000  # what the bridge sends at most
CANDLES: Final = 20_000
ROUNDS: Final = 13  # the first warms the server up
START_MS: Final = 1_700_000_000_000
COLUMNS: Final = (
    *("timestamp", "open", "high", "low", "close", "volume"),
    *("quote_volume", "trades_count", "taker_buy_volume"),
)


def measure() -> list[Figure]:
    """Return bulk writes and columnar reads, each over what the driver does with ready documents."""
    with mongodb_server() as server:
        print(f"on {server.description}")
        writes = [asyncio.run(_writes(server.url)) for _ in range(ROUNDS)][1:]
        reads = asyncio.run(_reads(server.url))[1:]
    return [
        _figure("MongoDB, bulk writes", writes, "trades/s", 0.8, "bare insert_many of the same documents"),
        _figure("MongoDB, candles into arrays", reads, "candles/s", 0.7, "bare find of the same documents"),
    ]


def _figure(name: str, pairs: Sequence[tuple[float, float]], unit: str, share: float, floor: str) -> Figure:
    rates = paired(pairs)
    return Figure(name, rates.value, unit, f">= {share:.0%} of {floor}", rates.ratio >= share, rates.floor, rates.ratio)


async def _writes(url: str) -> tuple[float, float]:
    rows = list(_trades())
    batches = [rows[start : start + BATCH] for start in range(0, TRADES, BATCH)]
    write, tail = SHAPES[Family.TRADES].write, stored_at(START_MS)
    ready = [[bson.decode(write(row, tail)) for row in batch] for batch in batches]
    gc.collect()
    gc.freeze()  # what is kept here for the comparison is no load of the store's

    async def through_store(store: MongoMarketStore) -> None:
        for batch in batches:
            await put(store, Family.TRADES, batch)

    async def bare(store: MongoMarketStore) -> None:
        collection = store.connection.collection("trades_BTCUSDT")
        for documents in ready:
            await collection.insert_many(documents, ordered=False)

    return TRADES / await _on_fresh(url, through_store), TRADES / await _on_fresh(url, bare)


async def _on_fresh(url: str, work: Callable[[MongoMarketStore], Awaitable[None]]) -> float:
    """Return the seconds that ``work`` takes on an empty collection that has its indexes."""
    with fresh_database(url) as database:
        async with opened(MongoMarketStore, options(url, database)) as store:
            await put(store, Family.TRADES, [TradeRow("BTCUSDT", START_MS, -1, "1", "1", is_buyer_maker=True)])
            begun = time.perf_counter()
            await work(store)
            return time.perf_counter() - begun


async def _reads(url: str) -> list[tuple[float, float]]:
    end_ms = START_MS + (CANDLES + 1) * HOUR_MS
    projection = {"_id": False, **dict.fromkeys(COLUMNS, True)}
    rates = []
    with fresh_database(url) as database:
        async with opened(MongoMarketStore, options(url, database)) as store:
            await _fill(store)
            collection = store.connection.collection("candles_BTCUSDT_1h")
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                columns = await store.columns(
                    Series(Family.CANDLES, "BTCUSDT", Timeframe.H1), end_ms=end_ms, bars=CANDLES
                )
                ours_s = time.perf_counter() - begun
                assert len(columns) == CANDLES
                begun = time.perf_counter()
                cursor = collection.find({"is_closed": True}, projection, sort=[("timestamp", DESCENDING)])
                documents = await cursor.limit(CANDLES).batch_size(CANDLES).to_list()
                bare_s = time.perf_counter() - begun
                assert len(documents) == CANDLES
                rates.append((CANDLES / ours_s, CANDLES / bare_s))
    return rates


async def _fill(store: MongoMarketStore) -> None:
    rows = list(_candles())
    for start in range(0, CANDLES, BATCH):
        await put(store, Family.CANDLES, rows[start : start + BATCH])


def _trades() -> Iterator[TradeRow]:
    chance = random.Random(1)
    for number in range(TRADES):
        price, quantity = f"{60_000 + chance.randrange(5000) / 10:.2f}", f"{chance.randrange(1, 3000) / 1000:.3f}"
        yield TradeRow("BTCUSDT", START_MS + number // 3, number, price, quantity, number % 2 == 0)


def _candles() -> Iterator[CandleRow]:
    chance = random.Random(2)
    for number in range(CANDLES):
        prices = sorted(f"{60_000 + chance.randrange(50_000) / 10:.2f}" for _ in range(4))
        volume, quote = f"{chance.randrange(10**7) / 1000:.3f}", f"{chance.randrange(10**11) / 1000:.4f}"
        numbers = (prices[1], prices[3], prices[0], prices[2], volume, quote, number, volume, quote)
        yield CandleRow("BTCUSDT", "1h", START_MS + number * HOUR_MS, *numbers, True, START_MS, Origin.ARCHIVE)
