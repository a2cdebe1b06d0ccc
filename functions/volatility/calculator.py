"""The volatility document (infra/docs/fields.md): estimators that differ in what they see of a candle.

Standard deviations of log returns, per bar unless the name says annualised. Nothing reaches across a missing candle.
What cannot be computed is NaN, which the document turns into null.
"""

from typing import Final

import numpy as np

from common.analytics.document import Result, Value
from common.indicators import volatility
from common.indicators.arrays import NAN, FloatArray1D
from common.indicators.forecast import daily_variances, next_variance
from common.indicators.grid import on_grid
from common.indicators.momentum import atr
from common.indicators.realized import bipower_variation, jump_share, realized_variance
from common.indicators.returns import log_returns
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe
from functions.volatility.inputs import HOURS_PER_DAY, MINUTES_PER_DAY, VolatilityInputs

ROLLING_WINDOW: Final = 20
ATR_PERIOD: Final = 14
# What functions of a window are given: the window several times over, so that missing rows can be left out.
RECENT_ROWS: Final = 250
# Heterogeneous autoregression on logarithms of the variances of day, week and month.
FORECAST_MODEL: Final = "log_har_1_7_30"
# The variance of a day is stated when at least this share of its minutes is there.
DAY_COVERAGE: Final = 0.8


def compute(inputs: VolatilityInputs) -> list[Result]:
    """Return the one result of a pair and timeframe."""
    history = inputs.history
    timeframe = history.window.timeframe
    returns = log_returns(history.candles.close, history.candles.open_time_ms, timeframe.duration_ms)
    window = max(2, min(ROLLING_WINDOW, int(np.isfinite(returns).sum())))
    fields = {
        **of_closes(returns, window, timeframe),
        **of_ranges(history.candles, window, timeframe),
        **of_steps(history.candles),
        **of_minutes(inputs.minutes),
        **of_hours(inputs.hours, history.window.as_of_ms),
    }
    parameters: dict[str, int | float | str] = {
        "rolling_window": window,
        "window_bars": history.window.bars,
        "ewma_decay": volatility.RISKMETRICS_DECAY,
        "atr_period": ATR_PERIOD,
        "forecast_model": FORECAST_MODEL,
    }
    return [Result(history.symbol, fields, history.basis, parameters)]


def of_closes(returns: FloatArray1D, window: int, timeframe: Timeframe) -> dict[str, Value]:
    """Return what the returns from close to close tell.

    Args:
        returns: log returns, shape ``(n,)``, NaN where one is missing.
        window: returns per rolling value.
        timeframe: for the annualised value.
    """
    recent = returns[-RECENT_ROWS:]
    rolling = _last(volatility.rolling_std(recent, window))
    return {
        "rolling_stddev": rolling,
        "annualized_volatility": volatility.annualized(rolling, timeframe.bars_per_year),
        "volatility_of_volatility": _last(volatility.volatility_of_volatility(recent, window)),
        "ewma_volatility": _last(volatility.ewma_volatility(returns)),
    }


def of_ranges(candles: CandleColumns, window: int, timeframe: Timeframe) -> dict[str, Value]:
    """Return what open, high, low and close of the last ``window`` candles tell."""
    newest = slice(-RECENT_ROWS, None)
    high, low = candles.high[newest], candles.low[newest]
    prices = (candles.open[newest], high, low, candles.close[newest])
    parkinson = _last(volatility.parkinson(high, low, window))
    garman_klass = _last(volatility.garman_klass(*prices, window))
    yang_zhang = volatility.yang_zhang(
        *prices, window, open_time_ms=candles.open_time_ms[newest], interval_ms=timeframe.duration_ms
    )
    return {
        "parkinson": parkinson,
        "parkinson_annualized": volatility.annualized(parkinson, timeframe.bars_per_year),
        "garman_klass": garman_klass,
        "garman_klass_annualized": volatility.annualized(garman_klass, timeframe.bars_per_year),
        "rogers_satchell": _last(volatility.rogers_satchell(*prices, window)),
        "yang_zhang": _last(yang_zhang),
    }


def of_steps(candles: CandleColumns) -> dict[str, Value]:
    """Return the average true range, as a price and as percent of the last close."""
    average = _last(atr(candles.high, candles.low, candles.close, ATR_PERIOD))
    close = float(candles.close[-1])
    return {"atr": average, "atr_percent": average / close * 100 if close > 0 else NAN}


def of_minutes(minutes: CandleColumns) -> dict[str, Value]:
    """Return variance and jumps of the last day from its minutes; NaN when too many of them are missing."""
    returns = log_returns(minutes.close, minutes.open_time_ms, Timeframe.M1.duration_ms)[-MINUTES_PER_DAY:]
    if int(np.isfinite(returns).sum()) < DAY_COVERAGE * MINUTES_PER_DAY:
        returns = returns[:0]
    return {
        "realized_variance": realized_variance(returns),
        "bipower_variation": bipower_variation(returns),
        "jump_share": jump_share(returns),
    }


def of_hours(hours: CandleColumns, as_of_ms: int) -> dict[str, Value]:
    """Return the volatility that is expected of the next 24 hours; NaN when too many days, or the last, are missing."""
    if not len(hours):
        return {"volatility_forecast": NAN}
    hour_ms = Timeframe.H1.duration_ms
    first_ms = int(hours.open_time_ms[0])
    slots = (Timeframe.H1.floor(as_of_ms) - first_ms) // hour_ms
    returns = log_returns(on_grid(hours.close, hours.open_time_ms, hour_ms, first_ms, slots))
    variance = next_variance(daily_variances(returns, HOURS_PER_DAY, DAY_COVERAGE))
    return {"volatility_forecast": volatility.annualized(float(np.sqrt(variance)), Timeframe.D1.bars_per_year)}


def _last(history: FloatArray1D) -> float:
    return float(history[-1])
