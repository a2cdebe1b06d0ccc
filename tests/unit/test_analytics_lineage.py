"""What is declared about the inputs of a metric, against what its function really reads."""

import asyncio

import pytest

from common.analytics.calculators.correlation import CORRELATION, CORRELATION_MATRIX
from common.analytics.calculators.trend import TREND
from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.declaration import MARKET, Metric, Scope, collection_name
from common.analytics.metrics import METRICS
from common.events.own import AnalyticsRequested
from common.models.families import Family
from common.models.rows import CandleRow, DepthRow, Origin
from common.timeframes import Timeframe
from tests.support.column_store import calculation_of
from tests.support.watched_store import watched_store

AS_OF = 1_760_961_600_000


def candle(timeframe: Timeframe, bars_ago: int) -> CandleRow:
    opened = AS_OF - bars_ago * timeframe.duration_ms
    numbers = ("1", "2", "1", "2", "5", None, None, None, None)
    return CandleRow("ETHUSDT", timeframe, opened, *numbers, True, opened, Origin.REST)


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.H4])
@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_function_reads_what_is_declared(metric: Metric, timeframe: Timeframe) -> None:
    asked = None if metric.scope is Scope.SYMBOL else timeframe
    request = AnalyticsRequested(metric=metric.name, symbols=("ETHUSDT",), timeframe=asked, as_of_ms=AS_OF)
    with watched_store() as store:
        store.put(Family.CANDLES, [candle(timeframe, bars_ago) for bars_ago in range(1, 150)])
        store.put(Family.DEPTH, [DepthRow("ETHUSDT", AS_OF, 1, '[["1","1"]]', '[["2","1"]]')])
        asyncio.run(calculation_of(metric.name).load(store, metric, request))
    assert set(store.datasets) == set(metric.input_datasets(["ETHUSDT"], asked))


def test_a_metric_of_several_pairs_reads_the_candles_of_each() -> None:
    expected = ("candles_BTCUSDT_1h", "candles_ETHUSDT_1h")
    assert CORRELATION.input_datasets(["BTCUSDT", "ETHUSDT"], "1h") == expected


def test_a_dataset_is_named_once() -> None:
    assert TREND.input_datasets(["BTCUSDT"], "1d") == ("candles_BTCUSDT_1d",)
    assert VOLATILITY.input_datasets(["BTCUSDT"], "1m") == ("candles_BTCUSDT_1m", "candles_BTCUSDT_1h")


def test_what_all_pairs_have_in_common_has_one_collection() -> None:
    assert collection_name("BTCUSDT", TREND.name) == "analytics_BTCUSDT_trend"
    assert collection_name(MARKET, CORRELATION_MATRIX.name) == "analytics_correlation_matrix"
    assert CORRELATION_MATRIX.transformation == CORRELATION.transformation == "correlation_calculator"
