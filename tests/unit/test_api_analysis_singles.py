"""The routes under ``/analysis`` that serve the newest document: its fields, its history, what there is not."""

import asyncio
from typing import Any, cast

import pytest
from fastapi import FastAPI

from common.analytics.calculators.deviation import DEVIATION
from common.analytics.calculators.seasonality import SEASONALITY
from common.analytics.calculators.spread import SPREAD
from common.analytics.declaration import Metric, Served
from common.analytics.metrics import METRICS
from common.clock import FixedClock
from common.storage.ports import AnalyticsStore
from functions.api_analysis.models import single_answer
from functions.api_analysis.reader import AnalysisReader
from functions.api_analysis.routes import build_api
from tests.support.api import fields_at_fault, get, json_of
from tests.support.documents import FIRST_MS, SLOT_MS, as_of, document, names
from tests.support.memory_stores import MemoryAnalyticsStore

NOW_MS = FIRST_MS + 12 * SLOT_MS
SINGLES = [metric for metric in METRICS.values() if metric.served is Served.NEWEST]
every_single = pytest.mark.parametrize("single", SINGLES, ids=lambda single: single.name)

SPREAD_BODY = {
    "bid_ask_spread": "0.10",
    "spread_percentage": "0.000156",
    "market_depth_bid": "41.227",
    "market_depth_ask": "0",
    "liquidity_ratio": None,
    "slippage_estimate": "0.00021",
    "mid_price": "64302.05",
    "slippage": [
        {
            "quote_size": "10000",
            "side": "sell",
            "slippage_percent": None,
            "filled_quote": "900.5",
            "unfilled_quote": "9099.5",
        }
    ],
}
DEVIATION_BODY = {"standard_deviation": "212.44", "z_score": "-0.39", "autocorrelation": None, "price_range_index": "0"}
SLOT = {"mean": "0.0012", "count": 90, "t_value": "2.1"}
EMPTY_SLOT = {"mean": None, "count": 0, "t_value": None}
SEASONALITY_BODY = {
    "hourly_pattern": {str(hour): "64110.2" for hour in range(24)},
    "daily_pattern": {"0": "63990.1", "6": None},
    "seasonal_deviation": "0.37",
    "entropy_index": "0.41",
    "dominant_cycle": 24,
    "dominant_cycle_hours": "24",
    "hourly_return_pattern": {"0": SLOT, "1": EMPTY_SLOT},
    "spectral_peaks": [{"period_bars": "24", "period_hours": "24", "power_share": "0.7", "significant": True}],
}
BODIES: dict[str, dict[str, Any]] = {
    "spread": SPREAD_BODY,
    "deviation": DEVIATION_BODY,
    "seasonality": SEASONALITY_BODY,
}


@pytest.fixture
def store() -> MemoryAnalyticsStore:
    """Twelve documents of each metric, a quarter of an hour apart, and where there are timeframes one at 1d."""
    stored = MemoryAnalyticsStore()
    for single in SINGLES:
        timeframes = (None, None) if single is SPREAD else ("1h", "1d")
        put(stored, single, *range(12), timeframe=timeframes[0])
        if single is not SPREAD:
            put(stored, single, 0, timeframe=timeframes[1])
    return stored


def put(store: MemoryAnalyticsStore, single: Metric, *slots: int, timeframe: str | None) -> None:
    body = BODIES[single.name]
    asyncio.run(store.save([document(single, slot, body, timeframe, rolling_window=20) for slot in slots]))


@pytest.fixture
def app(store: MemoryAnalyticsStore) -> FastAPI:
    return build_api(AnalysisReader(cast("AnalyticsStore", store), FixedClock(NOW_MS)))


def url(single: Metric, more: str = "", pair: str = "BTCUSDT", period: str = "1h") -> str:
    timeframe = "" if single is SPREAD else f"&period={period}"
    return f"/analysis/{single.name}?pair={pair}{timeframe}{more}"


def slots_of(body: Any) -> list[str]:
    return [value["as_of"] for value in body["values"]]


