"""The form of documents: numbers as exact strings, missing as null, what they rest on."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.calculators.volume import VOLUME
from common.analytics.declaration import Scope, subjects
from common.analytics.document import Basis, Result, decimal_string, document_of, encoded
from common.analytics.metrics import METRICS
from common.timeframes import Timeframe

NOON = 1_760_961_600_000
BASIS = Basis(data_until_ms=NOON, rows_used=300, window_rows=18, window_slots=24, warmup_complete=True)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_itself_and_has_no_exponent(number: float) -> None:
    text = decimal_string(number)
    assert text is not None
    assert float(text) == number
    assert "e" not in text.lower()


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_at_least_twelve_digits_are_right(number: float) -> None:
    text = decimal_string(number / 3)
    assert text is not None
    assert abs(Decimal(text) / Decimal(number / 3) - 1) < Decimal("1e-12")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (31400.0, "31400"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (1.5e22, "15000000000000000000000"),
        (-2.5, "-2.5"),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
    ],
)
def test_numbers_are_written_as_people_read_them(number: float, text: str | None) -> None:
    assert decimal_string(number) == text


def test_maps_and_lists_are_written_all_through() -> None:
    value = {0: {"mean": 0.5, "count": 3}, 1: [math.nan, 0.0, None, "up", True]}
    assert encoded(value) == {"0": {"mean": "0.5", "count": 3}, "1": [None, "0", None, "up", True]}


def test_a_document_says_what_it_is_about_and_what_it_rests_on() -> None:
    result = Result("BTCUSDT", {"total_volume": 2.0, "vwap": math.nan}, BASIS, {"sma_window": 20})
    document = document_of(result, VOLUME, Timeframe.H1, as_of_ms=NOON + 900_000, computed_at_ms=NOON + 900_250)
    assert (document.symbol, document.metric, document.timeframe) == ("BTCUSDT", "volume", "1h")
    assert document.body == {
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "timestamp": "2025-10-20T12:15:00.250Z",
        "as_of": "2025-10-20T12:15:00.000Z",
        "data_until": "2025-10-20T12:00:00.000Z",
        "rows_used": 300,
        "warmup_complete": True,
        "total_volume": "2",
        "vwap": None,
        "metadata": {
            "method": "aggregation",
            "window": "24h",
            "parameters": {"sma_window": 20},
            "completeness": 75.0,
            "computed_at": "2025-10-20T12:15:00.250Z",
        },
    }


@pytest.mark.parametrize(
    ("rows", "slots", "percent"), [(720, 720, 100.0), (719, 720, 99.86), (800, 720, 100.0), (1, 0, 100.0)]
)
def test_completeness_is_rows_over_slots(rows: int, slots: int, percent: float) -> None:
    assert Basis(NOON, rows, rows, slots, warmup_complete=True).completeness == percent


@pytest.mark.parametrize(
    ("timeframe", "volatility", "volume"),
    [
        (Timeframe.M1, 43_200, 1_440),
        (Timeframe.M5, 8_640, 288),
        (Timeframe.H1, 720, 24),
        (Timeframe.H4, 250, 24),
        (Timeframe.D1, 250, 24),
    ],
)
def test_windows_are_counted_in_bars(timeframe: Timeframe, volatility: int, volume: int) -> None:
    assert VOLATILITY.bars(timeframe) == volatility
    assert VOLUME.bars(timeframe) == volume


def test_every_metric_of_the_analytics_page_is_known() -> None:
    named = {"volatility", "volume", "spread", "trend", "deviation", "seasonality", "correlation", "regime"}
    assert named <= METRICS.keys()
    assert all(metric.name == name for name, metric in METRICS.items())


def test_subjects_follow_the_scope() -> None:
    pairs, frames = ("A1", "B1"), (Timeframe.H1, Timeframe.D1)
    count = {
        scope: len(list(subjects(metric, pairs, frames))) for scope, metric in ((m.scope, m) for m in METRICS.values())
    }
    assert count == {Scope.SERIES: 4, Scope.SYMBOL: 2, Scope.MARKET: 2}
