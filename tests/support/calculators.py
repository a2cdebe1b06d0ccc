"""Running a calculator on candles as its function would, and reading its numbers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common.analytics.declaration import Metric
from common.analytics.document import Result, encoded
from common.analytics.window import History, window_of
from common.indicators.arrays import FloatArray1D
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from common.times import parse_instant
from tests.support.candles import columns_of, part, recorded_rows

PRICES = ("open", "high", "low", "close")


def history_of(
    metric: Metric, candles: CandleColumns, timeframe: Timeframe = Timeframe.H1, symbol: str = "BTCUSDT"
) -> History:
    """Return candles as the window of a metric that ends with the last of them."""
    as_of_ms = int(candles.open_time_ms[-1]) + timeframe.duration_ms
    return History(symbol, window_of(metric, timeframe, as_of_ms), candles)


def number(result: Result, name: str) -> float:
    """Return a field that is a float."""
    value = result.fields[name]
    assert isinstance(value, float), f"{name} was {value!r}"
    return value


def encoded_fields(result: Result) -> dict[str, Any]:
    """Return the fields as they stand in the document."""
    return {name: encoded(value) for name, value in result.fields.items()}


def priced(candles: CandleColumns, change: Callable[[FloatArray1D], FloatArray1D]) -> CandleColumns:
    """Return candles with other prices."""
    changed: dict[str, Any] = {name: change(getattr(candles, name)) for name in PRICES}
    return replace(candles, **changed)


def flat(candles: CandleColumns, price: float = 5.0) -> CandleColumns:
    """Return candles of a market in which the price never moved."""
    return priced(candles, lambda prices: np.full_like(prices, price))


def recorded_until(
    folder: Path, name: str, instant: str, rows: int, timeframe: Timeframe = Timeframe.H1
) -> CandleColumns:
    """Return the last ``rows`` candles of a recorded file that had closed by an instant."""
    candles = columns_of(recorded_rows(folder / "klines" / f"{name}.csv.gz", "BTCUSDT", timeframe))
    closed = int((candles.open_time_ms + timeframe.duration_ms).searchsorted(parse_instant(instant), side="right"))
    return part(candles, slice(max(0, closed - rows), closed))
