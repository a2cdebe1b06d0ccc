"""The routes of single metrics under ``/analysis``: fields, methods, windows, history, age, errors, empty cases."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from common.analytics.calculators.deviation import DEVIATION
from common.analytics.calculators.seasonality import SEASONALITY
from common.analytics.calculators.spread import SPREAD
from common.analytics.declaration import Metric, Scope, Served
from common.analytics.metrics import METRICS
from common.storage.ports import AnalyticsDocument
from common.times import HOUR_MS
from functions.api_analysis.models import listing_answer, single_answer
from tests.support import documents
from tests.support.api import fields_at_fault, get, json_of
from tests.support.documents import FIRST_MS, SLOT_MS, StoredDocuments, as_of, names

NOW_MS = FIRST_MS + 12 * SLOT_MS
# Routes of their own form.
BESIDE_THE_DECLARED = {"regime", "correlation", "market-overview"}
DECLARED = [metric for metric in METRICS.values() if metric.served is not Served.OTHERWISE]
LISTINGS = [metric for metric in DECLARED if metric.served is Served.LIST]
SINGLES = [metric for metric in DECLARED if metric.served is Served.NEWEST]
every_metric = pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
every_listing = pytest.mark.parametrize("metric", LISTINGS, ids=lambda metric: metric.name)
every_single = pytest.mark.parametrize("metric", SINGLES, ids=lambda metric: metric.name)
COMMON = {"timestamp", "as_of", "data_until", "rows_used", "warmup_complete"}

SLOT = {"mean": "0.0012", "count": 90, "t_value": "2.1"}
EMPTY_SLOT = {"mean": None, "count": 0, "t_value": None}
# What is stored; volatility shows two of its fields under other names.
BODIES: dict[str, dict[str, Any]] = {
    "volatility": {
        "rolling_stddev": "0.00512000000000",
        "annualized_volatility": "0.4792",
        "parkinson": "0",
        "garman_klass": None,
        "volatility_of_volatility": "0.00061",
        "yang_zhang": "0.0051",
    },
    "volume": {
        "total_volume": "182334.118",
        "volume_sma": "7511.402",
        "volume_ema": "7290.118",
        "volume_delta": "-1204.55",
        "volume_spike_ratio": "0",
        "taker_buy_ratio": None,
        "vwap": "64120.5",
        "obv": "-12.5",
        "amihud_illiquidity": "0.000000000012",
    },
    "trend": {
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
    },
    "spread": {
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
    },
    "deviation": {
        "standard_deviation": "212.44",
        "z_score": "-0.39",
        "autocorrelation": None,
        "price_range_index": "0",
    },
    "seasonality": {
        "hourly_pattern": {str(hour): "64110.2" for hour in range(24)},
        "daily_pattern": {"0": "63990.1", "6": None},
        "seasonal_deviation": "0.37",
        "entropy_index": "0.41",
        "dominant_cycle": 24,
        "dominant_cycle_hours": "24",
        "hourly_return_pattern": {"0": SLOT, "1": EMPTY_SLOT},
        "spectral_peaks": [{"period_bars": "24", "period_hours": "24", "power_share": "0.7", "significant": True}],
    },
}
HEADS = {
    "volatility": ("rolling_stddev", "30d"),
    "volume": ("aggregation", "24h"),
    "trend": ("moving_averages", "20"),
    "spread": ("order_book_analysis", "snapshot"),
    "deviation": ("statistical_analysis", "30d"),
    "seasonality": ("fourier_analysis", "90d"),
}
INPUTS = {name: ["candles_BTCUSDT_1h"] for name in METRICS} | {
    "volatility": ["candles_BTCUSDT_1h", "candles_BTCUSDT_1m"],
    "spread": ["depth_BTCUSDT", "candles_BTCUSDT_1h"],
}


def document(metric: Metric, slot: int, timeframe: str = "1h", **changes: Any) -> AnalyticsDocument:
    own = None if metric.scope is Scope.SYMBOL else timeframe
    return documents.document(metric, slot, BODIES.get(metric.name, {}) | changes, own, window_bars=720)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve documents of each metric, a quarter of an hour apart, and where there are timeframes one at 1d."""
    store = StoredDocuments(tmp_path_factory.mktemp("documents"), NOW_MS)
    store.save(*(document(metric, slot) for metric in DECLARED for slot in range(12)))
    store.save(*(document(metric, 0, "1d") for metric in DECLARED if metric.scope is Scope.SERIES))
    return store.folder


