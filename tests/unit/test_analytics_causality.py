"""Causality: what comes later never changes a document, whatever it is and whenever the document is computed."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.analytics.declaration import Scope
from common.analytics.document import encoded
from common.analytics.metrics import METRICS
from common.analytics.window import Missing
from common.events.own import AnalyticsRequested
from common.models.families import Family
from common.models.rows import CandleRow, DepthRow, Origin
from common.timeframes import Timeframe
from common.times import HOUR_MS, MINUTE_MS
from tests.support.candles import CHECK_START_MS, random_walk
from tests.support.column_store import calculation_of
from tests.support.watched_store import watched_store

HOURS = 400
PAIRS = ("BTCUSDT", "ETHUSDT")
NAMES = tuple(METRICS)


def candles_of(symbol: str, seed: int) -> Iterator[CandleRow]:
    columns = random_walk(HOURS, Timeframe.H1, seed=seed)
    for index, opened in enumerate(columns.open_time_ms.tolist()):
        numbers = (columns.open, columns.high, columns.low, columns.close, columns.volume, columns.quote_volume)
        texts = [repr(float(column[index])) for column in numbers]
        taker = repr(float(columns.taker_buy_volume[index]))
        yield CandleRow._make((symbol, "1h", opened, *texts, 7, taker, None, True, opened + HOUR_MS, Origin.REST, 0))


def books_around(instant_ms: int) -> Iterator[DepthRow]:
    for step in range(-8, 9):
        time_ms = instant_ms + 10_000 * step
        for symbol in PAIRS:
            levels = f'[["{100 + step / 100:.2f}","{9 + step}"]]', f'[["{101 + step / 100:.2f}","{20 - step}"]]'
            yield DepthRow(symbol, time_ms, time_ms, *levels)


CANDLES = [row for seed, symbol in enumerate(PAIRS) for row in candles_of(symbol, seed + 1)]


def results(name: str, as_of_ms: int, candles: list[CandleRow], books: list[DepthRow]) -> Any:
    """Return what a calculator makes of a store with these rows."""
    metric = METRICS[name]
    request = AnalyticsRequested(
        metric=name,
        symbols=PAIRS if metric.scope is Scope.MARKET else PAIRS[1:],
        timeframe=None if metric.scope is Scope.SYMBOL else Timeframe.H1,
        as_of_ms=as_of_ms,
    )
    calculation = calculation_of(name)
    with watched_store() as store:
        store.put(Family.CANDLES, candles)
        store.put(Family.DEPTH, books)
        inputs = asyncio.run(calculation.load(store, metric, request))
    if isinstance(inputs, Missing):
        return inputs
    return [(one.symbol, encoded(one.fields), one.basis, one.parameters) for one in calculation.compute(inputs)]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(minutes=st.integers(110 * 60, (HOURS - 1) * 60), factor=st.sampled_from([0.001, 0.5, 3.0, 1e6]))
def test_a_document_is_the_same_whatever_came_later(name: str, minutes: int, factor: float) -> None:
    as_of_ms = CHECK_START_MS + minutes * MINUTE_MS
    books = list(books_around(as_of_ms))
    past = [row for row in CANDLES if row.time_ms + HOUR_MS <= as_of_ms]
    later = [
        row._replace(close=repr(float(row.close) * factor), high=repr(1e9), volume=repr(float(row.volume) * factor))
        for row in CANDLES
        if row.time_ms + HOUR_MS > as_of_ms
    ]
    known = [book for book in books if book.time_ms <= as_of_ms]
    before = results(name, as_of_ms, past, known)
    assert not isinstance(before, Missing)
    assert results(name, as_of_ms, past + later, books) == before


@pytest.mark.parametrize("name", [name for name in NAMES if name != "spread"])
def test_an_hour_more_of_the_past_does_change_it(name: str) -> None:
    """The property above would hold of a function that looks at nothing."""
    as_of_ms = CHECK_START_MS + 300 * HOUR_MS
    assert results(name, as_of_ms, CANDLES, []) != results(name, as_of_ms + HOUR_MS, CANDLES, [])