@every_single
@pytest.mark.parametrize("more", ["", "&limit=3", "&explain=1", "&limit=3&explain=1"])
def test_answers_are_what_the_openapi_document_says(app: FastAPI, single: Metric, more: str) -> None:
    (answer,) = get(app, url(single, more))
    single_answer(single).model_validate_json(answer.content, strict=True)


def test_spread(app: FastAPI) -> None:
    missing = dict.fromkeys(names(SPREAD) - set(SPREAD_BODY))
    assert json_of(app, "/analysis/spread?pair=btcusdt") == {
        "pair": "BTCUSDT",
        "metric": "spread",
        "method": "order_book_analysis",
        "window": "snapshot",
        "data": {
            "timestamp": "2025-10-20T02:45:04.100Z",
            "as_of": "2025-10-20T02:45:00.000Z",
            "data_until": "2025-10-20T02:00:00.000Z",
            "rows_used": 720,
            "warmup_complete": True,
            **missing,
            **SPREAD_BODY,
        },
        "metadata": {
            "timestamp": "2025-10-20T02:45:04.100Z",
            "source": "memory",
            "collection": "analytics_BTCUSDT_spread",
            "data_completeness": 95.5,
        },
    }


def test_deviation(app: FastAPI) -> None:
    body = json_of(app, url(DEVIATION))
    assert (body["period"], body["method"], body["window"]) == ("1h", "statistical_analysis", "30d")
    assert {key: body["data"][key] for key in DEVIATION_BODY} == DEVIATION_BODY
    assert body["metadata"]["collection"] == "analytics_BTCUSDT_deviation"


def test_seasonality(app: FastAPI) -> None:
    body = json_of(app, url(SEASONALITY))
    assert (body["method"], body["window"]) == ("fourier_analysis", "90d")
    assert {key: body["data"][key] for key in SEASONALITY_BODY} == SEASONALITY_BODY
    assert body["data"]["weekly_pattern"] is None


@every_single
def test_the_newest_document_up_to_now_is_served(app: FastAPI, store: MemoryAnalyticsStore, single: Metric) -> None:
    assert json_of(app, url(single))["data"]["as_of"] == as_of(11)[0]
    put(store, single, 12, 13, timeframe=None if single is SPREAD else "1h")
    assert json_of(app, url(single))["data"]["as_of"] == as_of(12)[0], "13 is about the future"


@pytest.mark.parametrize("single", [DEVIATION, SEASONALITY], ids=lambda single: single.name)
def test_the_period_selects(app: FastAPI, single: Metric) -> None:
    daily = json_of(app, url(single, period="1d"))
    assert (daily["period"], daily["data"]["as_of"]) == ("1d", as_of(0)[0])
    (answer,) = get(app, url(single, period="4h"))
    assert answer.status_code == 404


@every_single
def test_history_is_added_when_it_is_asked_for(app: FastAPI, single: Metric) -> None:
    assert "values" not in json_of(app, url(single))
    span = f"&start={as_of(3)[0]}&end={as_of(8)[0]}"
    body = json_of(app, url(single, span))
    assert body["data"]["as_of"] == as_of(7)[0], "the newest of the span"
    assert slots_of(body) == as_of(7, 6, 5, 4, 3)
    assert body["values"][0] == body["data"]
    page = json_of(app, url(single, f"{span}&limit=2&offset=1&sort_order=asc"))
    assert page["data"]["as_of"] == as_of(7)[0], "whatever the page"
    assert slots_of(page) == as_of(4, 5)
    assert (page["pagination"]["total"], page["pagination"]["has_next"]) == (5, True)
    assert slots_of(json_of(app, url(single, "&limit=1"))) == as_of(11)
    assert len(slots_of(json_of(app, url(single, f"&start={as_of(0)[0]}")))) == 10


@every_single
def test_a_method_is_one_of_the_fields(app: FastAPI, single: Metric) -> None:
    common = {"timestamp", "as_of", "data_until", "rows_used", "warmup_complete"}
    whole = json_of(app, url(single, f"&method={single.method}"))
    assert set(whole["data"]) == common | names(single)
    for method in names(single):
        body = json_of(app, url(single, f"&method={method}&limit=2"))
        assert body["method"] == method
        assert all(set(value) == common | {method} for value in (body["data"], *body["values"]))