@pytest.fixture(scope="module")
def app(stored: Path) -> ASGIApp:
    return StoredDocuments(stored, NOW_MS).app


@pytest.fixture
def store(stored: Path, tmp_path: Path) -> StoredDocuments:
    """A copy of the stored documents, for tests that change them."""
    return StoredDocuments(shutil.copytree(stored, tmp_path, dirs_exist_ok=True), NOW_MS)


def url(metric: Metric, more: str = "", pair: str = "BTCUSDT", period: str = "1h") -> str:
    own = "" if metric.scope is Scope.SYMBOL else f"&period={period}"
    return f"/analysis/{metric.name}?pair={pair}{own}{more}"


def slots_of(body: Any) -> list[str]:
    return [value["as_of"] for value in body["values"]]


def newest_of(body: Any) -> Any:
    return body["data"] if "data" in body else body["values"][0]


@every_metric
@pytest.mark.parametrize("more", ["", "&limit=3", "&explain=1", "&limit=3&explain=1"])
def test_answers_are_what_the_openapi_document_says(app: ASGIApp, metric: Metric, more: str) -> None:
    (answer,) = get(app, url(metric, more))
    model: Any = listing_answer(metric) if metric in LISTINGS else single_answer(metric)
    model.model_validate_json(answer.content, strict=True)


@every_metric
def test_a_value_has_every_declared_field_and_missing_is_null(app: ASGIApp, metric: Metric) -> None:
    body = json_of(app, url(metric, pair="btcusdt"))
    served = {"annualized": "annualized_volatility", "vov": "volatility_of_volatility"}
    stored_fields = BODIES.get(metric.name, {})
    assert newest_of(body) == {
        "timestamp": "2025-10-20T02:45:04.100Z",
        "as_of": "2025-10-20T02:45:00.000Z",
        "data_until": "2025-10-20T02:00:00.000Z",
        "rows_used": 720,
        "warmup_complete": True,
        **{name: stored_fields.get(served.get(name, name)) for name in names(metric)},
    }
    assert (body["pair"], body["metric"]) == ("BTCUSDT", metric.name)
    assert (body["method"], body["window"]) == HEADS.get(metric.name, (metric.method, metric.window))
    assert body.get("period") == (None if metric is SPREAD else "1h")


@every_listing
def test_a_list_tells_where_it_comes_from(app: ASGIApp, metric: Metric) -> None:
    body = json_of(app, url(metric, "&limit=1"))
    assert body["metadata"] == {
        "data_completeness": 95.5,
        "last_updated": "2025-10-20T02:45:04.100Z",
        "collection": f"analytics_BTCUSDT_{metric.name}",
        "records_returned": 1,
    }
    assert (body["pagination"]["total"], body["pagination"]["pages"]) == (12, 12)


@every_single
def test_a_single_document_tells_where_it_comes_from(app: ASGIApp, metric: Metric) -> None:
    assert json_of(app, url(metric))["metadata"] == {
        "timestamp": "2025-10-20T02:45:04.100Z",
        "source": "sqlite",
        "collection": f"analytics_BTCUSDT_{metric.name}",
        "data_completeness": 95.5,
    }


@every_metric
def test_documents_about_the_future_are_not_shown(store: StoredDocuments, metric: Metric) -> None:
    store.save(document(metric, 12), document(metric, 13))
    assert newest_of(json_of(store.app, url(metric)))["as_of"] == as_of(12)[0]


@every_metric
def test_timeframes_are_kept_apart(app: ASGIApp, metric: Metric) -> None:
    if metric is not SPREAD:
        daily = json_of(app, url(metric, period="1d"))
        assert (daily["period"], newest_of(daily)["as_of"]) == ("1d", as_of(0)[0])


@every_listing
def test_the_newest_ten_come_first(app: ASGIApp, metric: Metric) -> None:
    assert slots_of(json_of(app, url(metric))) == as_of(*range(11, 1, -1))


@every_metric
def test_history_by_range_order_and_page(app: ASGIApp, metric: Metric) -> None:
    inside = f"&start={as_of(3)[0]}&end={as_of(8)[0]}"
    assert slots_of(json_of(app, url(metric, inside))) == as_of(7, 6, 5, 4, 3)
    assert slots_of(json_of(app, url(metric, f"{inside}&sort_order=ASC&limit=2"))) == as_of(3, 4)
    page = json_of(app, url(metric, f"{inside}&limit=2&offset=4"))
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
    assert slots_of(json_of(app, url(metric, "&limit=1"))) == as_of(11)
    assert len(slots_of(json_of(app, url(metric, f"&start={as_of(0)[0]}")))) == 10


