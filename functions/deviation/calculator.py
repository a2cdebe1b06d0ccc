"""The deviation document (infra/docs/fields.md), from closed candles.

Bands and ranges are those of the last closes, moments and tests those of all log returns of the window: prices would
show their trend alone. Nothing reaches across a missing candle. What cannot be computed is NaN, which the document
turns into null.
"""

from typing import Final

import numpy as np

from common.analytics.document import Result, Value
from common.analytics.window import History
from common.indicators.arrays import FloatArray1D
from common.indicators.bands import bollinger_bands, coefficient_of_variation, range_position, z_score
from common.indicators.grid import on_grid
from common.indicators.returns import log_returns
from common.indicators.statistics import autocorrelation, excess_kurtosis, ljung_box, skewness, variance_ratio
from common.indicators.volatility import rolling_std

ROLLING_WINDOW: Final = 20
BAND_DEVIATIONS: Final = 2.0
LJUNG_BOX_LAGS: Final = 10
VARIANCE_RATIO_BARS: Final = 5
# What functions of a window are given: the window several times over, so that missing rows can be left out.
RECENT_ROWS: Final = 250


def compute(history: History) -> list[Result]:
    """Return the one result of a pair and timeframe."""
    candles = history.candles
    window = max(2, min(ROLLING_WINDOW, int(np.isfinite(candles.close).sum()) - 1))
    interval_ms = history.window.timeframe.duration_ms
    returns = log_returns(candles.close, candles.open_time_ms, interval_ms)
    steps = on_grid(returns, candles.open_time_ms, interval_ms)  # a lag of k rows is then one of k bars
    fields = {**of_closes(candles.close[-RECENT_ROWS:], window), **of_returns(steps)}
    parameters = {
        "rolling_window": window,
        "bollinger_std_multiplier": BAND_DEVIATIONS,
        "ljung_box_lags": LJUNG_BOX_LAGS,
        "variance_ratio_bars": VARIANCE_RATIO_BARS,
        "window_bars": history.window.bars,
    }
    return [Result(history.symbol, fields, history.basis, parameters)]


def of_closes(close: FloatArray1D, window: int) -> dict[str, Value]:
    """Return where the last close stands among the last ``window`` ones.

    The standard deviation and what is made of it are those of a sample (divisor ``window - 1``); the bands and the
    z-score divide by ``window``, as Bollinger defines them.
    """
    deviation = _last(rolling_std(close, window))
    bands = bollinger_bands(close, window, BAND_DEVIATIONS)
    return {
        "standard_deviation": deviation,
        "variance": deviation * deviation,
        "coefficient_of_variation": _last(coefficient_of_variation(close, window)),
        "bollinger_upper": _last(bands.upper),
        "bollinger_middle": _last(bands.middle),
        "bollinger_lower": _last(bands.lower),
        "bollinger_width": _last(bands.width),
        "z_score": _last(z_score(close, window)),
        "price_range_index": _last(range_position(close, window)),
    }


def of_returns(returns: FloatArray1D) -> dict[str, Value]:
    """Return the shape of the log returns and whether one tells of the next.

    Args:
        returns: one per slot, NaN where one is missing.
    """
    ratio, ratio_z = variance_ratio(returns, VARIANCE_RATIO_BARS)
    return {
        "autocorrelation": autocorrelation(returns),
        "skewness": skewness(returns),
        "kurtosis": excess_kurtosis(returns),
        "ljung_box_p": ljung_box(returns, LJUNG_BOX_LAGS).p_value,
        "variance_ratio": ratio,
        "variance_ratio_z": ratio_z,
    }


def _last(values: FloatArray1D) -> float:
    return float(values[-1])
