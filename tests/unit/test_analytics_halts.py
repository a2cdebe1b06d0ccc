"""Recorded halts and the crash of October 2025, through every calculator of candles.

What is made of returns never reaches across a halt: a market that opens again at half the price changes nothing in it.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from common.analytics.declaration import Scope
from common.analytics.metrics import METRICS
from common.storage.columns import CandleColumns
from common.storage.ports import AnalyticsDocument
from common.timeframes import Timeframe
from common.times import parse_instant
from tests.support.candles import columns_of, part, recorded_rows
from tests.support.column_store import ColumnStore, documents_of

OF_CANDLES = [name for name, metric in METRICS.items() if metric.scope is not Scope.SYMBOL]
PAIRS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT")
DECIMAL = re.compile(r"-?\d+(\.\d+)?")
PRICES = ("open", "high", "low", "close")


class Recording(NamedTuple):
    """Recorded candles, the instant to look back from, and where a halt before it ended, if there was one."""

    file: str
    timeframe: Timeframe
    as_of: str
    reopened: str | None
    pairs: tuple[str, ...] = PAIRS


RECORDINGS = {
    # One hour is missing in each of the five files.
    "hour of 2023-03-24": Recording(
        "spot_1h_{pair}_2022-07_2023-06", Timeframe.H1, "2023-03-25T02:00:00Z", "2023-03-24T14:00:00Z"
    ),
    # 284 minutes without a candle.
    "outage of 2021-04-25": Recording(
        "spot_1m_{pair}_2021-04-15_2021-04-30",
        Timeframe.M1,
        "2021-04-25T12:00:00Z",
        "2021-04-25T08:45:00Z",
        PAIRS[:1],
    ),
    "crash of 2025-10-10": Recording("um_1h_{pair}_2025-09_2025-12", Timeframe.H1, "2025-10-10T22:00:00Z", None),
}
HALTS = [name for name, recording in RECORDINGS.items() if recording.reopened]
# Made of returns, of ranges within a candle, of volumes, or of averages that the halt lies before.
OF_RETURNS: Mapping[str, str] = {
    "volatility": """rolling_stddev annualized_volatility volatility_of_volatility ewma_volatility parkinson
        garman_klass rogers_satchell yang_zhang realized_variance bipower_variation jump_share volatility_forecast""",
    "volume": "total_volume volume_sma volume_ema volume_delta volume_spike_ratio amihud_illiquidity",
    "trend": "rolling_beta directional_strength",
    "deviation": "autocorrelation skewness kurtosis ljung_box_p variance_ratio variance_ratio_z",
    "seasonality": "hourly_return_pattern daily_return_pattern weekly_pattern spectral_peaks entropy_index",
    "correlation": "rolling_correlation cross_correlation_lag cross_correlation_at_lag volatility_correlation matrix",
    "regime_model": "model_regime",
}


@cache
def candles_of(folder: Path, file: str, pair: str, timeframe: Timeframe) -> CandleColumns:
    return columns_of(recorded_rows(folder / "klines" / f"{file.format(pair=pair)}.csv.gz", pair, timeframe))


def store_of(folder: Path, recording: Recording, factor: float = 1.0) -> ColumnStore:
    """Return a store of a recording, prices after its halt multiplied."""

    def columns(pair: str, timeframe: Timeframe) -> CandleColumns:
        if timeframe is not recording.timeframe or pair not in recording.pairs:
            return part(candles_of(folder, recording.file, recording.pairs[0], recording.timeframe), slice(0, 0))
        candles = candles_of(folder, recording.file, pair, timeframe)
        if recording.reopened is None:
            return candles
        later = np.where(candles.open_time_ms >= parse_instant(recording.reopened), factor, 1.0)
        return replace(candles, **{name: getattr(candles, name) * later for name in PRICES})

    return ColumnStore(columns)


def documents(metric: str, folder: Path, recording: Recording, factor: float = 1.0) -> list[AnalyticsDocument]:
    market = METRICS[metric].scope is Scope.MARKET
    if market and len(recording.pairs) < 2:
        pytest.skip("one pair alone has no correlation")
    symbols = recording.pairs if market else recording.pairs[-1:]
    store = store_of(folder, recording, factor)
    return documents_of(metric, store, symbols, recording.timeframe, parse_instant(recording.as_of))


def numbers(value: object) -> Iterator[float]:
    """Yield every number of a document."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, (int, float)) or (isinstance(value, str) and DECIMAL.fullmatch(value)):
        yield float(value)


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("metric", OF_CANDLES)
def test_there_is_a_document_of_finite_numbers(metric: str, name: str, recorded_data: Path) -> None:
    for document in documents(metric, recorded_data, RECORDINGS[name]):
        found = list(numbers(document.body))
        assert len(found) >= 4
        assert all(math.isfinite(number) for number in found)


