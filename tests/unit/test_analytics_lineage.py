"""What is declared about the inputs of a metric, against what its function really reads."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.analytics import metrics
from common.analytics.lineage import input_datasets, output_dataset
from common.analytics.metrics import Metric, Scope
from common.events.requests import AnalyticsRequested
from common.models.rows import CandleRow, DepthRow, Family, Origin, dataset_id
from common.storage.columns import CandleColumns
from common.storage.ports import Window
from common.timeframes import Timeframe
from functions.correlation.inputs import load as load_correlation
from functions.deviation.inputs import load as load_deviation
from functions.regime.inputs import load as load_regime
from functions.regime_model.inputs import load as load_regime_model
from functions.seasonality.inputs import load as load_seasonality
from functions.spread.inputs import load as load_spread
from functions.trend.inputs import load as load_trend
from functions.volatility.inputs import load as load_volatility
from functions.volume.inputs import load as load_volume
from tests.support.memory_stores import MemoryMarketStore

AS_OF = 1_760_961_600_000
Load = Callable[[Any, AnalyticsRequested], Coroutine[Any, Any, object]]


@dataclass
class ReadingStore(MemoryMarketStore):
    """Remembers which datasets were read."""

    datasets: list[str] = field(default_factory=list)

    async def candle_columns(self, symbol: str, timeframe: Timeframe, **window: Any) -> CandleColumns:
        self.datasets.append(dataset_id(Family.CANDLES, symbol, timeframe))
        return await super().candle_columns(symbol, timeframe, **window)

    async def depth(self, symbol: str, window: Window) -> list[DepthRow]:
        self.datasets.append(dataset_id(Family.DEPTH, symbol))
        return await super().depth(symbol, window)


def candle(timeframe: Timeframe, bars_ago: int) -> CandleRow:
    opened = AS_OF - bars_ago * timeframe.duration_ms
    numbers = ("1", "2", "1", "2", "5", None, None, None, None)
    return CandleRow("ETHUSDT", timeframe, opened, *numbers, True, opened, Origin.REST)


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.H4])
@pytest.mark.parametrize(
    ("metric", "load"),
    [
        (metrics.VOLATILITY, load_volatility),
        (metrics.VOLUME, load_volume),
        (metrics.SPREAD, load_spread),
        (metrics.TREND, load_trend),
        (metrics.DEVIATION, load_deviation),
        (metrics.SEASONALITY, load_seasonality),
        (metrics.CORRELATION, load_correlation),
        (metrics.REGIME, load_regime),
        (metrics.REGIME_MODEL, load_regime_model),
    ],
    ids=lambda value: value.name if isinstance(value, Metric) else "",
)
def test_a_function_reads_what_is_declared(metric: Metric, load: Load, timeframe: Timeframe) -> None:
    store = ReadingStore()
    store.put(Family.CANDLES, [candle(timeframe, bars_ago) for bars_ago in range(1, 150)])
    store.put(Family.DEPTH, [DepthRow("ETHUSDT", AS_OF, 1, '[["1","1"]]', '[["2","1"]]')])
    asked = None if metric.scope is Scope.SYMBOL else timeframe
    request = AnalyticsRequested(metric=metric.name, symbols=("ETHUSDT",), timeframe=asked, as_of_ms=AS_OF)
    asyncio.run(load(store, request))
    assert set(store.datasets) == set(input_datasets(metric.name, ["ETHUSDT"], asked))


def test_a_metric_of_several_pairs_reads_the_candles_of_each() -> None:
    expected = ("candles_BTCUSDT_1h", "candles_ETHUSDT_1h")
    assert input_datasets("correlation", ["BTCUSDT", "ETHUSDT"], "1h") == expected


def test_a_dataset_is_named_once() -> None:
    assert input_datasets("trend", ["BTCUSDT"], "1d") == ("candles_BTCUSDT_1d",)
    assert input_datasets("volatility", ["BTCUSDT"], "1m") == ("candles_BTCUSDT_1m", "candles_BTCUSDT_1h")
    assert output_dataset("trend", "BTCUSDT") == "analytics_BTCUSDT_trend"
