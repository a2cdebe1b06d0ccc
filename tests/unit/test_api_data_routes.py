"""The routes under ``/data``: parameters, answers, errors, empty cases, digits, paging."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from starlette.types import ASGIApp

from common.clock import FixedClock
from common.host.answers import Compat
from common.models.families import Family
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
from common.storage.open import open_market_store
from common.storage.ports import MarketStore, Part
from common.times import HOUR_MS, MINUTE_MS, to_iso
from functions.api_data import models
from functions.api_data.reader import MarketReader
from functions.api_data.routes import build_api
from tests.support.api import fields_at_fault, get, json_of, opened_for_each, requests

FIRST_MS = 1_760_918_400_000  # 2025-10-20T00:00:00Z
NOW_MS = FIRST_MS + 12 * HOUR_MS + 34 * MINUTE_MS
OTHERS = ("/data/trades", "/data/funding", "/data/tickers", "/data/mark-prices", "/data/depth")
PATHS = {"/data/candles": "pair=BTCUSDT&period=1h", **dict.fromkeys(OTHERS, "pair=BTCUSDT")}
ROUTES: dict[str, type[BaseModel]] = {
    "/data/candles": models.CandlesAnswer,
    "/data/trades": models.TradesAnswer,
    "/data/funding": models.SeriesAnswer[models.FundingRate],
    "/data/tickers": models.SeriesAnswer[models.Ticker],
    "/data/mark-prices": models.SeriesAnswer[models.MarkPrice],
    "/data/depth": models.DepthAnswer,
}
series_paths = pytest.mark.parametrize("path", [path for path in PATHS if path != "/data/depth"])
every_path = pytest.mark.parametrize("path", PATHS)


def candle(hour: int, **changes: Any) -> CandleRow:
    row = CandleRow(
        symbol="BTCUSDT",
        timeframe="1h",
        time_ms=FIRST_MS + hour * HOUR_MS,
        open="64302.10",
        high="64355.00",
        low="64012.70",
        close="64119.40",
        volume="4120.338",
        quote_volume="264501233.114",
        trades_count=86039,
        taker_buy_volume="0.00000010",
        taker_buy_quote_volume="1",
        is_closed=True,
        event_time_ms=FIRST_MS,
        origin=Origin.STREAM,
    )
    return row._replace(**changes)


def rows_of_half_a_day() -> dict[Family, list[MarketRow]]:
    """Half a day of BTCUSDT, hour by hour; the sixth hour is missing, the last candle is open."""
    hours = [hour for hour in range(13) if hour != 6]
    times = [FIRST_MS + hour * HOUR_MS for hour in hours]
    ticker = ("1.0", "2.00", "0.5", "1.50", "0", "0.0", "-0.10", "-1.000", 0)
    return {
        Family.CANDLES: [candle(hour, is_closed=hour < 12) for hour in hours],
        Family.TRADES: [TradeRow("BTCUSDT", time, time // 1000, "64120.50", "0.012", True) for time in times],
        Family.AGG_TRADES: [
            AggTradeRow("BTCUSDT", time, 7 + hour, "64120.50", "0.0120", None, 5412887013, False)
            for hour, time in zip(hours, times, strict=True)
        ],
        Family.FUNDING_RATES: [
            FundingRow("BTCUSDT", time, "0.00006891", None if time == FIRST_MS else "64240.11", None, 0, Origin.REST)
            for time in times
        ],
        Family.TICKERS: [TickerRow("BTCUSDT", time, *ticker) for time in times],
        Family.MARK_PRICES: [
            MarkPriceRow("BTCUSDT", time, "64240.11000000", None, None, "0.00010000", times[-1]) for time in times
        ],
        Family.DEPTH: [
            DepthRow("BTCUSDT", times[0], 1, "[]", "[]"),
            DepthRow("BTCUSDT", times[-1], 9, _levels(64118.8, -1), _levels(64119.0, 1)),
        ],
    }


def _levels(best: float, step: int) -> str:
    return "[" + ",".join(f'["{best + step * level:.2f}","{level}.100"]' for level in range(25)) + "]"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[MarketStore]:
    store = await open_market_store(Settings(petrosa_data_dir=folder, store_busy_timeout_ms=50))
    try:
        yield store
    finally:
        await store.close()


def write(folder: Path, family: Family, rows: list[MarketRow]) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            await store.write([Part(family, rows)])

    asyncio.run(run())


@pytest.fixture(scope="module")
def half_a_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("half-a-day")
    for family, rows in rows_of_half_a_day().items():
        write(folder, family, rows)
    return folder


def app_on(folder: Path, *, now_ms: int = NOW_MS, compat: str | None = None) -> ASGIApp:
    @asynccontextmanager
    async def group() -> AsyncIterator[ASGIApp]:
        async with opened(folder) as store:
            yield build_api(MarketReader(store, FixedClock(now_ms), Compat(compat)))

    return opened_for_each(group)


@pytest.fixture
def app(half_a_day: Path) -> ASGIApp:
    return app_on(half_a_day)


@pytest.fixture
def folder(half_a_day: Path, tmp_path: Path) -> Path:
    """A copy of the stored half day, for tests that change it."""
    return shutil.copytree(half_a_day, tmp_path, dirs_exist_ok=True)


def times_of(body: Any) -> list[str]:
    return [value["timestamp"] for value in body["values"]]


def hours(*numbers: int) -> list[str]:
    return [to_iso(FIRST_MS + number * HOUR_MS) for number in numbers]


@every_path
def test_every_answer_is_what_the_openapi_document_says(app: ASGIApp, path: str) -> None:
    (answer,) = get(app, f"{path}?{PATHS[path]}")
    assert answer.headers["content-type"] == "application/json"
    ROUTES[path].model_validate_json(answer.content, strict=True)
    assert answer.json()["metadata"]["source"] == "sqlite"


def test_candles_carry_their_digits(app: ASGIApp) -> None:
    body = json_of(app, "/data/candles?pair=BTCUSDT&period=1h&limit=1")
    assert body["values"] == [
        {
            "timestamp": "2025-10-20T12:00:00.000Z",
            "open": "64302.10",
            "high": "64355.00",
            "low": "64012.70",
            "close": "64119.40",
            "volume": "4120.338",
            "quote_volume": "264501233.114",
            "trades_count": 86039,
            "taker_buy_volume": "0.00000010",
            "is_closed": False,
        }
    ]
    assert body["metadata"]["collection"] == "candles_BTCUSDT_1h"


def test_the_query_is_told_as_it_was_understood(app: ASGIApp) -> None:
    body = json_of(
        app, "/data/candles?pair=%20btcusdt&period=1h&start=1760918400&end=2025-10-20T05:00:00%2B02:00&limit=5&x=1"
    )
    assert (body["pair"], body["period"]) == ("BTCUSDT", "1h")
    assert body["parameters"] == {
        "pair": "BTCUSDT",
        "period": "1h",
        "start": "2025-10-20T00:00:00.000Z",
        "end": "2025-10-20T03:00:00.000Z",
        "limit": 5,
        "offset": 0,
        "sort_order": "asc",
    }
    assert times_of(body) == hours(0, 1, 2)


@series_paths
def test_without_a_range_the_newest_rows_before_now_ascending(app: ASGIApp, path: str) -> None:
    body = json_of(app, f"{path}?{PATHS[path]}&limit=3")
    assert times_of(body) == hours(10, 11, 12)
    assert body["parameters"]["start"] is None
    assert body["parameters"]["end"] == to_iso(NOW_MS)
    assert body["pagination"] == {
        "total": 12,
        "limit": 3,
        "offset": 0,
        "page": 1,
        "pages": 4,
        "has_next": True,
        "has_previous": False,
    }


@series_paths
def test_ranges_are_half_open(app: ASGIApp, path: str) -> None:
    start, end = hours(2)[0], hours(5)[0]
    body = json_of(app, f"{path}?{PATHS[path]}&start={start}&end={end}")
    assert times_of(body) == hours(2, 3, 4)
    assert body["pagination"]["total"] == body["metadata"]["records_returned"] == 3


@pytest.mark.parametrize("given", ["2025-10-20T02:00:00", "2025-10-20T02:00:00Z", "1760925600", "1760925600000"])
def test_instants_are_iso_or_unix_and_utc_without_an_offset(app: ASGIApp, given: str) -> None:
    body = json_of(app, f"/data/candles?pair=BTCUSDT&period=1h&start={given}&limit=1")
    assert times_of(body) == hours(2)


@series_paths
@pytest.mark.parametrize(
    ("order", "start", "expected"),
    [
        ("asc", True, [(0, 1, 2, 3, 4), (5, 7, 8, 9, 10), (11, 12)]),
        ("desc", True, [(12, 11, 10, 9, 8), (7, 5, 4, 3, 2), (1, 0)]),
        ("asc", False, [(8, 9, 10, 11, 12), (2, 3, 4, 5, 7), (0, 1)]),
        ("desc", False, [(12, 11, 10, 9, 8), (7, 5, 4, 3, 2), (1, 0)]),
    ],
)
def test_pages_in_both_orders(
    app: ASGIApp, path: str, order: str, start: bool, expected: list[tuple[int, ...]]
) -> None:
    query = f"{PATHS[path]}&limit=5&sort_order={order}" + (f"&start={hours(0)[0]}" if start else "")
    pages = [json_of(app, f"{path}?{query}&offset={offset}") for offset in (0, 5, 10)]
    assert [times_of(page) for page in pages] == [hours(*numbers) for numbers in expected]
    assert [page["pagination"]["page"] for page in pages] == [1, 2, 3]
    assert [page["pagination"]["has_next"] for page in pages] == [True, True, False]
    assert [page["pagination"]["has_previous"] for page in pages] == [False, True, True]
    beyond = json_of(app, f"{path}?{query}&offset=100")
    assert (beyond["values"], beyond["pagination"]["total"], beyond["pagination"]["has_next"]) == ([], 12, False)


def test_completeness_counts_the_slots_between_the_first_and_the_last_row(app: ASGIApp) -> None:
    gap = json_of(app, f"/data/candles?pair=BTCUSDT&period=1h&start={hours(4)[0]}&end={hours(9)[0]}")
    assert gap["metadata"]["data_completeness"] == 80.0
    backwards = json_of(
        app, f"/data/candles?pair=BTCUSDT&period=1h&start={hours(4)[0]}&end={hours(9)[0]}&sort_order=desc"
    )
    assert backwards["metadata"]["data_completeness"] == 80.0
    whole = json_of(app, f"/data/candles?pair=BTCUSDT&period=1h&end={hours(6)[0]}")
    assert whole["metadata"]["data_completeness"] == 100.0


@pytest.mark.parametrize("path", ["/data/trades", "/data/tickers", "/data/mark-prices"])
def test_without_a_grid_there_is_no_completeness(app: ASGIApp, path: str) -> None:
    assert json_of(app, f"{path}?{PATHS[path]}")["metadata"]["data_completeness"] is None


@series_paths
def test_last_updated_is_the_newest_row_of_the_series_not_of_the_answer(app: ASGIApp, path: str) -> None:
    body = json_of(app, f"{path}?{PATHS[path]}&end={hours(3)[0]}")
    assert body["metadata"]["last_updated"] == hours(12)[0]


def test_the_grid_of_funding_rates_is_the_interval_of_the_contract(folder: Path) -> None:
    def stored(symbol: str, hours: Iterable[int]) -> list[MarketRow]:
        return [FundingRow(symbol, FIRST_MS + hour * HOUR_MS, "0.0001", None, None, 0, Origin.REST) for hour in hours]

    # Eight hours for three days, then four; one funding time of each is missing, the last one is to come.
    hours = [hour for hour in (*range(-144, -72, 8), *range(-72, 17, 4)) if hour not in {-120, -40}]
    write(folder, Family.FUNDING_RATES, stored("ETHUSDT", hours))
    app = app_on(folder)
    whole = json_of(app, "/data/funding?pair=ETHUSDT&limit=1000")
    assert times_of(whole)[-1] == to_iso(FIRST_MS + 12 * HOUR_MS)
    assert whole["metadata"]["data_completeness"] == round(100 * 29 / 31, 2)
    assert whole["metadata"]["last_updated"] == times_of(whole)[-1], "not the funding time to come"
    # Of a page, its own rows count; those around it tell the interval.
    start, end = (to_iso(FIRST_MS + hour * HOUR_MS) for hour in (-44, -35))
    page = json_of(app, f"/data/funding?pair=ETHUSDT&start={start}&end={end}")
    assert len(page["values"]) == 2
    assert page["metadata"]["data_completeness"] == 66.67
    assert page["metadata"]["last_updated"] == times_of(whole)[-1]
    assert json_of(app, "/data/funding?pair=BTCUSDT")["metadata"]["data_completeness"] == round(100 * 12 / 13, 2)


@series_paths
def test_the_newest_row_is_never_ahead_of_the_clock(folder: Path, path: str) -> None:
    early = app_on(folder, now_ms=FIRST_MS + 5 * HOUR_MS + 1)
    late = f"&end={hours(20)[0]}"
    for more in ("", late, f"&end={hours(2)[0]}"):
        assert json_of(early, f"{path}?{PATHS[path]}{more}")["metadata"]["last_updated"] == hours(5)[0]
    before_all = app_on(folder, now_ms=FIRST_MS)
    assert json_of(before_all, f"{path}?{PATHS[path]}{late}")["metadata"]["last_updated"] is None


@series_paths
def test_programs_that_know_the_original_find_rows_as_data_too(half_a_day: Path, path: str) -> None:
    body = json_of(app_on(half_a_day, compat="petrosa-clients"), f"{path}?{PATHS[path]}")
    assert body["data"] == body["values"]
    assert len(body["data"]) == 12


def test_programs_that_know_the_original_get_no_404_for_a_book(half_a_day: Path) -> None:
    app = app_on(half_a_day, compat="petrosa-clients")
    message = "No order book available for XYZUSDT"
    metadata = {"source": "sqlite", "collection": "depth_XYZUSDT", "timestamp": to_iso(NOW_MS), "message": message}
    assert json_of(app, "/data/depth?pair=XYZUSDT") == {
        "pair": "XYZUSDT",
        "parameters": {"pair": "XYZUSDT"},
        "data": None,
        "metadata": metadata,
        "message": message,
    }
    assert json_of(app, "/data/depth?pair=BTCUSDT")["data"]["last_update_id"] == 9


@series_paths
def test_a_pair_without_rows_is_an_empty_list(app: ASGIApp, path: str) -> None:
    body = json_of(app, f"{path}?{PATHS[path].replace('BTC', 'XYZ')}")
    assert body["values"] == []
    assert body["pagination"]["total"] == body["pagination"]["pages"] == 0
    assert body["metadata"]["data_completeness"] is body["metadata"]["last_updated"] is None


def test_an_interval_without_rows_is_an_empty_list(app: ASGIApp) -> None:
    assert json_of(app, "/data/candles?pair=BTCUSDT&period=3m")["values"] == []


@series_paths
def test_a_range_without_rows_is_an_empty_list(app: ASGIApp, path: str) -> None:
    for window in (
        f"start={hours(3)[0]}&end={hours(3)[0]}",
        "start=2030-01-01",
        "end=2020-01-01",
        f"start={hours(6)[0]}&end={hours(7)[0]}",
    ):
        body = json_of(app, f"{path}?{PATHS[path]}&{window}")
        assert (body["values"], body["pagination"]["total"]) == ([], 0), window


def test_rows_ahead_of_the_clock_wait_for_their_time(folder: Path) -> None:
    write(folder, Family.CANDLES, [candle(13), candle(14)])
    app = app_on(folder)
    assert times_of(json_of(app, "/data/candles?pair=BTCUSDT&period=1h&limit=1")) == hours(12)
    named = json_of(app, f"/data/candles?pair=BTCUSDT&period=1h&limit=1&end={hours(14)[0]}")
    assert times_of(named) == hours(13)


def test_trades(app: ASGIApp) -> None:
    body = json_of(app, "/data/trades?pair=BTCUSDT&limit=1")
    assert body["values"] == [
        {
            "timestamp": "2025-10-20T12:00:00.000Z",
            "trade_id": 1760961600,
            "price": "64120.50",
            "quantity": "0.012",
            "side": "sell",
        }
    ]
    assert body["metadata"]["collection"] == "trades_BTCUSDT"
    assert body["parameters"]["aggregated"] is False


def test_aggregated_trades(app: ASGIApp) -> None:
    body = json_of(app, "/data/trades?pair=BTCUSDT&limit=1&aggregated=true")
    assert body["values"] == [
        {
            "timestamp": "2025-10-20T12:00:00.000Z",
            "agg_trade_id": 19,
            "price": "64120.50",
            "quantity": "0.0120",
            "side": "buy",
            "first_trade_id": None,
            "last_trade_id": 5412887013,
        }
    ]
    assert body["metadata"]["collection"] == "agg_trades_BTCUSDT"
    assert body["parameters"]["aggregated"] is True


def test_funding_rates_keep_null_and_digits_apart(app: ASGIApp) -> None:
    body = json_of(app, f"/data/funding?pair=BTCUSDT&limit=2&start={hours(0)[0]}")
    assert body["values"] == [
        {"timestamp": hours(0)[0], "funding_rate": "0.00006891", "mark_price": None},
        {"timestamp": hours(1)[0], "funding_rate": "0.00006891", "mark_price": "64240.11"},
    ]
    assert body["metadata"]["collection"] == "funding_rates_BTCUSDT"


def test_tickers_show_zero_as_zero(app: ASGIApp) -> None:
    body = json_of(app, "/data/tickers?pair=BTCUSDT&limit=1")
    assert body["values"] == [
        {
            "timestamp": hours(12)[0],
            "open_price": "1.0",
            "high_price": "2.00",
            "low_price": "0.5",
            "close_price": "1.50",
            "volume": "0",
            "quote_volume": "0.0",
            "price_change": "-0.10",
            "price_change_percent": "-1.000",
            "trades_count": 0,
        }
    ]


def test_mark_prices(app: ASGIApp) -> None:
    body = json_of(app, "/data/mark-prices?pair=BTCUSDT&limit=1")
    assert body["values"] == [
        {
            "timestamp": hours(12)[0],
            "mark_price": "64240.11000000",
            "index_price": None,
            "estimated_settle_price": None,
            "funding_rate": "0.00010000",
            "next_funding_time": hours(12)[0],
        }
    ]
    assert body["metadata"]["collection"] == "mark_prices_BTCUSDT"


def test_depth_is_the_newest_book_with_at_most_twenty_levels(app: ASGIApp) -> None:
    body = json_of(app, "/data/depth?pair=btcusdt")
    assert (len(body["data"]["bids"]), len(body["data"]["asks"])) == (20, 20)
    assert body["data"]["bids"][:2] == [
        {"price": "64118.80", "quantity": "0.100"},
        {"price": "64117.80", "quantity": "1.100"},
    ]
    assert body["data"]["asks"][0] == {"price": "64119.00", "quantity": "0.100"}
    assert body["data"]["last_update_id"] == 9
    assert body["metadata"] == {"timestamp": hours(12)[0], "source": "sqlite", "collection": "depth_BTCUSDT"}
    assert body["parameters"] == {"pair": "BTCUSDT"}


def test_a_book_that_does_not_exist_is_404(app: ASGIApp) -> None:
    (answer,) = get(app, "/data/depth?pair=XYZUSDT")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "No order book available for XYZUSDT"}
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", ["pair", "period"]),
        ("pair=BTCUSDT", ["period"]),
        ("pair=&period=1h", ["pair"]),
        ("pair=BTC/USDT&period=1h", ["pair"]),
        ("pair=../../etc&period=1h", ["pair"]),
        ("pair=BTCUSDT&period=1H", ["period"]),
        ("pair=BTCUSDT&period=7m", ["period"]),
        ("pair=BTCUSDT&period=1h&limit=0", ["limit"]),
        ("pair=BTCUSDT&period=1h&limit=1001", ["limit"]),
        ("pair=BTCUSDT&period=1h&limit=many", ["limit"]),
        ("pair=BTCUSDT&period=1h&limit=", ["limit"]),
        ("pair=BTCUSDT&period=1h&limit=1.5", ["limit"]),
        ("pair=BTCUSDT&period=1h&offset=-1", ["offset"]),
        ("pair=BTCUSDT&period=1h&offset=99999999999999999999999", ["offset"]),
        ("pair=BTCUSDT&period=1h&sort_order=up", ["sort_order"]),
        ("pair=BTCUSDT&period=1h&start=yesterday", ["start"]),
        ("pair=BTCUSDT&period=1h&start=", ["start"]),
        ("pair=BTCUSDT&period=1h&end=99999-01-01", ["end"]),
        ("pair=BTCUSDT&period=1h&end=" + "9" * 400, ["end"]),
        ("pair=BTCUSDT&period=1h&start=1e9", ["start"]),
        ("pair=BTCUSDT&period=1h&start=2025-10-20T01:00:00Z&end=2025-10-20T00:00:00Z", ["end"]),
        ("pair=%00&period=%ff&limit=x", ["limit", "pair", "period"]),
    ],
)
def test_a_wrong_query_names_its_fields(app: ASGIApp, query: str, fields: list[str]) -> None:
    (answer,) = get(app, f"/data/candles?{query}")
    assert sorted(fields_at_fault(answer)) == sorted(fields)


def test_what_was_expected_is_said(app: ASGIApp) -> None:
    (answer,) = get(app, "/data/candles?pair=BTCUSDT&period=7m")
    assert answer.json()["detail"] == [
        {
            "type": "value_error",
            "loc": ["query", "period"],
            "msg": "expected one of 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d",
            "input": "7m",
        }
    ]
    (missing,) = get(app, "/data/trades")
    assert missing.json()["detail"] == [
        {"type": "missing", "loc": ["query", "pair"], "msg": "Field required", "input": None}
    ]


@every_path
def test_every_route_says_which_pair_was_wrong(app: ASGIApp, path: str) -> None:
    missing, wrong = get(app, f"{path}?period=1h", f"{path}?period=1h&pair=%3Cb%3E")
    assert fields_at_fault(missing) == fields_at_fault(wrong) == ["pair"]


def test_aggregated_is_a_yes_or_no(app: ASGIApp) -> None:
    (answer,) = get(app, "/data/trades?pair=BTCUSDT&aggregated=some")
    assert fields_at_fault(answer) == ["aggregated"]


def test_a_store_that_cannot_be_asked_is_503_also_for_an_answer_that_was_given_before(folder: Path) -> None:
    urls = [f"{path}?{query}" for path, query in PATHS.items()]

    async def statuses() -> list[list[int]]:
        async with opened(folder) as store:
            group = build_api(MarketReader(store, FixedClock(NOW_MS)))
            before = await requests(group, *urls)
            away = folder.rename(folder.with_name("away"))  # noqa: ASYNC240 - nothing else runs meanwhile
            failed = await requests(group, *urls)
            away.rename(folder)
            after = await requests(group, *urls)
            assert {(answer.text, answer.headers["retry-after"]) for answer in failed} == {
                ('{"detail":"Database not available"}', "5")
            }
            return [[answer.status_code for answer in answers] for answers in (before, failed, after)]

    assert asyncio.run(statuses()) == [[status] * len(urls) for status in (200, 503, 200)]


def test_any_origin_may_read_also_errors(app: ASGIApp) -> None:
    origin = {"origin": "https://dashboard.example"}
    urls = ["/data/candles?pair=BTCUSDT&period=1h", "/data/candles", "/data/depth?pair=XYZUSDT"]
    answers = get(app, *urls, headers=origin)
    assert [answer.status_code for answer in answers] == [200, 422, 404]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {"*"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@every_path
def test_reads_only(app: ASGIApp, path: str, method: str) -> None:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://group") as client:
            return await client.request(method, f"{path}?{PATHS[path]}")

    assert asyncio.run(call()).status_code == 405


def test_unknown_paths_are_404(app: ASGIApp) -> None:
    (unknown,) = get(app, "/data/nothing")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})


def test_the_openapi_document_lists_every_route_with_its_parameters(app: ASGIApp) -> None:
    document = json_of(app, "/openapi.json")
    names = {
        path: {parameter["name"]: parameter["required"] for parameter in route["get"]["parameters"]}
        for path, route in document["paths"].items()
    }
    window = dict.fromkeys(("start", "end", "limit", "offset", "sort_order"), False)
    assert names == {
        "/data/candles": {"pair": True, "period": True, **window},
        "/data/trades": {"pair": True, "aggregated": False, **window},
        "/data/depth": {"pair": True},
        "/data/funding": {"pair": True, **window},
        "/data/tickers": {"pair": True, **window},
        "/data/mark-prices": {"pair": True, **window},
    }
    for route in document["paths"].values():
        assert "$ref" in route["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert {"200", "422", "503"} <= route["get"]["responses"].keys()
