"""The routes about regimes and several pairs: what they join, restrict and sort, and answers when there is nothing."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from common.analytics.calculators.correlation import CORRELATION, CORRELATION_MATRIX
from common.analytics.calculators.regime import REGIME
from common.analytics.calculators.regime_model import REGIME_MODEL
from common.analytics.calculators.trend import TREND
from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.calculators.volume import VOLUME
from common.analytics.declaration import MARKET, Metric
from common.analytics.document import document_of
from common.analytics.window import BarWindow, History, window_of
from common.storage.ports import AnalyticsDocument
from common.timeframes import Timeframe
from common.times import HOUR_MS, to_iso
from functions.api_analysis.correlation import CorrelationAnswer
from functions.api_analysis.models import single_answer
from functions.api_analysis.overview import OverviewAnswer
from functions.api_analysis.regime import SHOWN
from functions.correlation.calculator import compute as correlation
from functions.correlation.inputs import CorrelationInputs
from functions.regime.calculator import compute as regime
from functions.regime_model.calculator import compute as regime_model
from functions.regime_model.inputs import window_for
from tests.support import documents
from tests.support.api import fields_at_fault, get, json_of
from tests.support.candles import part, random_walk
from tests.support.documents import FIRST_MS, SLOT_MS, StoredDocuments, as_of

H1 = Timeframe.H1
NOW_MS = FIRST_MS + 4 * SLOT_MS
REGIME_BODY = {
    "regime": "balanced_market",
    "volatility_level": "medium",
    "volume_level": "medium",
    "trend_direction": "neutral",
    "confidence": "0.61",
    "stable_regime": "transitional",
    "inputs": {"annualized_volatility": "0.3", "volume_spike_ratio": "1", "rate_of_change": None},
}
MODEL_BODY = {
    "model_regime": "low_volatility",
    "model_probability": "0.97",
    "state_probabilities": {"low_volatility": "0.97", "high_volatility": "0.03"},
    "expected_duration_bars": "31.5",
}
MATRIX = {
    "BTCUSDT": {"BTCUSDT": "1", "ETHUSDT": "0.871", "SOLUSDT": None},
    "ETHUSDT": {"BTCUSDT": "0.871", "ETHUSDT": "1", "SOLUSDT": None},
    "SOLUSDT": {"BTCUSDT": None, "ETHUSDT": None, "SOLUSDT": None},
}
MARKET_BODY = {
    "matrix": MATRIX,
    "market_breadth": {"above_sma20": "0.5", "above_sma50": None, "advance_decline": "0"},
    "first_component_share": "0.9355",
}
BESIDE = {
    "rolling_correlation": "0.871",
    "cross_correlation_lag": 0,
    "cross_correlation_at_lag": "0.871",
    "volatility_correlation": "0.6",
    "correlation_stability": "0",
    "cointegration": {"beta": "1.2", "adf_t": "-3.5", "p_value": "0.03", "half_life_bars": None},
}
PARAMETERS: dict[str, Any] = {"benchmark": "BTCUSDT", "symbols": 3}


def document(
    metric: Metric, slot: int, fields: Mapping[str, Any], symbol: str = "BTCUSDT", name: str | None = None, **more: Any
) -> AnalyticsDocument:
    made = documents.document(metric, slot, fields, **more)
    return replace(made, symbol=symbol, metric=name or metric.name, body={**made.body, "symbol": symbol})


def correlations(slot: int) -> list[AnalyticsDocument]:
    market = document(CORRELATION, slot, MARKET_BODY, MARKET, CORRELATION_MATRIX.name, **PARAMETERS)
    own = [document(CORRELATION, slot, BESIDE, pair, **PARAMETERS) for pair in MATRIX]
    own[0].body["metadata"]["completeness"] = 50.0  # type: ignore[index] # a map
    return [market, *own]


@pytest.fixture
def store(tmp_path: Path) -> StoredDocuments:
    stored = StoredDocuments(tmp_path, NOW_MS)
    regimes = [document(REGIME, slot, REGIME_BODY) for slot in range(4)]
    models = [document(REGIME_MODEL, slot, MODEL_BODY) for slot in (0, 2)]
    stored.save(*regimes, *models, *(one for slot in range(4) for one in correlations(slot)))
    return stored


@pytest.fixture
def app(store: StoredDocuments) -> ASGIApp:
    return store.app


def test_regime_stands_beside_that_of_the_newest_model(app: ASGIApp) -> None:
    (answer,) = get(app, "/analysis/regime?pair=btcusdt")
    single_answer(SHOWN).model_validate_json(answer.content, strict=True)
    body = answer.json()
    assert (body["pair"], body["period"], body["metric"]) == ("BTCUSDT", "1h", "regime")
    data = body["data"]
    assert data["as_of"] == as_of(3)[0]
    assert {name: data[name] for name in REGIME_BODY} == REGIME_BODY
    assert {name: data[name] for name in MODEL_BODY} == MODEL_BODY
    assert data["model_as_of"] == as_of(2)[0]
    assert body["metadata"]["collection"] == "analytics_BTCUSDT_regime"
    assert body["metadata"]["timestamp"] == data["timestamp"]


def test_history_of_regimes_stands_beside_the_models_of_the_same_instant(app: ASGIApp) -> None:
    values = json_of(app, "/analysis/regime?pair=BTCUSDT&limit=3")["values"]
    assert [value["as_of"] for value in values] == as_of(3, 2, 1)
    assert [value["model_regime"] for value in values] == [None, "low_volatility", None]


def test_one_field_of_a_regime(app: ASGIApp) -> None:
    data = json_of(app, "/analysis/regime?pair=BTCUSDT&method=stable_regime")["data"]
    assert data["stable_regime"] == "transitional"
    assert not data.keys() & {"regime", "model_regime"}


def test_without_a_model_its_fields_are_null(app: ASGIApp, store: StoredDocuments) -> None:
    store.save(document(REGIME, 1, REGIME_BODY, "ETHUSDT"))
    data = json_of(app, "/analysis/regime?pair=ETHUSDT")["data"]
    assert data["regime"] == "balanced_market"
    assert data["model_regime"] is data["model_probability"] is data["model_as_of"] is None


@pytest.mark.parametrize("query", ["pair=XYZUSDT", "pair=BTCUSDT&period=1d"])
def test_no_regime_is_404(app: ASGIApp, query: str) -> None:
    (answer,) = get(app, f"/analysis/regime?{query}")
    assert answer.status_code == 404
    assert "No regime data available" in answer.json()["detail"]


def test_the_matrix_holds_the_pairs_asked_for(app: ASGIApp) -> None:
    (answer,) = get(app, "/analysis/correlation?pairs=ETHUSDT,%20btcusdt&period=1h")
    CorrelationAnswer.model_validate_json(answer.content, strict=True)
    body = answer.json()
    assert body["pairs"] == ["ETHUSDT", "BTCUSDT"]
    assert (body["period"], body["metric"], body["method"], body["window"]) == ("1h", "correlation", "pearson", "30d")
    assert body["correlation_matrix"] == {
        "ETHUSDT": {"ETHUSDT": "1", "BTCUSDT": "0.871"},
        "BTCUSDT": {"ETHUSDT": "0.871", "BTCUSDT": "1"},
    }
    assert body["details"] == {"ETHUSDT": BESIDE, "BTCUSDT": BESIDE}
    assert body["market"] == {name: MARKET_BODY[name] for name in ("market_breadth", "first_component_share")}
    assert body["metadata"] == {
        "data_completeness": (91.5 + 50) / 2,
        "last_updated": "2025-10-20T00:45:04.100Z",
        "as_of": as_of(3)[0],
        "data_until": "2025-10-20T00:00:00.000Z",
        "rows_used": 720,
        "warmup_complete": True,
        "benchmark": "BTCUSDT",
        "collection": "analytics_correlation_matrix",
    }


def test_a_pair_that_is_not_in_the_matrix_is_null(app: ASGIApp) -> None:
    body = json_of(app, "/analysis/correlation?pairs=BTCUSDT,XYZUSDT&period=1h")
    assert body["correlation_matrix"]["XYZUSDT"] == {"BTCUSDT": None, "XYZUSDT": None}
    assert body["correlation_matrix"]["BTCUSDT"] == {"BTCUSDT": "1", "XYZUSDT": None}
    assert body["details"]["XYZUSDT"] is None
    assert body["metadata"]["data_completeness"] == 50


def test_details_belong_to_the_matrix_they_were_computed_with(app: ASGIApp, store: StoredDocuments) -> None:
    store.save(document(CORRELATION, 4, {**BESIDE, "rolling_correlation": "-1"}, "ETHUSDT"))
    body = json_of(app, "/analysis/correlation?pairs=BTCUSDT,ETHUSDT&period=1h")
    assert body["details"]["ETHUSDT"]["rolling_correlation"] == "0.871"


@pytest.mark.parametrize(
    ("more", "slots", "total"),
    [
        (f"&end={as_of(2)[0]}", (1, 0), 2),
        (f"&start={as_of(1)[0]}", (3, 2, 1), 3),
        ("&limit=3", (3, 2, 1), 4),
        ("&limit=2&offset=1", (2, 1), 4),
        ("&limit=2&offset=1&sort_order=ASC", (1, 2), 4),
        (f"&start={as_of(1)[0]}&end={as_of(3)[0]}&limit=1&sort_order=asc", (1,), 2),
    ],
)
def test_matrices_of_the_past(app: ASGIApp, more: str, slots: tuple[int, ...], total: int) -> None:
    body = json_of(app, f"/analysis/correlation?pairs=BTCUSDT,ETHUSDT&period=1h{more}")
    assert [value["as_of"] for value in body["values"]] == as_of(*slots)
    assert body["pagination"]["total"] == total
    assert body["values"][0]["correlation_matrix"] == body["correlation_matrix"]
    CorrelationAnswer.model_validate(body)


def test_the_newest_matrix_of_a_span_stands_beside_its_history(app: ASGIApp) -> None:
    body = json_of(app, f"/analysis/correlation?pairs=BTCUSDT&period=1h&end={as_of(2)[0]}&offset=1")
    assert body["metadata"]["as_of"] == as_of(1)[0]
    assert [value["as_of"] for value in body["values"]] == as_of(0)
    assert not {"values", "pagination"} & json_of(app, "/analysis/correlation?pairs=BTCUSDT&period=1h").keys()


def test_a_matrix_explained(app: ASGIApp) -> None:
    explain = json_of(app, "/analysis/correlation?pairs=BTCUSDT&period=1h&explain=1")["explain"]
    assert len(explain["inputs"]) == 3
    assert all("1h" in dataset for dataset in explain["inputs"])
    assert explain["parameters"] == PARAMETERS
    assert {(one["dataset_id"], one["transformation"]) for one in explain["lineage"]} == {
        ("analytics_correlation_matrix", "correlation_calculator")
    }


@pytest.mark.parametrize("query", ["pairs=XYZUSDT,ABCUSDT&period=1h", "pairs=BTCUSDT&period=1d"])
def test_no_matrix_is_404(app: ASGIApp, query: str) -> None:
    (answer,) = get(app, f"/analysis/correlation?{query}")
    assert answer.status_code == 404
    assert "No correlation data available" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("correlation", ["pairs", "period"]),
        ("correlation?pairs=,&period=1h", ["pairs"]),
        ("correlation?pairs=BTC-USDT&period=1h", ["pairs"]),
        (f"correlation?pairs={','.join(f'A{n}USDT' for n in range(201))}&period=1h", ["pairs"]),
        ("correlation?pairs=BTCUSDT&period=1h&window=7d", ["window"]),
        ("regime", ["pair"]),
        ("regime?pair=BTCUSDT&period=fortnight", ["period"]),
        ("regime?pair=BTCUSDT&window=30d", ["window"]),
        ("regime?pair=BTCUSDT&method=guessing", ["method"]),
        ("market-overview?limit=101&offset=-1", ["limit", "offset"]),
        ("market-overview?sort_by=price&sort_order=up", ["sort_by", "sort_order"]),
    ],
)
def test_a_wrong_query_names_its_fields(app: ASGIApp, path: str, fields: list[str]) -> None:
    (answer,) = get(app, f"/analysis/{path}")
    assert sorted(fields_at_fault(answer)) == fields


@pytest.fixture
def whole_market(store: StoredDocuments) -> None:
    for number, pair in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT")):
        store.save(
            document(VOLATILITY, 3, {"annualized_volatility": f"0.{9 - number}"}, pair),
            document(VOLUME, 3, {"volume_spike_ratio": "10.5" if number == 1 else f"{number + 2}"}, pair),
            document(TREND, 3, {"crossover_signal": "bullish", "rate_of_change": f"{number - 1}"}, pair),
        )
    store.save(document(VOLATILITY, 3, {"annualized_volatility": None}, "ADAUSDT"))


@pytest.mark.usefixtures("whole_market")
def test_the_overview_of_the_default_pairs(app: ASGIApp) -> None:
    (answer,) = get(app, "/analysis/market-overview")
    OverviewAnswer.model_validate_json(answer.content, strict=True)
    body = answer.json()
    assert list(body["overview"]) == ["BTCUSDT", "ETHUSDT"]
    assert body["overview"]["BTCUSDT"] == {
        "volatility": {"annualized": "0.9"},
        "volume": {"spike_ratio": "2"},
        "trend": {"direction": "bullish", "roc": "-1"},
        "regime": {"classification": "balanced_market", "confidence": "0.61"},
    }
    assert body["overview"]["ETHUSDT"]["regime"] == {"classification": None, "confidence": None}
    assert (body["pairs_requested"], body["pairs_available"], body["period"]) == (2, 2, "1h")
    assert body["timestamp"] == "2025-10-20T01:00:00.000Z"


@pytest.mark.usefixtures("whole_market")
@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", ["ETHUSDT", "XYZUSDT", "SOLUSDT", "ADAUSDT", "BTCUSDT"]),
        ("&sort_by=symbol", ["ADAUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT", "XYZUSDT"]),
        ("&sort_by=volatility", ["SOLUSDT", "ETHUSDT", "BTCUSDT", "XYZUSDT", "ADAUSDT"]),
        ("&sort_by=volume&sort_order=desc", ["ETHUSDT", "SOLUSDT", "BTCUSDT", "XYZUSDT", "ADAUSDT"]),
        ("&sort_by=trend&sort_order=desc&limit=2", ["SOLUSDT", "ETHUSDT"]),
        ("&sort_by=symbol&limit=2&offset=1", ["BTCUSDT", "ETHUSDT"]),
    ],
)
def test_the_overview_is_sorted_and_paged(app: ASGIApp, query: str, pairs: list[str]) -> None:
    asked = "ETHUSDT,XYZUSDT,SOLUSDT,ADAUSDT,BTCUSDT"
    body = json_of(app, f"/analysis/market-overview?pairs={asked}{query}")
    assert list(body["overview"]) == pairs
    assert (body["pairs_requested"], body["pairs_available"]) == (5, 4)
    assert body["pagination"]["total"] == 5
    assert body["overview"].get("XYZUSDT") is None


def test_the_overview_shows_all_pairs_that_are_asked_for(app: ASGIApp) -> None:
    pairs = [f"A{number}USDT" for number in range(150)]
    body = json_of(app, f"/analysis/market-overview?pairs={','.join(pairs)}")
    assert list(body["overview"]) == pairs
    assert (body["pagination"]["limit"], body["pagination"]["pages"], body["pagination"]["has_next"]) == (150, 1, False)
    rest = json_of(app, f"/analysis/market-overview?pairs={','.join(pairs)}&offset=148")
    assert list(rest["overview"]) == pairs[148:]


@pytest.mark.usefixtures("whole_market")
def test_the_oldest_of_several_documents_decides_how_old_the_answer_is(app: ASGIApp) -> None:
    urls = (
        "/analysis/regime?pair=BTCUSDT",  # its own document is a quarter of an hour old, that of the model half an hour
        "/analysis/regime?pair=BTCUSDT&limit=3",
        "/analysis/correlation?pairs=BTCUSDT&period=1h&limit=3",
        f"/analysis/correlation?pairs=BTCUSDT&period=1h&end={as_of(2)[0]}",
        "/analysis/market-overview",
        "/analysis/market-overview?pairs=XYZUSDT",
    )
    assert [answer.headers["x-data-status"] for answer in get(app, *urls)] == [
        "fresh; age=1800",
        "fresh; age=1800",
        "fresh; age=900",
        "stale; age=2700",
        "fresh; age=900",
        "stale",
    ]


def test_programs_that_know_the_original_get_null_instead_of_404(store: StoredDocuments) -> None:
    app = StoredDocuments(store.folder, NOW_MS, petrosa_compat="petrosa-clients").app
    regime_ = json_of(app, "/analysis/regime?pair=XYZUSDT")
    assert (regime_["pair"], regime_["period"], regime_["data"]) == ("XYZUSDT", "1h", None)
    assert regime_["metadata"]["collection"] == "analytics_XYZUSDT_regime"
    assert regime_["message"] == regime_["metadata"]["message"] == "No regime data available for XYZUSDT 1h"
    matrix = json_of(app, "/analysis/correlation?pairs=XYZUSDT&period=1h")
    assert (matrix["pairs"], matrix["data"], matrix["correlation_matrix"]) == (["XYZUSDT"], None, {})
    assert matrix["message"] == "No correlation data available for XYZUSDT 1h"


def test_a_period_without_documents_is_a_market_of_nulls(app: ASGIApp) -> None:
    body = json_of(app, "/analysis/market-overview?period=4h")
    assert body["overview"] == {"BTCUSDT": None, "ETHUSDT": None}
    assert body["pairs_available"] == 0


@pytest.mark.usefixtures("whole_market")
def test_an_overview_explained(app: ASGIApp) -> None:
    explain = json_of(app, "/analysis/market-overview?explain=1")["explain"]
    assert [len(explain[pair]) for pair in ("BTCUSDT", "ETHUSDT")] == [4, 3]


def test_what_the_calculators_store_is_served_whole(app: ASGIApp, store: StoredDocuments) -> None:
    pairs = ("BTCUSDT", "ETHUSDT")
    candles = {
        pair: random_walk(2400, H1, seed=seed, start_ms=NOW_MS - 2400 * HOUR_MS) for seed, pair in enumerate(pairs)
    }
    wide = BarWindow(H1, NOW_MS, 720, 1441)
    both = CorrelationInputs(
        wide, tuple(History(pair, wide, part(candles[pair], slice(-1441, None))) for pair in pairs)
    )
    btc = History("BTCUSDT", window_of(REGIME, H1, NOW_MS), part(candles["BTCUSDT"], slice(-720, None)))
    model = window_for(H1, NOW_MS)
    long = History("BTCUSDT", model, part(candles["BTCUSDT"], slice(-model.loaded_bars, None)))
    computed = {
        CORRELATION: correlation(both),
        REGIME: regime(btc),
        REGIME_MODEL: regime_model(long),
    }
    for metric, results in computed.items():
        assert results
        store.save(*(document_of(one, metric, H1, as_of_ms=NOW_MS, computed_at_ms=NOW_MS) for one in results))
    matrix, newest = get(app, "/analysis/correlation?pairs=BTCUSDT,ETHUSDT&period=1h", "/analysis/regime?pair=BTCUSDT")
    shown = CorrelationAnswer.model_validate_json(matrix.content, strict=True)
    assert shown.metadata.as_of == to_iso(NOW_MS)
    assert all(value is not None for value in matrix.json()["details"]["ETHUSDT"].values())
    assert all(value is not None for value in matrix.json()["market"]["market_breadth"].values())
    single_answer(SHOWN).model_validate_json(newest.content, strict=True)
    assert all(value is not None for value in newest.json()["data"].values())


def test_the_openapi_document_says_what_they_accept(app: ASGIApp) -> None:
    paths = json_of(app, "/openapi.json")["paths"]

    def parameters(path: str) -> dict[str, Any]:
        return {one["name"]: one for one in paths[f"/analysis/{path}"]["get"]["parameters"]}

    assert parameters("regime")["period"]["schema"]["default"] == "1h"
    assert parameters("market-overview")["period"]["schema"]["default"] == "1h"
    assert parameters("correlation")["period"]["required"]
    assert parameters("correlation")["pairs"]["schema"]["type"] == "string"
