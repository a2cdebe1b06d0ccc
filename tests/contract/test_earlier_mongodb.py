"""Market data and documents that an earlier version wrote to MongoDB: served as they are, and known when they return.

``written_before/market.mongodb.jsonl`` holds the documents that version 80fd9b4 itself wrote, one a line.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest
from bson import json_util

from common.models.families import Family
from common.storage.mongodb.analytics import MongoAnalyticsStore
from common.storage.mongodb.connection import ConnectionOptions
from common.storage.mongodb.market import MongoMarketStore
from common.storage.ports import AnalyticsDocument, Part, Window, WriteCounts
from common.timeframes import Timeframe
from tests.support.mongo_stores import opened
from tests.support.store_rows import BTC, SAMPLES, SERIES, START_MS, letter, rows_of

WRITTEN: Final = Path(__file__).parent / "written_before" / "market.mongodb.jsonl"


@pytest.fixture(autouse=True)
def _written(mongodb_raw: Any) -> None:
    """The database of the earlier version."""
    collections = defaultdict(list)
    for line in WRITTEN.read_text().splitlines():
        stored = json_util.loads(line)
        collections[stored["collection"]].append(stored["document"])
    for name, documents in collections.items():
        mongodb_raw[name].insert_many(documents)


def test_every_row_is_served_and_is_nothing_new(mongodb_connection: ConnectionOptions) -> None:
    async def scenario() -> None:
        async with opened(MongoMarketStore, mongodb_connection) as store:
            for family, rows in SAMPLES.items():
                assert await rows_of(store, SERIES[family]) == rows
                assert (await store.page(SERIES[family], Window())).total == len(rows)
                assert await store.revision(SERIES[family]) is None  # an earlier version may still be writing
            again = [Part(family, rows) for family, rows in SAMPLES.items()]
            unchanged = sum(map(len, SAMPLES.values()))
            assert await store.write(again, [letter(1)]) == WriteCounts(unchanged=unchanged)
            assert await store.changes(0, limit=99) == []
            assert await store.dead_letters() == ([letter(1)], 1)
            columns = await store.columns(SERIES[Family.CANDLES], end_ms=START_MS + 2 * Timeframe.H1.duration_ms)
            assert columns.close.tolist() == [64119.4, 1.1]

    asyncio.run(scenario())


def test_every_document_is_served(mongodb_connection: ConnectionOptions) -> None:
    body = {"sma": "55529.94", "warmup_complete": True, "data_until": "2025-10-20T12:00:00.000Z"}
    document = AnalyticsDocument(BTC, "trend", "1h", START_MS, START_MS + 1000, body)

    async def scenario() -> None:
        async with opened(MongoAnalyticsStore, mongodb_connection) as store:
            assert await store.documents(BTC, "trend", "1h", Window()) == [document]
            assert await store.newest_computed_at("trend") == START_MS + 1000

    asyncio.run(scenario())
