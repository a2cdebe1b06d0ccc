"""The three route groups as they run: through the framework and the host, on real SQLite stores."""

import asyncio
import csv
import gzip
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.calculators.volume import VOLUME
from common.analytics.document import Basis, Result, document_of
from common.clock import FixedClock
from common.host.app import create_app
from common.models.dead_letters import Reason, dead_letter
from common.models.families import Family
from common.models.metadata import HealthMetric
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    FundingRow,
    MarketRow,
    MarkPriceRow,
    Origin,
    TickerRow,
    TradeRow,
)
from common.settings import Settings
from common.storage.open import open_analytics_store, open_market_store, open_metadata_store
from common.storage.ports import MarketStore
from common.timeframes import Timeframe
from common.times import HOUR_MS, MINUTE_MS, parse_instant, to_iso
from functions.api_data.queries import CandlesQuery
from functions.api_data.reader import MarketReader
from tests.support.asgi import serving
from tests.support.candles import recorded_rows
from tests.support.store_rows import put

ROOT = Path(__file__).resolve().parents[2]
NOW = "2025-10-20T12:36:00Z"
NOW_MS = parse_instant(NOW)
GROUPS = {
    "api_health": ["/health/summary", "/health?pair=BTCUSDT", "/health/dead-letters"],
    "api_data": [
        "/data/candles?pair=BTCUSDT&period=1h",
        "/data/trades?pair=BTCUSDT",
        "/data/trades?pair=BTCUSDT&aggregated=true",
        "/data/depth?pair=BTCUSDT",
        "/data/funding?pair=BTCUSDT",
        "/data/tickers?pair=BTCUSDT",
        "/data/mark-prices?pair=BTCUSDT",
    ],
    "api_analysis": ["/analysis/volatility?pair=BTCUSDT&period=1h", "/analysis/volume?pair=BTCUSDT&period=1h"],
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        petrosa_data_dir=tmp_path / "state",
        petrosa_clock=NOW,
        store_busy_timeout_ms=100,
        circuit_breaker_failure_threshold=100,
    )


