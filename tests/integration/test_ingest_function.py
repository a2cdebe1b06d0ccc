"""The ingest function whole: batch events over HTTP in, rows in a real store out."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from common.events import Event, to_http, types
from common.host.app import create_app
from common.models.dead_letters import Reason
from common.models.families import Family, Series
from common.settings import Settings
from common.storage.open import open_market_store
from common.storage.ports import MarketStore, Window
from common.timeframes import Timeframe
from tests.support.asgi import serving
from tests.support.messages import EXAMPLES, NOW_MS, message
from tests.support.store_rows import rows_of

SOURCE = str(Path(__file__).resolve().parents[2] / "functions" / "ingest" / "main.py")
ALL = Window(limit=1000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        petrosa_data_dir=tmp_path,
        petrosa_clock="2025-10-20T12:36:00Z",
        store_busy_timeout_ms=100,
        circuit_breaker_failure_threshold=100,
    )


def batch(kind: str, messages: Sequence[bytes]) -> tuple[dict[str, str], bytes]:
    return to_http(Event(type=types.market(kind), source="/test", data=b"\n".join(messages)))


async def post(client: httpx.AsyncClient, kind: str, *messages: bytes) -> httpx.Response:
    headers, body = batch(kind, messages)
    return await client.post("/", headers=headers, content=body)


def test_a_batch_of_each_kind_is_stored_and_can_be_read(settings: Settings) -> None:
    async def run() -> None:
        async with serving(create_app("ingest", SOURCE, settings)) as client:
            for kind in EXAMPLES:
                assert (await post(client, kind, message(kind))).status_code == 204
        store = await open_market_store(settings)
        assert [row.price for row in await rows_of(store, Series(Family.TRADES, "BTCUSDT"))] == ["64120.50"]
        assert [row.quantity for row in await rows_of(store, Series(Family.AGG_TRADES, "ETHUSDT"))] == ["1.850"]
        assert [row.price_change for row in await rows_of(store, Series(Family.TICKERS, "BTCUSDT"))] == ["-412.30"]
        assert [row.last_update_id for row in await rows_of(store, Series(Family.DEPTH, "BTCUSDT"))] == [8900112204418]
        assert [row.index_price for row in await rows_of(store, Series(Family.MARK_PRICES, "BTCUSDT"))] == [
            "64127.55021739"
        ]
        assert [row.time_ms for row in await rows_of(store, Series(Family.FUNDING_RATES, "BTCUSDT"))] == [
            1760947200000,
            1760976000000,
        ]
        assert [row.volume for row in await rows_of(store, Series(Family.CANDLES, "BTCUSDT", Timeframe.H1))] == [
            "4120.338"
        ]
        await store.close()

    asyncio.run(run())


def test_good_rows_and_dead_letters_of_a_batch_are_committed_together(settings: Settings) -> None:
    async def run() -> None:
        async with serving(create_app("ingest", SOURCE, settings)) as client:
            response = await post(client, "trade", message("trade"), b"broken", message("trade", t=1, p="-5"))
            assert response.status_code == 204
        store = await open_market_store(settings)
        assert len(await rows_of(store, Series(Family.TRADES, "BTCUSDT"))) == 1
        letters, total = await store.dead_letters()
        assert total == 2
        assert {letter.reason for letter in letters} == {Reason.NOT_JSON, Reason.INVALID_VALUE}
        assert all(letter.excerpt for letter in letters)
        await store.close()

    asyncio.run(run())


def test_redelivery_in_other_batches_and_another_order_changes_nothing(settings: Settings) -> None:
    trades = [message("trade", t=number, T=1760963696000 + number) for number in range(200)]
    updates = [message("kline", E=1760963704000 + number, k__v=f"{number}.50") for number in range(50)]
    closed = message("kline", E=1760965200001, k__x=True, k__v="77.7")
    chance = random.Random(7)

    async def run() -> None:
        later = settings.model_copy(update={"petrosa_clock": "2025-10-20T14:00:00Z"})
        async with serving(create_app("ingest", SOURCE, later)) as client:
            for _ in range(6):
                mixed = trades + trades[:50]
                chance.shuffle(mixed)
                chance.shuffle(updates)
                for start in range(0, len(mixed), 37):
                    assert (await post(client, "trade", *mixed[start : start + 37])).status_code == 204
                assert (await post(client, "kline", *updates[:30], closed, *updates[30:])).status_code == 204
        store = await open_market_store(settings)
        assert [row.trade_id for row in await rows_of(store, Series(Family.TRADES, "BTCUSDT"))] == list(range(200))
        [candle] = await rows_of(store, Series(Family.CANDLES, "BTCUSDT", Timeframe.H1))
        assert (candle.volume, candle.is_closed, candle.revision) == ("77.7", True, 0)
        assert (await store.dead_letters())[1] == 0
        await store.close()

    asyncio.run(run())


def test_an_event_type_that_is_no_market_kind_can_never_succeed(settings: Settings) -> None:
    async def run() -> httpx.Response:
        async with serving(create_app("ingest", SOURCE, settings)) as client:
            headers, body = to_http(Event(type="io.petrosa.market.novelty.v1", source="/test", data=b"{}"))
            return await client.post("/", headers=headers, content=body)

    response = asyncio.run(run())
    assert (response.status_code, response.json()["field"]) == (422, "type")


def test_while_the_store_is_locked_the_batch_is_refused_whole_and_taken_afterwards(settings: Settings) -> None:
    async def count(store: MarketStore) -> int:
        return (await store.extent(Series(Family.TRADES, "BTCUSDT"))).rows

    async def run() -> None:
        async with serving(create_app("ingest", SOURCE, settings)) as client:
            assert (await post(client, "trade", message("trade"))).status_code == 204
            [database] = settings.petrosa_data_dir.glob("market.db")
            other = sqlite3.connect(database, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            refused = await post(client, "trade", message("trade", t=2), b"broken")
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            other.execute("ROLLBACK")
            other.close()
            store = await open_market_store(settings)
            assert await count(store) == 1
            assert (await store.dead_letters())[1] == 0
            assert (await post(client, "trade", message("trade", t=2), b"broken")).status_code == 204
            assert await count(store) == 2
            await store.close()

    asyncio.run(run())


def test_what_became_of_the_messages_is_counted(settings: Settings) -> None:
    async def run() -> str:
        async with serving(create_app("ingest", SOURCE, settings)) as client:
            await post(client, "ticker", message("ticker"), message("ticker"), b"{}")
            return (await client.get("/metrics")).text

    metrics = asyncio.run(run())
    assert 'data_manager_messages_failed_total{error_type="missing_field",event_type="ticker"}' in metrics
    assert 'petrosa_rows_stored_total{family="tickers",result="unchanged"}' in metrics


def test_examples_are_within_the_clock_of_these_tests() -> None:
    for _, event in EXAMPLES.values():
        assert json.loads(json.dumps(event))["E"] <= NOW_MS