@every_single
def test_the_newest_of_the_span_stands_beside_its_history_whatever_the_page(app: ASGIApp, metric: Metric) -> None:
    assert "values" not in json_of(app, url(metric))
    body = json_of(app, url(metric, f"&start={as_of(3)[0]}&end={as_of(8)[0]}&limit=2&offset=1&sort_order=asc"))
    assert body["data"]["as_of"] == as_of(7)[0]
    assert slots_of(body) == as_of(4, 5)


@every_metric
def test_a_method_is_one_of_the_fields(app: ASGIApp, metric: Metric) -> None:
    assert set(newest_of(json_of(app, url(metric, f"&method={metric.method}")))) >= COMMON
    for method in names(metric):
        body = json_of(app, url(metric, f"&method={method}&limit=2"))
        assert body["method"] == method
        assert all(set(value) == COMMON | {method} for value in (newest_of(body), *body["values"]))


@every_metric
def test_what_is_not_computed_is_refused_with_what_is(app: ASGIApp, metric: Metric) -> None:
    assert json_of(app, url(metric, f"&window={metric.window}"))["window"] == metric.window
    (window,) = get(app, url(metric, "&window=7d"))
    assert fields_at_fault(window) == ["window"]
    assert window.json()["detail"][0]["msg"] == f"expected one of {', '.join(metric.windows)}"
    (method,) = get(app, url(metric, "&method=guessing"))
    assert fields_at_fault(method) == ["method"]
    assert all(name in method.json()["detail"][0]["msg"] for name in metric.methods)


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
@every_metric
def test_a_wrong_query_names_its_fields(app: ASGIApp, metric: Metric, query: str, fields: list[str]) -> None:
    (answer,) = get(app, f"/analysis/{metric.name}?{query}")
    assert sorted(fields_at_fault(answer)) == fields


@every_metric
def test_only_spread_has_no_period(app: ASGIApp, metric: Metric) -> None:
    missing, wrong = get(app, f"/analysis/{metric.name}?pair=BTCUSDT", url(metric, period="fortnight"))
    if metric is SPREAD:
        assert missing.status_code == 200
    else:
        assert fields_at_fault(missing) == fields_at_fault(wrong) == ["period"]


@every_listing
def test_nothing_computed_is_an_empty_list(app: ASGIApp, metric: Metric) -> None:
    for where in (url(metric, "&explain=1", pair="XYZUSDT"), url(metric, "&explain=1", period="5m")):
        (answer,) = get(app, where)
        body = answer.json()
        assert (body["values"], body["pagination"]["total"], body["explain"]) == ([], 0, None)
        assert body["metadata"]["data_completeness"] is body["metadata"]["last_updated"] is None
        assert answer.headers["x-data-status"] == "stale"


@every_single
def test_a_document_that_does_not_exist_is_404(app: ASGIApp, metric: Metric) -> None:
    for where in (
        url(metric, pair="XYZUSDT"),
        url(metric, f"&end={as_of(0)[0]}"),
        url(metric, f"&start={as_of(12)[0]}"),
    ):
        (answer,) = get(app, where)
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith(f"No {metric.name} data available for ")


@every_single
def test_programs_that_know_the_original_get_null_instead(stored: Path, metric: Metric) -> None:
    app = StoredDocuments(stored, NOW_MS, petrosa_compat="petrosa-clients").app
    own = {} if metric is SPREAD else {"period": "1h"}
    method, window = HEADS[metric.name]
    message = f"No {metric.name} data available for XYZUSDT{'' if metric is SPREAD else ' 1h'}"
    assert json_of(app, url(metric, pair="XYZUSDT")) == {
        "pair": "XYZUSDT",
        **own,
        "metric": metric.name,
        "method": method,
        "window": window,
        "data": None,
        "metadata": {
            "timestamp": "2025-10-20T03:00:00.000Z",
            "source": "sqlite",
            "collection": f"analytics_XYZUSDT_{metric.name}",
            "message": message,
        },
        "message": message,
    }
    history = json_of(app, url(metric, "&limit=2"))
    assert history["data"] == history["values"][0], "what exists is answered as ever"


