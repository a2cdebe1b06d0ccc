"""When a document says that its warm-up was over, its recursive averages are those of an endless history."""

import pytest

from common.analytics.declaration import Scope
from common.analytics.metrics import METRICS
from common.analytics.window import window_of
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from common.times import HOUR_MS
from tests.support.candles import CHECK_START_MS, part, random_walk
from tests.support.column_store import ColumnStore, documents_of

OF_CANDLES = [name for name, metric in METRICS.items() if metric.scope is not Scope.SYMBOL]
PAIRS = ("BTCUSDT", "ETHUSDT")
ROWS = 3000
WALKS = {pair: random_walk(ROWS, Timeframe.H1, seed=seed) for seed, pair in enumerate(PAIRS, start=5)}
# Largest distance from the value over all rows, in points or relative to the value.
POINTS = {"rsi": 1e-5, "adx": 1e-4, "plus_di": 1e-5, "minus_di": 1e-5}
SHARES = {"ema": 1e-9, "atr": 1e-6, "macd": 1e-6, "macd_signal": 1e-6}


def fields(metric: str, end: int, rows: int) -> dict[str, object]:
    """Return the document made of so many rows before an end, of the pair that is not the benchmark."""

    def columns(pair: str, timeframe: Timeframe) -> CandleColumns:
        assert timeframe in {Timeframe.H1, Timeframe.M1}
        return part(WALKS[pair], slice(end - rows, end) if timeframe is Timeframe.H1 else slice(0, 0))

    symbols = PAIRS if METRICS[metric].scope is Scope.MARKET else PAIRS[1:]
    as_of_ms = CHECK_START_MS + end * HOUR_MS
    return dict(documents_of(metric, ColumnStore(columns), symbols, Timeframe.H1, as_of_ms)[-1].body)


def value(body: dict[str, object], field: str) -> float:
    return float(str(body[field]))


@pytest.mark.parametrize("metric", OF_CANDLES)
@pytest.mark.parametrize(("rows", "complete"), [(249, False), (250, True), (400, True)])
def test_a_document_says_whether_its_warm_up_was_over(metric: str, rows: int, complete: bool) -> None:
    body = fields(metric, ROWS, rows)
    read = min(rows, window_of(METRICS[metric], Timeframe.H1, CHECK_START_MS).loaded_bars)
    assert body["rows_used"] == (len(PAIRS) * read if metric == "correlation" else read)
    assert body["warmup_complete"] is complete


@pytest.mark.parametrize("end", range(600, ROWS, 300))
def test_after_it_recursive_averages_do_not_know_where_they_began(end: int) -> None:
    for metric in ("trend", "volatility"):
        short, long = fields(metric, end, 250), fields(metric, end, 600)
        for field in POINTS.keys() & short.keys():
            assert value(short, field) == pytest.approx(value(long, field), rel=0, abs=POINTS[field]), field
        for field in SHARES.keys() & short.keys():
            assert value(short, field) == pytest.approx(value(long, field), rel=SHARES[field], abs=1e-7), field


def test_before_it_they_do() -> None:
    short, long = fields("trend", ROWS, 60), fields("trend", ROWS, 600)
    assert abs(value(short, "adx") - value(long, "adx")) > 100 * POINTS["adx"]
