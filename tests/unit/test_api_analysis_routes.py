"""The routes under ``/analysis``: fields, methods, windows, history, errors, empty cases."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from fastapi import FastAPI

from common.analytics.calculators.trend import TREND
from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.calculators.volume import VOLUME
from common.analytics.declaration import Metric, Served
from common.analytics.metrics import METRICS
from common.clock import FixedClock
from common.storage.ports import AnalyticsDocument, AnalyticsStore
from functions.api_analysis.models import listing_answer
from functions.api_analysis.reader import AnalysisReader
from functions.api_analysis.routes import build_api
from tests.support import documents
from tests.support.api import fields_at_fault, get, json_of
from tests.support.documents import FIRST_MS, SLOT_MS, as_of, names
from tests.support.memory_stores import MemoryAnalyticsStore

NOW_MS = FIRST_MS + 12 * SLOT_MS
# Routes of their own form.
BESIDE_THE_DECLARED = {"regime", "correlation", "market-overview"}
LISTINGS = [metric for metric in METRICS.values() if metric.served is Served.LIST]
every_listing = pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.name)

VOLATILITY_BODY = {
    "rolling_stddev": "0.00512000000000",
    "annualized_volatility": "0.4792",
    "parkinson": "0",
    "garman_klass": None,
    "volatility_of_volatility": "0.00061",
    "yang_zhang": "0.0051",
}
VOLUME_BODY = {
    "total_volume": "182334.118",
    "volume_sma": "7511.402",
    "volume_ema": "7290.118",
    "volume_delta": "-1204.55",
    "volume_spike_ratio": "0",
    "taker_buy_ratio": None,
    "vwap": "64120.5",
    "obv": "-12.5",
    "amihud_illiquidity": "0.000000000012",
}
TREND_BODY = {
    "sma": "64201.55",
    "ema": "64188.21",
    "wma": "64170.04",
    "rate_of_change": "-0.64",
    "directional_strength": "45",
    "crossover_signal": "bearish",
    "crossover_event": None,
    "rsi": "50",
    "rolling_beta": "1",
    "adx": "0",
}
BODIES: dict[str, dict[str, Any]] = {"volatility": VOLATILITY_BODY, "volume": VOLUME_BODY, "trend": TREND_BODY}


def document(listing: Metric, slot: int, timeframe: str = "1h", **changes: Any) -> AnalyticsDocument:
    fields = {**BODIES[listing.name], **changes}
    return documents.document(listing, slot, fields, timeframe, window_bars=720)


def save(store: MemoryAnalyticsStore, documents: Sequence[AnalyticsDocument]) -> None:
    asyncio.run(store.save(documents))


@pytest.fixture
def store() -> MemoryAnalyticsStore:
    """Twelve documents of each metric at 1h, a quarter of an hour apart, and one at 1d."""
    stored = MemoryAnalyticsStore()
    for listing in LISTINGS:
        save(stored, [document(listing, slot) for slot in range(12)] + [document(listing, 0, "1d")])
    return stored


@pytest.fixture
def app(store: MemoryAnalyticsStore) -> FastAPI:
    return build_api(AnalysisReader(cast("AnalyticsStore", store), FixedClock(NOW_MS)))


def url(listing: Metric, more: str = "") -> str:
    return f"/analysis/{listing.name}?pair=BTCUSDT&period=1h{more}"


def slots_of(body: Any) -> list[str]:
    return [value["as_of"] for value in body["values"]]


@every_listing
def test_answers_are_what_the_openapi_document_says(app: FastAPI, listing: Metric) -> None:
    (answer,) = get(app, url(listing))
    listing_answer(listing).model_validate_json(answer.content, strict=True)


def test_volatility(app: FastAPI) -> None:
    body = json_of(app, url(VOLATILITY, "&limit=1"))
    added = dict.fromkeys(names(VOLATILITY) - {"rolling_stddev", "annualized", "parkinson", "vov", "yang_zhang"})
    assert body == {
        "pair": "BTCUSDT",
        "period": "1h",
        "metric": "volatility",
        "method": "rolling_stddev",
        "window": "30d",
        "values": [
            {
                "timestamp": "2025-10-20T02:45:04.100Z",
                "as_of": "2025-10-20T02:45:00.000Z",
                "data_until": "2025-10-20T02:00:00.000Z",
                "rows_used": 720,
                "warmup_complete": True,
                **added,
                "rolling_stddev": "0.00512000000000",
                "annualized": "0.4792",
                "parkinson": "0",
                "vov": "0.00061",
                "yang_zhang": "0.0051",
            }
        ],
        "pagination": {
            "total": 12,
            "limit": 1,
            "offset": 0,
            "page": 1,
            "pages": 12,
            "has_next": True,
            "has_previous": False,
        },
        "metadata": {
            "data_completeness": 95.5,
            "last_updated": "2025-10-20T02:45:04.100Z",
            "collection": "analytics_BTCUSDT_volatility",
            "records_returned": 1,
        },
    }


def test_volume(app: FastAPI) -> None:
    body = json_of(app, url(VOLUME, "&limit=1"))
    assert (body["metric"], body["method"], body["window"]) == ("volume", "aggregation", "24h")
    value = body["values"][0]
    assert {key: value[key] for key in VOLUME_BODY} == VOLUME_BODY
    assert body["metadata"]["collection"] == "analytics_BTCUSDT_volume"


def test_trend(app: FastAPI) -> None:
    body = json_of(app, url(TREND, "&limit=1"))
    assert (body["metric"], body["method"], body["window"]) == ("trend", "moving_averages", "20")
    value = body["values"][0]
    assert {key: value[key] for key in TREND_BODY} == TREND_BODY
    assert value["macd"] is None
    assert json_of(app, url(TREND, "&window=30d"))["window"] == "30d"


@pytest.mark.parametrize("key", ["rolling_stddev", "annualized", "parkinson", "garman_klass", "vov"])
def test_the_documented_keys_of_volatility_are_there_and_missing_is_null(
    app: FastAPI, store: MemoryAnalyticsStore, key: str
) -> None:
    missing: dict[str, Any] = {VOLATILITY.fields_of(key)[0].key: None}
    save(store, [document(VOLATILITY, 11, **missing)])
    assert json_of(app, url(VOLATILITY))["values"][0][key] is None


@every_listing
def test_the_newest_ten_come_first(app: FastAPI, listing: Metric) -> None:
    assert slots_of(json_of(app, url(listing))) == as_of(*range(11, 1, -1))


@every_listing
def test_history_by_range_order_and_page(app: FastAPI, listing: Metric) -> None:
    inside = f"&start={as_of(3)[0]}&end={as_of(8)[0]}"
    assert slots_of(json_of(app, url(listing, inside))) == as_of(7, 6, 5, 4, 3)
    assert slots_of(json_of(app, url(listing, f"{inside}&sort_order=asc&limit=2"))) == as_of(3, 4)
    page = json_of(app, url(listing, f"{inside}&limit=2&offset=4"))
    assert slots_of(page) == as_of(3)
    assert page["pagination"] == {
        "total": 5,
        "limit": 2,
        "offset": 4,
        "page": 3,
        "pages": 3,
        "has_next": False,
        "has_previous": True,
    }
    assert page["metadata"]["last_updated"] == "2025-10-20T02:45:04.100Z"


@every_listing
def test_documents_about_the_future_are_not_shown(app: FastAPI, store: MemoryAnalyticsStore, listing: Metric) -> None:
    save(store, [document(listing, 12), document(listing, 13)])
    assert slots_of(json_of(app, url(listing, "&limit=1"))) == as_of(12)


@every_listing
def test_timeframes_are_kept_apart(app: FastAPI, listing: Metric) -> None:
    daily = json_of(app, f"/analysis/{listing.name}?pair=BTCUSDT&period=1d")
    assert (daily["period"], len(daily["values"])) == ("1d", 1)


@every_listing
def test_a_method_is_one_of_the_keys(app: FastAPI, listing: Metric) -> None:
    every = set(json_of(app, url(listing))["values"][0])
    common = {"timestamp", "as_of", "data_until", "rows_used", "warmup_complete"}
    assert every == common | names(listing)
    for method in names(listing):
        body = json_of(app, url(listing, f"&method={method}"))
        assert body["method"] == method
        assert set(body["values"][0]) == common | {method}


def test_the_method_of_the_documents_shows_them_whole(app: FastAPI) -> None:
    body = json_of(app, url(VOLUME, "&method=aggregation"))
    assert names(VOLUME) <= set(body["values"][0])


@every_listing
def test_the_window_that_is_computed_is_accepted(app: FastAPI, listing: Metric) -> None:
    assert json_of(app, url(listing, f"&window={listing.window}"))["window"] == listing.window


@every_listing
def test_what_is_not_computed_is_refused_with_what_is(app: FastAPI, listing: Metric) -> None:
    (window,) = get(app, url(listing, "&window=7d"))
    assert fields_at_fault(window) == ["window"]
    assert window.json()["detail"][0]["msg"] == f"expected one of {', '.join(listing.windows)}"
    (method,) = get(app, url(listing, "&method=guessing"))
    assert fields_at_fault(method) == ["method"]
    assert all(name in method.json()["detail"][0]["msg"] for name in listing.methods)


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", ["pair", "period"]),
        ("pair=BTCUSDT", ["period"]),
        ("pair=BTC-USDT&period=1h", ["pair"]),
        ("pair=BTCUSDT&period=fortnight", ["period"]),
        ("pair=BTCUSDT&period=1h&limit=0", ["limit"]),
        ("pair=BTCUSDT&period=1h&limit=1001", ["limit"]),
        ("pair=BTCUSDT&period=1h&offset=-1", ["offset"]),
        ("pair=BTCUSDT&period=1h&sort_order=newest", ["sort_order"]),
        ("pair=BTCUSDT&period=1h&start=then&end=now", ["end", "start"]),
        ("pair=BTCUSDT&period=1h&explain=please", ["explain"]),
        ("pair=BTCUSDT&period=1h&start=2025-10-21&end=2025-10-20", ["end"]),
    ],
)
@every_listing
def test_a_wrong_query_names_its_fields(app: FastAPI, listing: Metric, query: str, fields: list[str]) -> None:
    (answer,) = get(app, f"/analysis/{listing.name}?{query}")
    assert sorted(fields_at_fault(answer)) == fields


@every_listing
def test_nothing_computed_is_an_empty_list(app: FastAPI, listing: Metric) -> None:
    for query in ("pair=XYZUSDT&period=1h", "pair=BTCUSDT&period=5m"):
        body = json_of(app, f"/analysis/{listing.name}?{query}")
        assert (body["values"], body["pagination"]["total"]) == ([], 0)
        assert body["metadata"]["data_completeness"] is body["metadata"]["last_updated"] is None


@every_listing
def test_an_explanation_tells_of_the_newest_value(app: FastAPI, listing: Metric) -> None:
    (answer,) = get(app, url(listing, f"&end={as_of(8)[0]}&sort_order=asc&explain=1"))
    listing_answer(listing).model_validate_json(answer.content, strict=True)
    explanation = answer.json()["explain"]
    assert explanation.pop("inputs")[0] == "candles_BTCUSDT_1h"
    assert {item["dataset_id"] for item in explanation.pop("lineage")} == {f"analytics_BTCUSDT_{listing.name}"}
    assert explanation == {
        "window": listing.window,
        "parameters": {"window_bars": 720},
        "as_of": as_of(7)[0],
        "data_until": "2025-10-20T01:00:00.000Z",
        "rows_used": 720,
        "warmup_complete": True,
    }


def test_an_explanation_names_every_dataset_and_what_was_made_of_it(app: FastAPI) -> None:
    explanation = json_of(app, url(VOLATILITY, "&explain=true"))["explain"]
    assert explanation["inputs"] == ["candles_BTCUSDT_1h", "candles_BTCUSDT_1m"]
    assert explanation["lineage"] == [
        {
            "dataset_id": "analytics_BTCUSDT_volatility",
            "source_dataset_id": source,
            "transformation": "volatility_calculator",
        }
        for source in explanation["inputs"]
    ]


@every_listing
def test_nothing_is_explained_unless_asked_and_nothing_of_nothing(app: FastAPI, listing: Metric) -> None:
    assert "explain" not in json_of(app, url(listing))
    assert "explain" not in json_of(app, url(listing, "&explain=0"))
    assert json_of(app, f"/analysis/{listing.name}?pair=XYZUSDT&period=1h&explain=1")["explain"] is None


@every_listing
def test_a_store_that_cannot_be_asked_is_503(app: FastAPI, store: MemoryAnalyticsStore, listing: Metric) -> None:
    store.failing = True
    (answer,) = get(app, url(listing))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json() == {"detail": "Database not available"}


def test_the_openapi_document_lists_every_route_with_what_it_accepts(app: FastAPI) -> None:
    document = json_of(app, "/openapi.json")
    declared = {one.name for one in METRICS.values() if one.served is not Served.OTHERWISE}
    assert set(document["paths"]) == {f"/analysis/{name}" for name in declared | BESIDE_THE_DECLARED}
    for listing in LISTINGS:
        route = document["paths"][f"/analysis/{listing.name}"]["get"]
        parameters = {parameter["name"]: parameter for parameter in route["parameters"]}
        assert set(parameters) == {
            *("pair", "period", "method", "window", "start", "end", "limit", "offset", "sort_order", "explain")
        }
        assert parameters["method"]["schema"]["enum"] == list(listing.methods)
        assert parameters["window"]["schema"]["enum"] == list(listing.windows)
        assert parameters["limit"]["schema"]["default"] == 10


def test_routes_that_are_not_declared_do_not_exist(app: FastAPI) -> None:
    declared = {one.name for one in METRICS.values() if one.served is not Served.OTHERWISE}
    undeclared = set(METRICS) - declared - BESIDE_THE_DECLARED
    answers = get(app, *[f"/analysis/{name}?pair=BTCUSDT&period=1h" for name in sorted(undeclared)])
    assert {answer.status_code for answer in answers} == {404}