@every_single
def test_what_is_not_computed_is_refused_with_what_is(app: FastAPI, single: Metric) -> None:
    assert json_of(app, url(single, f"&window={single.window}"))["window"] == single.window
    (window,) = get(app, url(single, "&window=7d"))
    assert fields_at_fault(window) == ["window"]
    assert window.json()["detail"][0]["msg"] == f"expected one of {single.window}"
    (method,) = get(app, url(single, "&method=guessing"))
    assert fields_at_fault(method) == ["method"]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("period=1h", ["pair"]),
        ("pair=BTC-USDT&period=1h", ["pair"]),
        ("pair=BTCUSDT&period=1h&limit=0", ["limit"]),
        ("pair=BTCUSDT&period=1h&limit=1001", ["limit"]),
        ("pair=BTCUSDT&period=1h&offset=-1", ["offset"]),
        ("pair=BTCUSDT&period=1h&sort_order=newest", ["sort_order"]),
        ("pair=BTCUSDT&period=1h&start=then&end=now", ["end", "start"]),
        ("pair=BTCUSDT&period=1h&start=2025-10-21&end=2025-10-20", ["end"]),
        ("pair=BTCUSDT&period=1h&explain=please", ["explain"]),
    ],
)
@every_single
def test_a_wrong_query_names_its_fields(app: FastAPI, single: Metric, query: str, fields: list[str]) -> None:
    (answer,) = get(app, f"/analysis/{single.name}?{query}")
    assert sorted(fields_at_fault(answer)) == fields


def test_only_spread_has_no_period(app: FastAPI) -> None:
    deviation, seasonality = get(app, "/analysis/deviation?pair=BTCUSDT", "/analysis/seasonality?pair=BTCUSDT")
    assert fields_at_fault(deviation) == fields_at_fault(seasonality) == ["period"]
    assert "period" not in json_of(app, "/analysis/spread?pair=BTCUSDT")


@every_single
def test_a_document_that_does_not_exist_is_404(app: FastAPI, single: Metric) -> None:
    for query in (
        url(single, pair="XYZUSDT"),
        url(single, f"&end={as_of(0)[0]}"),
        url(single, f"&start={as_of(12)[0]}"),
    ):
        (answer,) = get(app, query)
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith(f"No {single.name} data available for ")


@every_single
def test_a_store_that_cannot_be_asked_is_503(app: FastAPI, store: MemoryAnalyticsStore, single: Metric) -> None:
    store.failing = True
    (answer,) = get(app, url(single))
    assert (answer.status_code, answer.json()) == (503, {"detail": "Database not available"})
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("single", "inputs"),
    [
        (SPREAD, ["depth_BTCUSDT", "candles_BTCUSDT_1h"]),
        (DEVIATION, ["candles_BTCUSDT_1h"]),
        (SEASONALITY, ["candles_BTCUSDT_1h"]),
    ],
)
def test_an_explanation_tells_of_the_document(app: FastAPI, single: Metric, inputs: list[str]) -> None:
    assert "explain" not in json_of(app, url(single))
    assert json_of(app, url(single, "&explain=1"))["explain"] == {
        "inputs": inputs,
        "window": single.window,
        "parameters": {"rolling_window": 20},
        "as_of": "2025-10-20T02:45:00.000Z",
        "data_until": "2025-10-20T02:00:00.000Z",
        "rows_used": 720,
        "warmup_complete": True,
        "lineage": [
            {
                "dataset_id": f"analytics_BTCUSDT_{single.name}",
                "source_dataset_id": source,
                "transformation": f"{single.name}_calculator",
            }
            for source in inputs
        ],
    }


def test_the_openapi_document_says_what_each_route_accepts(app: FastAPI) -> None:
    paths = json_of(app, "/openapi.json")["paths"]
    for single in SINGLES:
        route = paths[f"/analysis/{single.name}"]["get"]
        parameters = {parameter["name"]: parameter for parameter in route["parameters"]}
        accepted = {"pair", "method", "window", "start", "end", "limit", "offset", "sort_order", "explain"}
        assert set(parameters) == accepted | (set() if single is SPREAD else {"period"})
        assert parameters["method"]["schema"]["enum"] == list(single.methods)
        assert "404" in route["responses"]
