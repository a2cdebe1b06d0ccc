"""The event functions whole, over real stores: events over HTTP in; replies, rows and documents out."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.events import Event, from_http, to_http, types
from common.events.codec import headers_of
from common.events.own import AnalyticsComputed, AnalyticsRequested, RetentionRequested
from common.host.app import create_app
from common.models.dead_letters import Reason, dead_letter
from common.models.families import Family, Series
from common.models.rows import CandleRow, DepthRow
from common.settings import Settings
from common.storage.open import open_analytics_store, open_market_store, open_metadata_store
from common.storage.ports import AnalyticsDocument, MarketStore, Window
from common.timeframes import Timeframe
from common.times import DAY_MS, HOUR_MS, parse_instant
from common.wire.rejected import encode_rejected
from tests.support.asgi import serving
from tests.support.candles import recorded_rows
from tests.support.messages import message
from tests.support.sink import http_sink
from tests.support.store_rows import put

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
AS_OF = parse_instant("2025-12-31T23:59:00Z")
H1 = Timeframe.H1
OF_CANDLES = ["volatility", "volume", "trend", "deviation", "seasonality", "regime", "regime_model"]
# What the recorded candles do not tell: there are no minutes, no taker volume; and no crossing or cycle to be found.
LACKING: dict[str, set[str]] = {
    "volatility": {"realized_variance", "bipower_variation", "jump_share"},
    "volume": {"volume_delta", "taker_buy_ratio"},
    "trend": {"crossover_event"},
    "deviation": set(),
    "seasonality": {"dominant_cycle", "dominant_cycle_hours"},
    "regime": set(),
    "regime_model": set(),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        petrosa_data_dir=tmp_path,
        petrosa_clock="2025-12-31T23:59:00Z",
        store_busy_timeout_ms=100,
        circuit_breaker_failure_threshold=100,
    )


@pytest.fixture(scope="module")
def recorded(recorded_data: Path) -> list[CandleRow]:
    return recorded_rows(recorded_data / "klines" / "um_1h_BTCUSDT_2025-09_2025-12.csv.gz", "BTCUSDT", H1)


@asynccontextmanager
async def function(name: str, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(name, str(FUNCTIONS / name / "main.py"), settings)) as client:
        yield client


async def post(client: httpx.AsyncClient, event: Event) -> httpx.Response:
    headers, body = to_http(event)
    return await client.post("/", headers=headers, content=body)


@asynccontextmanager
async def market(settings: Settings) -> AsyncIterator[MarketStore]:
    store = await open_market_store(settings)
    try:
        yield store
    finally:
        await store.close()


async def put_candles(settings: Settings, rows: list[CandleRow]) -> None:
    async with market(settings) as store:
        await put(store, Family.CANDLES, rows)


async def stored(settings: Settings, metric: str, timeframe: Timeframe | None = H1) -> list[AnalyticsDocument]:
    store = await open_analytics_store(settings)
    try:
        return await store.documents("BTCUSDT", metric, timeframe, Window(limit=100))
    finally:
        await store.close()


def asking(metric: str, as_of_ms: int = AS_OF, timeframe: Timeframe | None = H1) -> Event:
    data = AnalyticsRequested(metric=metric, symbols=("BTCUSDT",), timeframe=timeframe, as_of_ms=as_of_ms)
    return data.to_event(source="/test", cause="test/1", time_ms=as_of_ms)


@pytest.mark.parametrize("metric", OF_CANDLES)
def test_a_calculator_stores_its_document_and_tells_of_it(
    metric: str, settings: Settings, recorded: list[CandleRow]
) -> None:
    async def run() -> tuple[httpx.Response, list[AnalyticsDocument]]:
        await put_candles(settings, recorded)
        async with function(metric, settings) as client:
            response = await post(client, asking(metric))
        return response, await stored(settings, metric)

    response, documents = asyncio.run(run())
    assert response.status_code == 200
    (document,) = documents
    reply = from_http(response.headers, response.content)
    told = AnalyticsComputed.of(reply)
    assert (reply.type, reply.source, reply.subject) == (AnalyticsComputed.TYPE, f"/functions/{metric}", "BTCUSDT")
    assert reply.extension("metric") == metric
    assert told.document == document.body
    body = document.body
    assert body["as_of"] == "2025-12-31T23:59:00.000Z"
    assert body["data_until"] == "2025-12-31T23:00:00.000Z", "the candle of 23:00 is still open"
    assert body["rows_used"] == {"volume": 250, "seasonality": 2160, "regime_model": 2304}.get(metric, 720)
    assert body["warmup_complete"] is True
    assert body["metadata"]["completeness"] == 100.0  # type: ignore[index] # a map
    assert {name for name, value in body.items() if value is None} == LACKING[metric]


@pytest.mark.parametrize("metric", OF_CANDLES)
def test_a_document_is_the_same_whatever_came_later(metric: str, settings: Settings, recorded: list[CandleRow]) -> None:
    """Causality: first with the past alone in the store, then with what followed."""
    as_of_ms = recorded[1500].time_ms + 10 * 60_000
    later = [row._replace(close="1", high="999999", volume="1e9") for row in recorded[1501:]]

    async def run() -> list[dict[str, Any]]:
        bodies = []
        async with function(metric, settings) as client:
            for rows in (recorded[:1501], later):
                await put_candles(settings, rows)
                await post(client, asking(metric, as_of_ms))
                (document,) = await stored(settings, metric)
                bodies.append(dict(document.body))
        return bodies

    before, after = asyncio.run(run())
    for body in (before, after):
        for part in (body, body["metadata"]):
            part.pop("timestamp", None)
            part.pop("computed_at", None)
    assert before == after


def books(ages_ms: range) -> list[DepthRow]:
    """Books of one level, each a little different from the one before."""
    return [
        DepthRow("BTCUSDT", AS_OF - age_ms, AS_OF - age_ms, f'[["100.10","{1 + abs(age_ms)}"]]', '[["100.30","3.5"]]')
        for age_ms in ages_ms
    ]


def test_spread_is_computed_from_the_books_before_the_instant(settings: Settings, recorded: list[CandleRow]) -> None:
    """The same document from the past alone and from a store that knows what followed."""

    async def run() -> list[dict[str, Any]]:
        bodies = []
        async with function("spread", settings) as client:
            for rows in (books(range(0, 70_000, 500)), books(range(-90_000, 0, 500))):
                async with market(settings) as store:
                    await put(store, Family.DEPTH, rows)
                    await put(store, Family.CANDLES, recorded)
                response = await post(client, asking("spread", timeframe=None))
                assert response.status_code == 200
                (document,) = await stored(settings, "spread", None)
                bodies.append(dict(document.body))
        return bodies

    before, after = asyncio.run(run())
    assert (before["bid_ask_spread"], before["mid_price"]) == ("0.20", "100.20")
    assert before["order_flow_imbalance"] == "-60000.0", "the bid went from 60001 to 1"
    assert (before["rows_used"], before["data_until"]) == (121, "2025-12-31T23:59:00.000Z")
    assert float(before["liquidity_ratio"]) > 0
    for body in (before, after):
        body.pop("timestamp")
        body["metadata"].pop("computed_at")
    assert before == after


def test_without_a_fresh_book_there_is_no_spread(settings: Settings, recorded: list[CandleRow]) -> None:
    async def run() -> tuple[int, list[AnalyticsDocument]]:
        async with market(settings) as store:
            await put(store, Family.DEPTH, books(range(60_001, 70_000, 500)))
        async with function("spread", settings) as client:
            response = await post(client, asking("spread", timeframe=None))
        return response.status_code, await stored(settings, "spread", None)

    assert asyncio.run(run()) == (204, [])


def test_open_candles_are_never_used(settings: Settings, recorded: list[CandleRow]) -> None:
    open_one = recorded[-1]._replace(is_closed=False, close="1", volume="123456789")

    async def run() -> list[AnalyticsDocument]:
        await put_candles(settings, [*recorded[:-1], open_one])
        async with function("volume", settings) as client:
            await post(client, asking("volume", open_one.time_ms + HOUR_MS))
        return await stored(settings, "volume")

    (document,) = asyncio.run(run())
    assert document.body["data_until"] == "2025-12-31T23:00:00.000Z"


@pytest.mark.parametrize("rows", [slice(0, 0), slice(-4, None), slice(0, 2000)], ids=["none", "few", "stale"])
def test_without_enough_fresh_candles_there_is_no_document(
    rows: slice, settings: Settings, recorded: list[CandleRow]
) -> None:
    async def run() -> tuple[int, bytes, list[AnalyticsDocument]]:
        if recorded[rows]:
            await put_candles(settings, recorded[rows])
        async with function("volume", settings) as client:
            response = await post(client, asking("volume"))
        return response.status_code, response.content, await stored(settings, "volume")

    assert asyncio.run(run()) == (204, b"", [])


def test_requests_that_can_never_succeed_are_refused(settings: Settings) -> None:
    wrong = {
        "metric": asking("volatility"),
        "timeframe": asking("volume", timeframe=None),
        "symbols": replace(asking("volume"), data=b'{"metric":"volume","symbols":[],"timeframe":"1h","as_of":1}'),
    }

    async def run() -> dict[str, httpx.Response]:
        async with function("volume", settings) as client:
            return {field: await post(client, event) for field, event in wrong.items()}

    for field, response in asyncio.run(run()).items():
        assert response.status_code == 422
        assert response.json()["field"] == field


def test_retention_deletes_what_is_old_in_every_store(settings: Settings) -> None:
    book = DepthRow("BTCUSDT", AS_OF, 1, "[]", "[]")
    books = [book._replace(time_ms=AS_OF - hours * HOUR_MS, last_update_id=hours) for hours in range(48)]
    letters = [
        dead_letter(b"x", time_ms=AS_OF - age, kind=str(age), reason=Reason.NOT_JSON, detail="", origin="test")
        for age in (DAY_MS, 31 * DAY_MS)
    ]
    document = AnalyticsDocument("BTCUSDT", "volume", "1h", AS_OF - 3 * DAY_MS, AS_OF - 3 * DAY_MS, {})
    event = RetentionRequested(as_of_ms=AS_OF).to_event(source="/test", cause="retention/1", time_ms=AS_OF)
    short = settings.model_copy(update={"petrosa_retention_analytics": "2d"})

    async def run() -> tuple[int, int, int, int]:
        async with market(settings) as store:
            await put(store, Family.DEPTH, books, letters)
            analytics = await open_analytics_store(settings)
            await analytics.save([document])
            async with function("retention", short) as client:
                response = await post(client, event)
            kept = await store.extent(Series(Family.DEPTH, "BTCUSDT"))
            _, kept_letters = await store.dead_letters()
            kept_documents = await analytics.documents("BTCUSDT", "volume", "1h", Window())
            await analytics.close()
        return response.status_code, kept[0], kept_letters, len(kept_documents)

    status, books_kept, letters_kept, documents_kept = asyncio.run(run())
    assert (status, letters_kept, documents_kept) == (204, 1, 0)
    assert books_kept in {24, 25}, "a day of books, counted from a clock that runs"


def test_dead_letters_are_kept_once_and_can_be_read(settings: Settings) -> None:
    undelivered = Event(
        type=AnalyticsRequested.TYPE, source="/p", id="1", data=b"{}", extensions={"knativeerrorcode": "422"}
    )
    rejected = dead_letter(b"?", time_ms=AS_OF, kind="unknown", reason=Reason.NOT_JSON, detail="x", origin="bridge")
    batch = Event(type=types.MARKET_REJECTED, source="/b", id="2", data=encode_rejected(rejected) + b"\n{broken")

    async def run() -> list[tuple[str, Reason]]:
        async with function("dead_letter", settings) as client:
            for event in (undelivered, batch, undelivered, batch):
                assert (await post(client, event)).status_code == 204
        async with market(settings) as store:
            letters, count = await store.dead_letters()
        assert count == len(letters)
        return sorted((letter.origin, letter.reason) for letter in letters)

    kept = asyncio.run(run())
    assert kept == [("bridge", Reason.NOT_JSON), ("bridge", Reason.NOT_JSON), ("broker", Reason.REFUSED)]


def test_an_event_that_was_given_up_can_be_delivered_from_what_is_kept_of_it(settings: Settings) -> None:
    settings = settings.model_copy(update={"petrosa_clock": "2025-10-20T12:36:00Z"})
    batch = Event(
        type=types.market("trade"),
        source="/b",
        id="1",
        data=message("trade") + b"\n" + message("trade", t=1, p="-5"),
        extensions={"knativeerrorcode": "503", "knativeerrordest": "http://ingest"},
    )

    async def run() -> tuple[int, list[str]]:
        async with function("dead_letter", settings) as client:
            await post(client, batch)
        async with market(settings) as store, function("ingest", settings) as client:
            for _ in range(2):  # what ingest sets aside is kept whole as well, and stays the same dead letter
                for listed in (await store.dead_letters())[0]:
                    letter = await store.dead_letter(listed.dead_letter_id)
                    assert letter is not None
                    attributes = {"id": letter.dead_letter_id, **json.loads(letter.attributes or "")}
                    headers = {name.decode(): value.decode() for name, value in headers_of(attributes)}
                    assert (await client.post("/", headers=headers, content=letter.payload)).status_code == 204
            letters, _ = await store.dead_letters()
            stored = await store.extent(Series(Family.TRADES, "BTCUSDT"))
        return stored.rows, sorted(letter.destination or "" for letter in letters)

    assert asyncio.run(run()) == (1, ["", "http://ingest"])


def test_the_planner_keeps_its_watermark_in_the_store(settings: Settings) -> None:
    tick = Event(type=types.PING, source="/cron", id="1", extensions={"schedule": "analytics"})

    async def run(settings: Settings) -> int | None:
        for _ in range(2):  # the second time as a process that was started again
            async with function("planner", settings) as client:
                assert (await post(client, tick)).status_code == 204
        metadata = await open_metadata_store(settings)
        try:
            return await metadata.watermark("schedule:analytics")
        finally:
            await metadata.close()

    with http_sink() as sink:
        update = {"analytics_metrics": ("volatility", "spread"), "k_sink": sink.url}
        watermark = asyncio.run(run(settings.model_copy(update=update)))
    assert watermark == parse_instant("2025-12-31T23:45:00Z")
    assert len(sink.taken) == 5 * 2 + 5
    assert {json.loads(event.data)["as_of"] for event in sink.taken} == {"2025-12-31T23:45:00.000Z"}


def test_an_unknown_schedule_is_refused(settings: Settings) -> None:
    tick = Event(type=types.PING, source="/cron", id="1", extensions={"schedule": "anomaly"})

    async def run() -> httpx.Response:
        async with function("planner", settings) as client:
            return await post(client, tick)

    response = asyncio.run(run())
    assert response.status_code == 422
    assert "audit, analytics, retention" in response.json()["detail"]