@every_listing
def test_programs_that_know_the_original_find_lists_as_data_too(stored: Path, metric: Metric) -> None:
    app = StoredDocuments(stored, NOW_MS, petrosa_compat="petrosa-clients").app
    body = json_of(app, url(metric))
    assert body["data"] == body["values"]
    assert len(body["values"]) == 10


@every_metric
@pytest.mark.parametrize(
    ("late_ms", "status"), [(0, "fresh; age=900"), (15 * 60_000, "fresh; age=1800"), (16 * 60_000, "stale; age=1860")]
)
def test_an_answer_says_how_old_its_newest_document_is(stored: Path, metric: Metric, late_ms: int, status: str) -> None:
    (answer,) = get(StoredDocuments(stored, NOW_MS + late_ms).app, url(metric))
    of_a_candle = metric is SEASONALITY  # computed once an hour at 1h
    assert answer.headers["x-data-status"] == (status.replace("stale", "fresh") if of_a_candle else status)


def test_age_is_measured_against_the_cycle_of_the_metric(stored: Path) -> None:
    late = StoredDocuments(stored, FIRST_MS + 30 * HOUR_MS, analytics_interval=60 * 60)
    urls = [url(SEASONALITY), url(SEASONALITY, period="1d"), url(DEVIATION, period="1d")]
    assert [answer.headers["x-data-status"] for answer in get(late.app, *urls)] == [
        f"stale; age={(30 * 60 - 165) * 60}",
        f"fresh; age={30 * 3600}",
        f"stale; age={30 * 3600}",
    ]


@every_metric
def test_an_explanation_tells_of_the_newest_document(app: ASGIApp, metric: Metric) -> None:
    assert "explain" not in json_of(app, url(metric))
    assert "explain" not in json_of(app, url(metric, "&explain=0"))
    explanation = json_of(app, url(metric, f"&end={as_of(8)[0]}&sort_order=asc&explain=1"))["explain"]
    assert explanation == {
        "inputs": INPUTS[metric.name],
        "window": metric.window,
        "parameters": {"window_bars": 720},
        "as_of": as_of(7)[0],
        "data_until": "2025-10-20T01:00:00.000Z",
        "rows_used": 720,
        "warmup_complete": True,
        "lineage": [
            {
                "dataset_id": f"analytics_BTCUSDT_{metric.name}",
                "source_dataset_id": source,
                "transformation": f"{metric.name}_calculator",
            }
            for source in INPUTS[metric.name]
        ],
    }


def test_a_store_that_cannot_be_asked_is_503_on_every_route(store: StoredDocuments) -> None:
    store.destroy()
    routes = ["regime?pair=BTCUSDT", "correlation?pairs=BTCUSDT&period=1h", "market-overview"]
    answers = get(store.app, *map(url, DECLARED), *(f"/analysis/{route}" for route in routes))
    assert {(answer.status_code, answer.text) for answer in answers} == {(503, '{"detail":"Database not available"}')}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)


def test_the_openapi_document_lists_every_route_with_what_it_accepts(app: ASGIApp) -> None:
    document = json_of(app, "/openapi.json")
    assert set(document["paths"]) == {f"/analysis/{name}" for name in {m.name for m in DECLARED} | BESIDE_THE_DECLARED}
    accepted = {"pair", "method", "window", "start", "end", "limit", "offset", "sort_order", "explain"}
    for metric in DECLARED:
        route = document["paths"][f"/analysis/{metric.name}"]["get"]
        parameters = {parameter["name"]: parameter for parameter in route["parameters"]}
        assert set(parameters) == accepted | (set() if metric is SPREAD else {"period"})
        assert parameters["method"]["schema"]["enum"] == list(metric.methods)
        assert parameters["window"]["schema"]["enum"] == list(metric.windows)
        assert parameters["limit"]["schema"].get("default") == (10 if metric in LISTINGS else None)
    for path, item in document["paths"].items():
        route = item["get"]
        assert "x-data-status" in route["responses"]["200"]["headers"]
        lists = {f"/analysis/{metric.name}" for metric in LISTINGS} | {"/analysis/market-overview"}
        assert ("404" in route["responses"]) is (path not in lists)


def test_routes_that_are_not_declared_do_not_exist(app: ASGIApp) -> None:
    undeclared = set(METRICS) - {metric.name for metric in DECLARED} - BESIDE_THE_DECLARED
    answers = get(app, *[f"/analysis/{name}?pair=BTCUSDT&period=1h" for name in sorted(undeclared)])
    assert {answer.status_code for answer in answers} == {404}
