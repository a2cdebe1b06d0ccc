"""The seasonality document (infra/docs/fields.md), from closed candles.

Hours and weekdays are those of a candle's open time in UTC; means of returns are per bar of the timeframe. A slot that
no candle opened in has no mean. What the candles do not tell is null as a whole: hours from candles of a day, a week of
hours from less than four weeks.
"""

from typing import Final

import numpy as np

from common.analytics.document import Result, Value
from common.analytics.window import History
from common.indicators.arrays import FloatArray1D, IntArray1D
from common.indicators.grid import on_grid
from common.indicators.returns import log_returns
from common.indicators.seasonality import (
    DAYS_PER_WEEK,
    HOURS_PER_DAY,
    HOURS_PER_WEEK,
    day_of_week,
    entropy_index,
    hour_of_day,
    hour_of_week,
    seasonal_deviation,
    seasonality_strength,
    slot_profile,
)
from common.indicators.spectrum import dominant_cycle, spectral_peaks
from common.timeframes import Timeframe
from common.times import DAY_MS, HOUR_MS

ENTROPY_BINS: Final = 50
SPECTRUM_SEGMENT: Final = 256
SPECTRUM_PEAKS: Final = 5
# A profile of the hours of the week needs each of them several times.
WEEKLY_SPAN_MS: Final = 28 * DAY_MS


def compute(history: History) -> list[Result]:
    """Return the one result of a pair and timeframe."""
    candles, timeframe = history.candles, history.window.timeframe
    returns = log_returns(candles.close, candles.open_time_ms, timeframe.duration_ms)
    levels = on_grid(_logarithm(candles.close), candles.open_time_ms, timeframe.duration_ms)
    steps = on_grid(returns, candles.open_time_ms, timeframe.duration_ms)
    fields = {
        **of_days(candles.close, returns, candles.open_time_ms),
        **of_hours(candles.close, returns, candles.open_time_ms, timeframe),
        **of_cycles(levels, steps, timeframe),
        "seasonality_strength": seasonality_strength(levels, season_bars(timeframe)),
        "entropy_index": entropy_index(returns, ENTROPY_BINS),
    }
    parameters = {
        "fft_size": len(levels),
        "spectrum_segment": SPECTRUM_SEGMENT,
        "season_bars": season_bars(timeframe),
        "entropy_bins": ENTROPY_BINS,
        "window_bars": history.window.bars,
    }
    return [Result(history.symbol, fields, history.basis, parameters)]


def of_days(close: FloatArray1D, returns: FloatArray1D, open_time_ms: IntArray1D) -> dict[str, Value]:
    """Return the profiles of the weekdays, Monday first."""
    days = day_of_week(open_time_ms)
    return {
        "daily_pattern": price_pattern(close, days, DAYS_PER_WEEK),
        "daily_return_pattern": return_pattern(returns, days, DAYS_PER_WEEK),
    }


def of_hours(
    close: FloatArray1D, returns: FloatArray1D, open_time_ms: IntArray1D, timeframe: Timeframe
) -> dict[str, Value]:
    """Return the profiles of the hours, and how far the last price is from what is usual at its hour."""
    if timeframe.duration_ms >= DAY_MS:
        return dict.fromkeys(("hourly_pattern", "hourly_return_pattern", "weekly_pattern", "seasonal_deviation"))
    hours = hour_of_day(open_time_ms)
    span_ms = int(open_time_ms[-1] - open_time_ms[0]) + timeframe.duration_ms
    weekly = return_pattern(returns, hour_of_week(open_time_ms), HOURS_PER_WEEK) if span_ms >= WEEKLY_SPAN_MS else None
    return {
        "hourly_pattern": price_pattern(close, hours, HOURS_PER_DAY),
        "hourly_return_pattern": return_pattern(returns, hours, HOURS_PER_DAY),
        "weekly_pattern": weekly,
        "seasonal_deviation": seasonal_deviation(close, open_time_ms),
    }


def of_cycles(levels: FloatArray1D, steps: FloatArray1D, timeframe: Timeframe) -> dict[str, Value]:
    """Return the cycle that stands out of the prices, if one does, and the peaks in the spectrum of the returns.

    Args:
        levels: log prices on a regular grid, NaN where a candle is missing.
        steps: log returns on the same grid.
        timeframe: the spacing of the grid.
    """
    hours_per_bar = timeframe.duration_ms / HOUR_MS
    cycle = dominant_cycle(levels)
    return {
        "dominant_cycle": round(cycle) if np.isfinite(cycle) else None,
        "dominant_cycle_hours": cycle * hours_per_bar,
        "spectral_peaks": [
            {
                "period_bars": peak.period_bars,
                "period_hours": peak.period_bars * hours_per_bar,
                "power_share": peak.power_share,
                "significant": peak.significant,
            }
            for peak in spectral_peaks(steps, SPECTRUM_SEGMENT, SPECTRUM_PEAKS)
        ],
    }


def season_bars(timeframe: Timeframe) -> int:
    """Return the length of the season whose strength is stated: a day, or a week of candles of a day."""
    if timeframe.duration_ms >= DAY_MS:
        return DAYS_PER_WEEK
    return DAY_MS // timeframe.duration_ms


def price_pattern(close: FloatArray1D, slot: IntArray1D, slots: int) -> dict[int, float]:
    """Return the mean close of each slot."""
    return dict(enumerate(slot_profile(close, slot, slots).means.tolist()))


def return_pattern(returns: FloatArray1D, slot: IntArray1D, slots: int) -> dict[int, Value]:
    """Return mean, count and t-value of the log returns of each slot."""
    columns = (column.tolist() for column in slot_profile(returns, slot, slots))
    return {
        number: {"mean": mean, "count": count, "t_value": t_value}
        for number, (mean, count, t_value) in enumerate(zip(*columns, strict=True))
    }


def _logarithm(prices: FloatArray1D) -> FloatArray1D:
    """Logarithm of prices, NaN of those that are not above zero."""
    return np.log(np.where(prices > 0, prices, np.nan))