@pytest.mark.parametrize("name", HALTS)
def test_the_halt_is_there(name: str, recorded_data: Path) -> None:
    recording = RECORDINGS[name]
    assert recording.reopened is not None
    for pair in recording.pairs:
        opened = candles_of(recorded_data, recording.file, pair, recording.timeframe).open_time_ms
        after = int(opened.searchsorted(parse_instant(recording.reopened)))
        assert opened[after] == parse_instant(recording.reopened)
        assert opened[after] - opened[after - 1] > recording.timeframe.duration_ms


@pytest.mark.parametrize("name", HALTS)
@pytest.mark.parametrize("metric", [metric for metric in OF_CANDLES if metric != "correlation"])
def test_completeness_tells_of_the_halt(metric: str, name: str, recorded_data: Path) -> None:
    recording = RECORDINGS[name]
    (document,) = documents(metric, recorded_data, recording)
    duration_ms, end_ms = recording.timeframe.duration_ms, parse_instant(recording.as_of)
    metadata: Any = document.body["metadata"]
    parameters = metadata["parameters"]
    slots = parameters.get("fit_bars") or parameters.get("window_bars") or METRICS[metric].bars(recording.timeframe)
    opened = candles_of(recorded_data, recording.file, recording.pairs[-1], recording.timeframe).open_time_ms
    rows = np.count_nonzero((opened >= end_ms - slots * duration_ms) & (opened < end_ms))
    assert rows < slots
    assert metadata["completeness"] == pytest.approx(100 * rows / slots, abs=0.005)


@pytest.mark.parametrize("name", HALTS)
@pytest.mark.parametrize("metric", OF_RETURNS)
def test_what_is_made_of_returns_does_not_reach_across_a_halt(metric: str, name: str, recorded_data: Path) -> None:
    names = OF_RETURNS[metric].split()
    before = documents(metric, recorded_data, RECORDINGS[name])
    after = documents(metric, recorded_data, RECORDINGS[name], factor=0.5)
    assert any(document.body.get(field) is not None for document in before for field in names)
    for one, other in zip(before, after, strict=True):
        for field in names:
            expected = list(numbers(one.body.get(field)))
            assert list(numbers(other.body.get(field))) == pytest.approx(expected, rel=1e-7, abs=1e-12), field


def test_a_level_does_see_the_other_price(recorded_data: Path) -> None:
    """The property above would hold of documents that do not see the changed prices at all."""
    recording = RECORDINGS["hour of 2023-03-24"]
    (before,), (after,) = (documents("trend", recorded_data, recording, factor) for factor in (1.0, 0.5))
    assert float(str(after.body["sma"])) < 0.8 * float(str(before.body["sma"]))


def test_the_crash_stands_out_in_every_document_that_tells_of_moves(recorded_data: Path) -> None:
    crash = RECORDINGS["crash of 2025-10-10"]
    calm = crash._replace(as_of="2025-10-09T22:00:00Z")

    def value(recording: Recording, metric: str, field: str) -> float:
        (document,) = documents(metric, recorded_data, recording)
        return float(str(document.body[field]))

    for metric, field, times in (
        ("volatility", "rolling_stddev", 1.5),
        ("volatility", "parkinson", 6),
        ("volatility", "atr_percent", 3),
        ("volume", "volume_spike_ratio", 30),
        ("deviation", "kurtosis", 2),
    ):
        assert value(crash, metric, field) > times * value(calm, metric, field), field
    assert value(crash, "trend", "rate_of_change") < -10
    assert value(crash, "deviation", "z_score") < -2.5
    (regime,) = documents("regime", recorded_data, crash)
    assert regime.body["regime"] == "bearish_acceleration"
