"""The three route groups as they run: through the framework and the host, on real SQLite stores."""

import asyncio
import csv
import gzip
import json
import random
from collections.abc import AsyncIterator
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
# What is asked, where in the answer, and what stands there.
SERVED: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "api_health": {
        "/health/summary": ("data", {"total_datasets": 30 + 6 * 5, "healthy_datasets": 1, "unhealthy_datasets": 59}),
        "/health?pair=BTCUSDT": ("health", {"completeness": 99.2, "quality_score": 98.6, "gaps": 1}),
        "/health/dead-letters": ("values.0", {"reason": "not_json", "excerpt": "{", "origin": "bridge"}),
    },
    "api_data": {
        "/data/candles?pair=BTCUSDT&period=1h": ("values.0", {"close": "64119.40", "is_closed": False}),
        "/data/trades?pair=BTCUSDT": ("values.0", {"trade_id": 5412887013, "price": "64120.50", "side": "sell"}),
        "/data/trades?pair=BTCUSDT&aggregated=true": ("values.0", {"agg_trade_id": 9, "quantity": "0.0120"}),
        "/data/depth?pair=BTCUSDT": ("data.asks.0", {"price": "64118.90", "quantity": "1.7620"}),
        "/data/funding?pair=BTCUSDT": ("values.0", {"funding_rate": "0.00006891", "mark_price": "64240.11"}),
        "/data/tickers?pair=BTCUSDT": ("values.0", {"quote_volume": "0.0", "price_change_percent": "-1.000"}),
        "/data/mark-prices?pair=BTCUSDT": ("values.0", {"mark_price": "64240.11000000", "index_price": None}),
    },
    "api_analysis": {
        "/analysis/volatility?pair=BTCUSDT&period=1h": ("values.0", {"rolling_stddev": "0.00512"}),
        "/analysis/volume?pair=BTCUSDT&period=1h": ("values.0", {"total_volume": "0.00512"}),
    },
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


def part(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body[int(name)] if name.isdigit() else body[name]
    return body


@pytest.mark.parametrize("name", SERVED)
def test_what_is_stored_is_served_and_a_store_that_is_away_is_503_until_it_is_back(
    settings: Settings, name: str
) -> None:
    async def check_served(client: httpx.AsyncClient) -> None:
        for url, (path, expected) in SERVED[name].items():
            answer = await client.get(url)
            assert answer.status_code == 200, (url, answer.text)
            shown = part(answer.json(), path)
            assert {key: shown[key] for key in expected} == expected, url

    async def run() -> None:
        await fill(settings)
        away = settings.petrosa_data_dir.with_name("away")
        async with group(name, settings) as client:
            await check_served(client)
            settings.petrosa_data_dir.rename(away)
            answers = [await client.get(url) for url in SERVED[name]]
            assert {(answer.status_code, "retry-after" in answer.headers) for answer in answers} == {(503, True)}
            away.rename(settings.petrosa_data_dir)
            await check_served(client)

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


def test_recorded_funding_rates_come_back_whole_and_not_from_the_future(
    settings: Settings, recorded_data: Path
) -> None:
    path = recorded_data / "funding" / "um_fundingRate_BTCUSDT_2026-01_2026-07.ndjson.gz"
    with gzip.open(path, "rt") as text:
        published = [json.loads(line) for line in text]
    times = [round(row["fundingTime"] / 1000) * 1000 for row in published]
    rows = [
        FundingRow("BTCUSDT", at, row["fundingRate"], row["markPrice"], None, at, Origin.REST)
        for at, row in zip(times, published, strict=True)
    ]
    past = len(times) - 3  # the clock stands an hour after it
    today = settings.model_copy(update={"petrosa_clock": to_iso(times[past - 1] + HOUR_MS)})

    async def run(lost: int) -> Any:
        async with market(today) as store, group("api_data", today) as client:
            await put(store, Family.FUNDING_RATES, [row for number, row in enumerate(rows) if number % 50 or not lost])
            return (await client.get("/data/funding?pair=BTCUSDT&limit=1000")).json()

    body = asyncio.run(run(lost=1))
    assert body["metadata"]["last_updated"] == to_iso(times[past - 1])
    assert body["metadata"]["data_completeness"] == round(100 * len(body["values"]) / (past - 1), 2)
    whole = asyncio.run(run(lost=0))
    assert [value["timestamp"] for value in whole["values"]] == [to_iso(at) for at in times[:past]]
    assert [value["funding_rate"] for value in whole["values"]] == [row["fundingRate"] for row in published[:past]]
    assert whole["metadata"]["data_completeness"] == 100


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


@pytest.mark.parametrize(
    ("bridge_status", "settings_of", "expected"),
    [
        (200, {}, (200, True, "healthy")),
        (200, {"analytics_interval": 1, "audit_interval": 1}, (200, True, "degraded")),
        (503, {}, (503, False, "unhealthy")),
    ],
)
def test_readiness_asks_the_stores_and_the_bridge(
    settings: Settings, bridge_status: int, settings_of: dict[str, int], expected: tuple[int, bool, str]
) -> None:
    async def run() -> tuple[httpx.Response, httpx.Response]:
        await fill(settings)
        async with bridge(bridge_status) as url:
            asked = settings.model_copy(update={"bridge_health_url": url, **settings_of})
            async with group("api_health", asked) as client:
                present = await client.get("/health/readiness")
                settings.petrosa_data_dir.rename(settings.petrosa_data_dir.with_name("away"))
                assert (await client.get("/health/liveness")).status_code == 200
                return present, await client.get("/health/readiness")

    present, away = asyncio.run(run())
    assert (present.status_code, present.json()["ready"], present.json()["status"]) == expected
    assert present.json()["components"]["nats"] == ("healthy" if bridge_status == 200 else "unhealthy")
    assert (away.status_code, away.json()["status"]) == (503, "unhealthy")
    states = away.json()["components"]
    assert (states["market_store"], states["metadata_store"]) == ("unhealthy", "unhealthy")
    assert (states["auditor"], states["analytics"]) == ("unknown", "unknown")
