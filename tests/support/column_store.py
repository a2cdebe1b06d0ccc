"""A market store of columns that are already there, and what a calculator's function makes of them."""

import asyncio
import importlib
from collections.abc import Callable, Sequence
from typing import Any, cast

from common.analytics.document import Result, document_of
from common.analytics.function import Calculation
from common.analytics.metrics import METRICS
from common.analytics.window import Missing
from common.events.own import AnalyticsRequested
from common.models.families import Series
from common.models.rows import DepthRow
from common.storage.columns import CandleColumns
from common.storage.ports import AnalyticsDocument, MarketStore, Page, Window
from common.timeframes import Timeframe
from tests.support.candles import part

ColumnsOf = Callable[[str, Timeframe], CandleColumns]


class ColumnStore:
    """Reads closed candles and order books as a store would, without rows.

    Args:
        columns_of: candles of a pair and timeframe, oldest first.
        books: of every pair, newest first.
    """

    def __init__(self, columns_of: ColumnsOf, books: Callable[[str], Sequence[DepthRow]] = lambda _symbol: ()) -> None:
        self._columns_of = columns_of
        self._books = books

    async def columns(
        self, series: Series, *, end_ms: int, start_ms: int | None = None, bars: int | None = None
    ) -> CandleColumns:
        assert series.timeframe is not None
        columns = self._columns_of(series.symbol, series.timeframe)
        opened = columns.open_time_ms
        first = 0 if start_ms is None else int(opened.searchsorted(start_ms))
        last = int((opened + series.interval_ms).searchsorted(end_ms, side="right"))
        return part(columns, slice(first if bars is None else max(first, last - bars), max(first, last)))

    async def page(self, series: Series, window: Window, *, counted: bool) -> Page[DepthRow]:
        assert not counted
        books = self._books(series.symbol)
        return Page([book for book in books if (window.start_ms or 0) <= book.time_ms < (window.end_ms or 0)])


def calculation_of(metric: str) -> Calculation[Any]:
    """Return the calculator of a metric as its function runs it."""
    return cast("Calculation[Any]", importlib.import_module(f"functions.{metric}.main").calculation)


def results_of(
    metric: str, store: ColumnStore, symbols: Sequence[str], timeframe: Timeframe | None, as_of_ms: int
) -> Sequence[Result] | Missing:
    """Return what the function of a metric computes, or why it computes nothing."""
    request = AnalyticsRequested(metric=metric, symbols=tuple(symbols), timeframe=timeframe, as_of_ms=as_of_ms)
    calculation = calculation_of(metric)
    inputs = asyncio.run(calculation.load(cast("MarketStore", store), calculation.metric, request))
    return inputs if isinstance(inputs, Missing) else calculation.compute(inputs)


def documents_of(
    metric: str, store: ColumnStore, symbols: Sequence[str], timeframe: Timeframe | None, as_of_ms: int
) -> list[AnalyticsDocument]:
    """Return the documents that the function of a metric stores, which has to store some."""
    results = results_of(metric, store, symbols, timeframe, as_of_ms)
    assert not isinstance(results, Missing), f"{metric} gave no document: {results}"
    at = {"as_of_ms": as_of_ms, "computed_at_ms": as_of_ms}
    return [document_of(result, METRICS[metric], timeframe, **at) for result in results]
