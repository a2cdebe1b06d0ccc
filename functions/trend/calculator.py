"""The trend document (infra/docs/fields.md), from closed candles.

Averages and momentum are those of the last candle; recursive ones run over all rows of the window. What cannot be
computed is NaN or None, which the document turns into null.
"""

from typing import Final

import numpy as np

from common.analytics.document import Result, Value
from common.analytics.window import History
from common.indicators.arrays import NAN, FloatArray1D, all_finite
from common.indicators.correlation import rolling_beta
from common.indicators.grid import common_rows
from common.indicators.momentum import directional_movement, directional_strength, rsi
from common.indicators.moving import crossover_event, crossover_state, ema, macd, rate_of_change, sma, wma
from common.indicators.returns import log_returns
from common.storage.columns import CandleColumns
from functions.trend.inputs import TrendInputs

SHORT_WINDOW: Final = 20
LONG_WINDOW: Final = 50
MOMENTUM_BARS: Final = 10
WILDER_PERIOD: Final = 14
MACD_SPANS: Final = (12, 26, 9)
# Beta is stated when this many returns are shared with the benchmark.
BETA_ROWS: Final = 30
# What functions of a window are given: the window several times over, so that missing rows can be left out.
RECENT_ROWS: Final = 250

_SIDES: Final = {1.0: "bullish", -1.0: "bearish"}
_CROSSINGS: Final = {1.0: "golden", -1.0: "death"}


def compute(inputs: TrendInputs) -> list[Result]:
    """Return the one result of a pair and timeframe."""
    history = inputs.history
    candles = history.candles
    fields = {
        **of_averages(candles.close),
        **of_crossover(candles.close[-RECENT_ROWS:]),
        **of_momentum(candles),
        **of_direction(candles),
        "rolling_beta": beta(history, inputs.benchmark),
    }
    parameters = {
        "sma_window": SHORT_WINDOW,
        "sma_long_window": LONG_WINDOW,
        "ema_span": SHORT_WINDOW,
        "momentum_bars": MOMENTUM_BARS,
        "wilder_period": WILDER_PERIOD,
        "window_bars": history.window.bars,
    }
    return [Result(history.symbol, fields, history.basis, parameters)]


def of_averages(close: FloatArray1D) -> dict[str, Value]:
    """Return the simple, exponential and weighted averages, and the convergence of two exponential ones."""
    recent = close[-RECENT_ROWS:]
    convergence = macd(close, *MACD_SPANS)
    return {
        "sma": _last(sma(recent, SHORT_WINDOW)),
        "sma_50": _last(sma(recent, LONG_WINDOW)),
        "ema": _last(ema(close, SHORT_WINDOW)),
        "wma": _last(wma(recent, SHORT_WINDOW)),
        "macd": _last(convergence.line),
        "macd_signal": _last(convergence.signal),
        "macd_histogram": _last(convergence.histogram),
    }


def of_crossover(close: FloatArray1D) -> dict[str, Value]:
    """Return on which side of the long average the short one is, and whether it got there with the last candle."""
    short, long = sma(close, SHORT_WINDOW), sma(close, LONG_WINDOW)
    return {
        "crossover_signal": _SIDES.get(_last(crossover_state(short, long))),
        "crossover_event": _CROSSINGS.get(_last(crossover_event(short, long))),
    }


def of_momentum(candles: CandleColumns) -> dict[str, Value]:
    """Return how far the last candles rose, how many of them did, and the relative strength of rises."""
    newest = slice(-RECENT_ROWS, None)
    return {
        "rate_of_change": _last(rate_of_change(candles.close[newest], MOMENTUM_BARS)),
        "directional_strength": _last(directional_strength(candles.open[newest], candles.close[newest], SHORT_WINDOW)),
        "rsi": _last(rsi(candles.close, WILDER_PERIOD)),
    }


def of_direction(candles: CandleColumns) -> dict[str, Value]:
    """Return the directional indices and their average."""
    movement = directional_movement(candles.high, candles.low, candles.close, WILDER_PERIOD)
    return {
        "adx": _last(movement.adx),
        "plus_di": _last(movement.plus_di),
        "minus_di": _last(movement.minus_di),
    }


def beta(history: History, benchmark: CandleColumns) -> float:
    """Return the sensitivity of the pair's returns to those of the benchmark, over all rows that both have."""
    own, common = common_rows(history.candles.open_time_ms, benchmark.open_time_ms)
    interval_ms = history.window.timeframe.duration_ms
    returns, market = (
        log_returns(candles.close, candles.open_time_ms, interval_ms)[rows]
        for candles, rows in ((history.candles, own), (benchmark, common))
    )
    shared = int(np.count_nonzero(all_finite(returns, market)))
    return _last(rolling_beta(returns, market, shared)) if shared >= BETA_ROWS else NAN


def _last(values: FloatArray1D) -> float:
    return float(values[-1])