@asynccontextmanager
async def group(name: str, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    source = str(ROOT / "functions" / name / "main.py")
    async with serving(create_app(name, source, settings)) as client:
        yield client


@asynccontextmanager
async def market(settings: Settings) -> AsyncIterator[MarketStore]:
    store = await open_market_store(settings)
    try:
        yield store
    finally:
        await store.close()


def rows_of_every_family() -> dict[Family, MarketRow]:
    at = NOW_MS - MINUTE_MS
    return {
        Family.TRADES: TradeRow("BTCUSDT", at, 5412887013, "64120.50", "0.012", True),
        Family.AGG_TRADES: AggTradeRow("BTCUSDT", at, 9, "64120.50", "0.0120", 1, 2, False),
        Family.TICKERS: TickerRow("BTCUSDT", at, "1.0", "2.00", "0.5", "1.50", "0", "0.0", "-0.10", "-1.000", 0),
        Family.DEPTH: DepthRow("BTCUSDT", at, 8900112204418, '[["64118.80","3.114"]]', '[["64118.90","1.7620"]]'),
        Family.MARK_PRICES: MarkPriceRow("BTCUSDT", at, "64240.11000000", None, None, "0.00010000", NOW_MS),
        Family.FUNDING_RATES: FundingRow("BTCUSDT", at, "0.00006891", "64240.11", None, at, Origin.REST),
        Family.CANDLES: candle(0),
    }


def candle(minutes_ago: int, close: str = "64119.40") -> CandleRow:
    at = NOW_MS - minutes_ago * MINUTE_MS
    return CandleRow(
        symbol="BTCUSDT",
        timeframe="1h",
        time_ms=at // HOUR_MS * HOUR_MS,
        open="64302.10",
        high="64355.00",
        low="64012.70",
        close=close,
        volume="4120.338",
        quote_volume="264501233.114",
        trades_count=86039,
        taker_buy_volume=None,
        taker_buy_quote_volume=None,
        is_closed=False,
        event_time_ms=at,
        origin=Origin.STREAM,
    )


async def fill(settings: Settings) -> None:
    """Store one of everything that the routes serve."""
    async with market(settings) as store:
        letter = dead_letter(
            b"{", time_ms=NOW_MS, kind="trade", reason=Reason.NOT_JSON, detail="not JSON", origin="bridge"
        )
        for family, row in rows_of_every_family().items():
            await put(store, family, [row], [letter])
    analytics = await open_analytics_store(settings)
    for metric in (VOLATILITY, VOLUME):
        basis = Basis(NOW_MS - HOUR_MS, 720, 700, 720, warmup_complete=True)
        result = Result("BTCUSDT", dict.fromkeys(("rolling_stddev", "total_volume"), 0.00512), basis)
        document = document_of(result, metric, Timeframe.H1, as_of_ms=NOW_MS - MINUTE_MS, computed_at_ms=NOW_MS)
        await analytics.save([document])
    await analytics.close()
    metadata = await open_metadata_store(settings)
    health = HealthMetric(
        "h1", "candles_BTCUSDT_1h", "BTCUSDT", NOW_MS - MINUTE_MS, Decimal("99.20"), 41, 1, 0, None, Decimal("98.60")
    )
    await metadata.save_health([health])
    await metadata.close()


@pytest.mark.parametrize("name", GROUPS)
def test_what_is_stored_is_served(settings: Settings, name: str) -> None:
    async def run() -> None:
        await fill(settings)
        async with group(name, settings) as client:
            for url in GROUPS[name]:
                answer = await client.get(url)
                assert answer.status_code == 200, (url, answer.text)
                body = answer.json()
                assert len(body["values"]) == 1 if "values" in body else body.get("data") or body["health"], url

    asyncio.run(run())


@pytest.mark.parametrize("name", GROUPS)
def test_a_store_that_is_away_is_503_on_every_route_until_it_is_back(settings: Settings, name: str) -> None:
    away = settings.petrosa_data_dir.with_name("away")

    async def statuses(client: httpx.AsyncClient) -> list[tuple[int, bool]]:
        answers = [await client.get(url) for url in GROUPS[name]]
        return [(answer.status_code, "retry-after" in answer.headers) for answer in answers]

    async def run() -> None:
        await fill(settings)
        async with group(name, settings) as client:
            assert set(await statuses(client)) == {(200, False)}
            settings.petrosa_data_dir.rename(away)
            assert set(await statuses(client)) == {(503, True)}
            away.rename(settings.petrosa_data_dir)
            assert set(await statuses(client)) == {(200, False)}

    asyncio.run(run())


def test_what_another_process_writes_is_seen_at_once(settings: Settings) -> None:
    async def run() -> None:
        async with market(settings) as writer, group("api_data", settings) as client:
            for number in range(20):
                await put(writer, Family.CANDLES, [candle(20 - number, f"{number}.0")])
                body = (await client.get("/data/candles?pair=BTCUSDT&period=1h")).json()
                assert body["values"][0]["close"] == f"{number}.0"
                assert (await client.get("/data/candles?pair=BTCUSDT&period=1h")).json()["values"] == body["values"]

    asyncio.run(run())


def test_kept_answers_equal_fresh_ones_on_the_real_store(settings: Settings) -> None:
    chance = random.Random(20251020)
    clock = FixedClock(NOW_MS)
    queries = [
        CandlesQuery.model_validate({"pair": "BTCUSDT", "period": "1h", **window})
        for window in (
            {},
            {"limit": 2, "offset": 1},
            {"sort_order": "desc", "limit": 3},
            {"start": to_iso(NOW_MS - 5 * HOUR_MS)},
            {"start": to_iso(NOW_MS - 5 * HOUR_MS), "end": to_iso(NOW_MS), "limit": 2},
        )
    ]

    async def run() -> None:
        async with market(settings) as writer, market(settings) as store:
            keeping, fresh = MarketReader(store, clock), MarketReader(store, clock, kept_bytes=0)
            for step in range(150):
                if chance.random() < 0.3:
                    row = candle(chance.randrange(-180, 600))
                    await put(writer, Family.CANDLES, [row._replace(event_time_ms=step, close=f"{step}.10")])
                if chance.random() < 0.5:
                    clock.advance(chance.randrange(-HOUR_MS, HOUR_MS))
                query = chance.choice(queries)
                assert await keeping.candles(query) == await fresh.candles(query)

    asyncio.run(run())


def test_recorded_candles_come_back_digit_for_digit(settings: Settings, recorded_data: Path) -> None:
    path = recorded_data / "klines" / "um_1h_BTCUSDT_2025-09_2025-12.csv.gz"
    with gzip.open(path, "rt", newline="") as text:
        published = list(csv.DictReader(text))
    late = settings.model_copy(update={"petrosa_clock": "2026-03-01T00:00:00Z"})

    async def run() -> list[dict[str, Any]]:
        async with market(late) as store, group("api_data", late) as client:
            await put(store, Family.CANDLES, recorded_rows(path, "BTCUSDT", Timeframe.H1))
            served: list[dict[str, Any]] = []
            url: str | None = f"/data/candles?pair=BTCUSDT&period=1h&limit=1000&start={published[0]['open_time']}"
            while url is not None:
                page = (await client.get(f"{url}&offset={len(served)}")).json()
                served += page["values"]
                assert page["pagination"]["total"] == len(published)
                url = url if page["pagination"]["has_next"] else None
            return served

    served = asyncio.run(run())
    keys = {"open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume"}
    keys["quote_volume"] = "quote_volume"
    assert [value["timestamp"] for value in served] == [to_iso(int(row["open_time"])) for row in published]
    for key, title in keys.items():
        assert [value[key] for value in served] == [row[title] for row in published], key
    assert [value["trades_count"] for value in served] == [int(row["count"]) for row in published]


@asynccontextmanager
async def bridge(status: int) -> AsyncIterator[str]:
    """A bridge that answers every question with a status."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def readiness(settings: Settings, harm: Callable[[Path], object], *, bridge_status: int = 200) -> tuple[int, Any]:
    """Ask whether the system is ready after something was done to its state folder."""

    async def run() -> tuple[int, Any]:
        await fill(settings)
        async with bridge(bridge_status) as url:
            asked = settings.model_copy(update={"bridge_health_url": url})
            async with group("api_health", asked) as client:
                assert (await client.get("/health/summary")).status_code == 200  # every store is open by now
                harm(settings.petrosa_data_dir)
                answer = await client.get("/health/readiness")
                return answer.status_code, answer.json()

    return asyncio.run(run())


def test_a_system_that_works_is_ready(settings: Settings) -> None:
    status, body = readiness(settings, lambda folder: None)
    assert (status, body["ready"]) == (200, True)
    assert body["components"] == {
        "nats": "healthy",
        "mysql": "not_configured",
        "mongodb": "not_configured",
        "market_store": "healthy",
        "metadata_store": "healthy",
        "auditor": "healthy",
        "analytics": "healthy",
    }


def test_a_bridge_that_is_not_ready_shows(settings: Settings) -> None:
    status, body = readiness(settings, lambda folder: None, bridge_status=503)
    assert (status, body["components"]["nats"]) == (503, "unhealthy")


def test_stores_that_are_gone_show_and_liveness_goes_on(settings: Settings) -> None:
    status, body = readiness(settings, lambda folder: folder.rename(folder.with_name("away")))
    assert (status, body["ready"]) == (503, False)
    states = body["components"]
    assert (states["market_store"], states["metadata_store"]) == ("unhealthy", "unhealthy")
    assert (states["auditor"], states["analytics"]) == ("unknown", "unknown")


def test_liveness_needs_no_store(settings: Settings) -> None:
    async def run() -> None:
        async with group("api_health", settings) as client:
            settings.petrosa_data_dir.rename(settings.petrosa_data_dir.with_name("away"))
            assert (await client.get("/health/liveness")).status_code == 200
            assert (await client.get("/")).json()["status"] == "operational"

    asyncio.run(run())
