"""The seasonality document against the check vectors, pandas, scipy, statsmodels, and what must always hold."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import signal, stats
from statsmodels.tsa.seasonal import seasonal_decompose

from common.analytics.calculators.seasonality import SEASONALITY
from common.analytics.document import Result
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.seasonality.calculator import compute
from tests.support.calculators import PRICES, encoded_fields, flat, history_of, number, priced, recorded_until
from tests.support.candles import check_series, part, random_walk, without

H1 = Timeframe.H1
QUARTER_ROWS = 2160
MONDAY_MS = 1_759_104_000_000  # 2025-09-29T00:00:00Z


def result_of(candles: CandleColumns, timeframe: Timeframe = H1) -> Result:
    (result,) = compute(history_of(SEASONALITY, candles, timeframe))
    return result


def field(result: Result, name: str) -> Any:
    return result.fields[name]


def frame_of(candles: CandleColumns) -> "pd.DataFrame":
    """Closes and log returns on the hours there should be; by pandas."""
    hours = pd.to_datetime(candles.open_time_ms, unit="ms")
    frame = pd.DataFrame({"close": candles.close}, index=hours).asfreq("h")
    frame["returns"] = np.log(frame.close).diff()
    return frame


def cycling(timeframe: Timeframe, rows: int, hours: float, amplitude: float, *, seed: int = 1) -> CandleColumns:
    """A random walk with a cycle planted in its logarithm."""
    walk = random_walk(rows, timeframe, seed=seed)
    wave = amplitude * np.sin(2 * np.pi * np.arange(rows) * timeframe.duration_ms / (hours * 3_600_000))
    return priced(walk, lambda price: price * np.exp(wave))


@pytest.fixture(
    scope="module",
    params=[
        ("um_1h_ETHUSDT_2025-09_2025-12", "2026-01-01T00:00:00Z"),  # the crash of 2025-10-10 is inside
        ("spot_1h_SOLUSDT_2022-07_2023-06", "2023-05-01T00:00:00Z"),  # and here the halt of 2023-03-24
    ],
    ids=["crash", "halt"],
)
def recorded(request: pytest.FixtureRequest, recorded_data: Path) -> CandleColumns:
    name, instant = request.param
    return recorded_until(recorded_data, name, instant, QUARTER_ROWS)


def test_the_check_vectors_of_the_analytics_page() -> None:
    result = result_of(check_series())
    hourly, daily = field(result, "hourly_pattern"), field(result, "daily_pattern")
    assert [hourly[hour] for hour in (0, 6, 18)] == pytest.approx([102.4, 112.7, 93.3], rel=1e-12)
    assert [daily[day] for day in range(2, 7)] == pytest.approx(
        [100.575, 101.775, 102.975, 104.175, 105.375], rel=1e-12
    )
    assert encoded_fields(result)["daily_pattern"]["0"] is encoded_fields(result)["daily_pattern"]["1"] is None
    assert number(result, "entropy_index") == pytest.approx(0.855365856975644, rel=1e-12)
    assert (field(result, "dominant_cycle"), field(result, "dominant_cycle_hours")) == (24, 24.0)
    assert field(result, "spectral_peaks")[0]["period_hours"] == pytest.approx(24.0, abs=0.01)
    assert field(result, "spectral_peaks")[0]["significant"] is True
    assert number(result, "seasonality_strength") > 0.99
    assert field(result, "weekly_pattern") is None, "five days are no four weeks"
    assert result.parameters["fft_size"] == 120


def test_patterns_of_prices_agree_with_pandas(recorded: CandleColumns) -> None:
    frame = frame_of(recorded).dropna(subset="close")
    result = result_of(recorded)
    for name, key in (("hourly_pattern", frame.index.hour), ("daily_pattern", frame.index.day_of_week)):  # type: ignore[attr-defined]
        expected = frame.close.groupby(key).mean()
        assert list(field(result, name).values()) == pytest.approx(expected.tolist(), rel=1e-12)


def test_patterns_of_returns_agree_with_pandas_and_scipy(recorded: CandleColumns) -> None:
    returns = frame_of(recorded).returns.dropna()
    index: Any = returns.index
    keys = {
        "hourly_return_pattern": index.hour,
        "daily_return_pattern": index.day_of_week,
        "weekly_pattern": index.day_of_week * 24 + index.hour,
    }
    result = result_of(recorded)
    for name, key in keys.items():
        groups = {int(slot): group for slot, group in returns.groupby(key)}
        profile = field(result, name)
        assert list(profile) == list(range(len(groups)))
        for slot, group in groups.items():
            assert profile[slot]["count"] == len(group)
            assert profile[slot]["mean"] == pytest.approx(group.mean(), rel=1e-9, abs=1e-15)
            assert profile[slot]["t_value"] == pytest.approx(stats.ttest_1samp(group, 0).statistic, rel=1e-8, abs=1e-10)


def test_entropy_agrees_with_scipy(recorded: CandleColumns) -> None:
    returns = frame_of(recorded).returns.dropna()
    counts, _ = np.histogram(returns, bins=50)
    assert number(result_of(recorded), "entropy_index") == pytest.approx(stats.entropy(counts) / math.log(50), rel=1e-9)


def test_seasonal_deviation_is_what_a_fitted_line_and_the_hour_leave(recorded: CandleColumns) -> None:
    frame = frame_of(recorded).dropna(subset="close")
    hours = (recorded.open_time_ms - recorded.open_time_ms[0]) / 3_600_000
    fit = stats.linregress(hours, np.log(recorded.close))
    residuals = np.log(frame.close) - (fit.intercept + fit.slope * hours)
    same_hour = residuals[frame.index.hour == frame.index[-1].hour]  # type: ignore[attr-defined]
    expected = 100 * (residuals.iloc[-1] - same_hour.mean())
    assert number(result_of(recorded), "seasonal_deviation") == pytest.approx(expected, rel=1e-7)


def test_seasonality_strength_agrees_with_statsmodels(recorded: CandleColumns) -> None:
    levels = np.log(frame_of(recorded).close).interpolate()
    parts = seasonal_decompose(levels, period=24)
    rest, season = parts.resid.dropna(), parts.seasonal
    expected = max(0.0, 1 - rest.var() / (rest + season).var())
    assert number(result_of(recorded), "seasonality_strength") == pytest.approx(expected, rel=2e-3)


def test_peaks_are_those_of_the_spectral_density_of_scipy(recorded: CandleColumns) -> None:
    returns = frame_of(recorded).returns.interpolate(limit_direction="both")
    frequency, power = signal.welch(returns.to_numpy(), nperseg=256, window="hann", detrend="constant")
    inner = power[1:-1]
    maxima = [int(bin_) for bin_ in signal.argrelmax(inner)[0]]
    strongest = sorted(maxima, key=lambda bin_: -inner[bin_])[:3]
    peaks = field(result_of(recorded), "spectral_peaks")
    assert len(peaks) == 5
    for bin_, peak in zip(strongest, peaks, strict=False):
        assert 1 / peak["period_bars"] == pytest.approx(frequency[bin_ + 1], abs=0.5 / 256)
        assert peak["power_share"] == pytest.approx(inner[bin_] / inner.sum(), rel=0.02)
        assert peak["period_hours"] == peak["period_bars"]


@pytest.mark.parametrize(
    ("timeframe", "bars"), [(Timeframe.M5, 288), (Timeframe.M15, 96), (H1, 24), (Timeframe.H4, 6)], ids=str
)
def test_a_planted_day_is_found_as_24_hours_in_any_candles(timeframe: Timeframe, bars: int) -> None:
    amplitude = 0.3 if timeframe is Timeframe.M5 else 0.05
    result = result_of(cycling(timeframe, SEASONALITY.bars(timeframe), 24, amplitude), timeframe)
    assert (field(result, "dominant_cycle"), encoded_fields(result)["dominant_cycle_hours"]) == (bars, "24")
    assert result.parameters["season_bars"] == bars


def test_a_planted_week_is_found_in_candles_of_a_day() -> None:
    result = result_of(cycling(Timeframe.D1, 250, 7 * 24, 0.05), Timeframe.D1)
    assert (field(result, "dominant_cycle"), encoded_fields(result)["dominant_cycle_hours"]) == (7, "168")
    assert result.parameters["season_bars"] == 7
    assert number(result, "seasonality_strength") > 0.5


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_has_no_cycle(seed: int) -> None:
    result = result_of(random_walk(QUARTER_ROWS, H1, seed=seed))
    assert encoded_fields(result)["dominant_cycle"] is encoded_fields(result)["dominant_cycle_hours"] is None
    assert number(result, "seasonality_strength") < 0.1


def test_an_hour_that_always_rises_stands_out() -> None:
    walk = random_walk(QUARTER_ROWS, H1, start_ms=MONDAY_MS)
    hours = np.arange(QUARTER_ROWS) % 24
    rising = np.exp(np.cumsum(np.where(hours == 14, 0.01, 0.0)))
    profile = field(result_of(priced(walk, lambda price: price * rising)), "hourly_return_pattern")
    assert max(profile, key=lambda hour: profile[hour]["t_value"]) == 14
    assert profile[14]["mean"] == pytest.approx(0.01, abs=0.005)
    assert profile[14]["count"] == 90


def test_candles_of_a_day_know_no_hours() -> None:
    result = result_of(random_walk(250, Timeframe.D1), Timeframe.D1)
    unknown = {"hourly_pattern", "hourly_return_pattern", "weekly_pattern", "seasonal_deviation"}
    no_cycle = {"dominant_cycle", "dominant_cycle_hours"}
    assert {name for name, value in encoded_fields(result).items() if value is None} == unknown | no_cycle
    assert [slot["count"] for slot in field(result, "daily_return_pattern").values()] == [35, 35, 35, 36, 36, 36, 36]


def test_candles_of_four_hours_know_six_of_them() -> None:
    result = result_of(random_walk(SEASONALITY.bars(Timeframe.H4), Timeframe.H4), Timeframe.H4)
    counts = {hour: slot["count"] for hour, slot in field(result, "hourly_return_pattern").items()}
    assert {hour for hour, count in counts.items() if count} == {0, 4, 8, 12, 16, 20}
    assert sum(slot["count"] > 0 for slot in field(result, "weekly_pattern").values()) == 42
    assert encoded_fields(result)["hourly_return_pattern"]["1"] == {"mean": None, "count": 0, "t_value": None}


@pytest.mark.parametrize(("rows", "known"), [(671, False), (672, True)])
def test_a_week_of_hours_needs_four_weeks(rows: int, known: bool) -> None:
    assert (field(result_of(random_walk(rows, H1)), "weekly_pattern") is not None) == known


def test_nothing_reaches_across_a_missing_candle() -> None:
    candles = random_walk(QUARTER_ROWS, H1)
    jump = np.where(np.arange(QUARTER_ROWS) < 1000, 1.0, 3.0)
    gap = result_of(without(priced(candles, lambda price: price * jump), 999, 2))
    whole = result_of(candles)
    assert number(gap, "entropy_index") == pytest.approx(number(whole, "entropy_index"), abs=0.01)
    for before, after in zip(*(field(one, "hourly_return_pattern").values() for one in (whole, gap)), strict=True):
        assert after["mean"] == pytest.approx(before["mean"], abs=5e-4)
    assert sum(slot["count"] for slot in field(gap, "hourly_return_pattern").values()) == QUARTER_ROWS - 1 - 3


def test_scaling_the_price_changes_only_what_is_a_price() -> None:
    candles = cycling(H1, 1000, 24, 0.05)
    before, after = (result_of(one).fields for one in (candles, priced(candles, lambda price: price * 1024)))
    for name, value in before.items():
        other: Any = after[name]
        if name in {"hourly_pattern", "daily_pattern"}:
            assert isinstance(value, dict)
            assert list(other.values()) == pytest.approx([price * 1024 for price in value.values()], rel=1e-12)
        elif isinstance(value, float):
            assert other == pytest.approx(value, rel=1e-6)


def test_a_flat_market_has_no_season() -> None:
    body = encoded_fields(result_of(flat(random_walk(QUARTER_ROWS, H1))))
    assert set(body["hourly_pattern"].values()) == {"5"}
    assert {slot["mean"] for slot in body["weekly_pattern"].values()} == {"0"}
    assert {slot["t_value"] for slot in body["weekly_pattern"].values()} == {None}
    assert (body["entropy_index"], body["seasonal_deviation"], body["spectral_peaks"]) == ("0", "0", [])
    assert body["dominant_cycle"] is body["dominant_cycle_hours"] is body["seasonality_strength"] is None


@pytest.mark.parametrize("rows", [1, 2, 31, 71, 100])
def test_few_candles_give_what_they_can(rows: int) -> None:
    body = encoded_fields(result_of(part(check_series(), slice(0, rows))))
    assert set(body) == set(encoded_fields(result_of(check_series())))
    assert sum(price is not None for price in body["hourly_pattern"].values()) == min(rows, 24)
    assert (body["seasonality_strength"] is None) == (rows < 72)
    assert (body["entropy_index"] is None) == (rows < 3)


def test_a_series_with_many_holes_has_profiles_but_no_spectrum() -> None:
    body = encoded_fields(result_of(without(cycling(H1, 1000, 24, 0.05), 300, 200)))
    assert body["spectral_peaks"] == []
    assert body["dominant_cycle"] is body["seasonality_strength"] is None
    assert body["hourly_return_pattern"]["0"]["mean"] is not None


def test_volumes_are_not_needed() -> None:
    candles = random_walk(300, H1)
    before = encoded_fields(result_of(candles))
    for name in ("volume", "quote_volume", "trades_count", "taker_buy_volume"):
        getattr(candles, name)[:] = np.nan
    assert encoded_fields(result_of(candles)) == before


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), 1e-308, 1e308])
def test_a_bad_price_never_raises(bad: float) -> None:
    candles = random_walk(300, H1)
    for name in PRICES:
        getattr(candles, name)[-3] = bad
    assert set(result_of(candles).fields) == set(result_of(random_walk(300, H1)).fields)
