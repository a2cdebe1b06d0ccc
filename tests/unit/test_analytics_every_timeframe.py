"""Every metric from candles of every timeframe, through store and API: which fields there are, and that none is empty.

The tables of fields are written out here, so that a field that nobody computes any more is missed.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, cast

import pytest
from starlette.types import ASGIApp

from common.analytics.declaration import Field, Kind, Record, Scope
from common.analytics.document import BASIS as BASIS_FIELDS
from common.analytics.metrics import DOCUMENTS, METRICS
from common.models.rows import DepthRow
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from common.times import DAY_MS, MINUTE_MS, parse_instant
from functions.api_analysis.models import value_model
from tests.support.api import json_of
from tests.support.candles import random_walk
from tests.support.column_store import ColumnStore, documents_of
from tests.support.documents import StoredDocuments

AS_OF = parse_instant("2025-12-31T00:00:00Z")
PAIRS = ("BTCUSDT", "ETHUSDT")
TIMEFRAMES = (Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1)
BASIS = {field.name for field in BASIS_FIELDS}

# Route by route.
SERVED: Mapping[str, str] = {
    "volatility": """rolling_stddev annualized parkinson garman_klass vov parkinson_annualized garman_klass_annualized
        rogers_satchell yang_zhang ewma_volatility atr atr_percent realized_variance bipower_variation jump_share
        volatility_forecast""",
    "volume": """total_volume volume_sma volume_ema volume_delta volume_spike_ratio taker_buy_ratio vwap obv
        amihud_illiquidity""",
    "trend": """sma ema wma rate_of_change directional_strength crossover_signal sma_50 rsi adx plus_di minus_di
        rolling_beta crossover_event macd macd_signal macd_histogram""",
    "spread": """bid_ask_spread spread_percentage market_depth_bid market_depth_ask liquidity_ratio slippage_estimate
        mid_price microprice order_book_imbalance order_flow_imbalance slippage cost_to_trade_bps""",
    "deviation": """standard_deviation variance z_score bollinger_upper bollinger_lower price_range_index
        autocorrelation bollinger_middle bollinger_width coefficient_of_variation skewness kurtosis ljung_box_p
        variance_ratio variance_ratio_z""",
    "seasonality": """hourly_pattern daily_pattern seasonal_deviation entropy_index dominant_cycle
        hourly_return_pattern daily_return_pattern weekly_pattern spectral_peaks dominant_cycle_hours
        seasonality_strength""",
    "regime": """regime volatility_level volume_level trend_direction confidence strength inputs stable_regime
        model_regime model_probability""",
}
BESIDE_BENCHMARK = """rolling_correlation cross_correlation_lag cross_correlation_at_lag volatility_correlation
    correlation_stability cointegration"""
# Null on most bars of a market without memory: there was no crossing, and there is no cycle.
EVENTS = {"crossover_event", "dominant_cycle", "dominant_cycle_hours"}
# What the model says besides.
OF_THE_MODEL = {"model_as_of", "state_probabilities", "expected_duration_bars"}
# Candles of a day know no hours of the day.
OF_HOURS = {"hourly_pattern", "hourly_return_pattern", "weekly_pattern", "seasonal_deviation"}


def books(symbol: str) -> list[DepthRow]:
    bids = '[["100.0","5000"],["99.9","1.25"]]', '[["100.0","4000"],["99.9","1.25"]]'
    times = (AS_OF - age_ms for age_ms in range(len(bids)))
    return [DepthRow(symbol, at, at, text, '[["100.1","5000"]]') for at, text in zip(times, bids, strict=True)]


@cache
def walk(symbol: str, timeframe: Timeframe) -> CandleColumns:
    rows = max(91 * DAY_MS // timeframe.duration_ms, 1600)
    start_ms = AS_OF - rows * timeframe.duration_ms
    return random_walk(rows, timeframe, seed=PAIRS.index(symbol), start_ms=start_ms)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Timeframe], ASGIApp]:
    """What gives the API over the documents of a whole cycle of one timeframe."""

    @cache
    def serve(timeframe: Timeframe) -> ASGIApp:
        stored = StoredDocuments(tmp_path_factory.mktemp("documents"), AS_OF + MINUTE_MS)
        market = ColumnStore(walk, books)
        for metric in METRICS.values():
            symbols = PAIRS if metric.scope is Scope.MARKET else PAIRS[1:]
            own = None if metric.scope is Scope.SYMBOL else timeframe
            stored.save(*documents_of(metric.name, market, symbols, own, AS_OF))
        return stored.app

    return serve


def value_of(route: str, served: Callable[[Timeframe], ASGIApp], timeframe: Timeframe) -> dict[str, Any]:
    """Return the newest value that a route shows."""
    period = "" if route == "spread" else f"&period={timeframe}"
    answer = json_of(served(timeframe), f"/analysis/{route}?pair={PAIRS[1]}{period}")
    return cast("dict[str, Any]", answer["values"][0] if "values" in answer else answer["data"])


def empty(value: Mapping[str, Any]) -> set[str]:
    return {name for name, item in value.items() if item is None}


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@pytest.mark.parametrize("route", SERVED)
def test_every_timeframe_gives_every_field_of_a_metric(
    route: str, served: Callable[[Timeframe], ASGIApp], timeframe: Timeframe
) -> None:
    value = value_of(route, served, timeframe)
    extra = OF_THE_MODEL if route == "regime" else set()
    assert set(value) == {*SERVED[route].split(), *BASIS, *extra}
    assert empty(value) <= EVENTS | (OF_HOURS if timeframe is Timeframe.D1 else set())


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_every_timeframe_gives_correlation_and_the_market(
    served: Callable[[Timeframe], ASGIApp], timeframe: Timeframe
) -> None:
    answer = json_of(served(timeframe), f"/analysis/correlation?pairs={','.join(PAIRS)}&period={timeframe}")
    assert all(cell is not None for row in answer["correlation_matrix"].values() for cell in row.values())
    beside = answer["details"][PAIRS[1]]
    assert set(beside) == set(BESIDE_BENCHMARK.split())
    assert empty(beside) == set()
    assert set(beside["cointegration"]) == {"beta", "adf_t", "p_value", "half_life_bars"}
    assert empty(beside["cointegration"]) == set()
    assert set(answer["market"]) == {"market_breadth", "first_component_share"}
    assert set(answer["market"]["market_breadth"]) == {"above_sma20", "above_sma50", "advance_decline"}
    assert empty(answer["market"]) | empty(answer["market"]["market_breadth"]) == set()
    assert answer["metadata"]["rows_used"] >= 250 * len(PAIRS)
    assert answer["metadata"]["warmup_complete"] is True


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_the_overview_of_every_timeframe_is_whole(served: Callable[[Timeframe], ASGIApp], timeframe: Timeframe) -> None:
    answer = json_of(served(timeframe), f"/analysis/market-overview?pairs={PAIRS[1]}&period={timeframe}")
    parts = answer["overview"][PAIRS[1]]
    assert set(parts) == {"volatility", "volume", "trend", "regime"}
    assert all(empty(one) == set() for one in parts.values())


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@pytest.mark.parametrize("route", [route for route in SERVED if route != "spread"])
def test_windows_hold_enough_bars_for_recursive_averages_to_converge(
    route: str, served: Callable[[Timeframe], ASGIApp], timeframe: Timeframe
) -> None:
    value = value_of(route, served, timeframe)
    assert value["rows_used"] >= 250
    assert value["warmup_complete"] is True


@pytest.mark.parametrize("name", METRICS)
def test_a_document_holds_what_is_declared_in_the_type_that_is_declared(name: str) -> None:
    metric = METRICS[name]
    symbols = PAIRS if metric.scope is Scope.MARKET else PAIRS[1:]
    timeframe = None if metric.scope is Scope.SYMBOL else Timeframe.H1
    for document in documents_of(name, ColumnStore(walk, books), symbols, timeframe, AS_OF):
        declared = DOCUMENTS[document.metric]
        assert document.body.keys() - {"symbol", "timeframe", "metadata", *BASIS} == {f.key for f in declared.fields}
        shown = {field.name: document.body[field.key] for field in (*BASIS_FIELDS, *declared.fields)}
        value_model(declared).model_validate(shown, strict=True)


def test_every_number_says_its_unit_and_every_field_its_meaning() -> None:
    def check(fields: Iterable[Field]) -> None:
        for field in fields:
            assert field.says.endswith("."), field.name
            item = getattr(field.shape, "item", field.shape)
            if isinstance(item, Record):
                check(item.fields)
            elif item in {Kind.DECIMAL, Kind.INTEGER}:
                assert field.unit, field.name

    for metric in DOCUMENTS.values():
        check((*BASIS_FIELDS, *metric.fields))


def test_the_openapi_document_says_what_each_field_means(served: Callable[[Timeframe], ASGIApp]) -> None:
    schemas = json_of(served(Timeframe.H1), "/openapi.json")["components"]["schemas"]
    for route, fields in SERVED.items():
        properties = schemas[f"{route.title()}Value"]["properties"]
        assert set(fields.split()) <= set(properties)
        assert all("description" in properties[name] for name in properties)
        assert properties["rows_used"]["x-unit"] == "rows"
    assert schemas["VolatilityPart"]["properties"]["annualized"]["x-unit"] == "per year"
