"""What the model sees of a bar: its return, its range, and its volume beside the usual one."""

from typing import Final

import numpy as np

from common.analytics.metrics import VOLUME
from common.analytics.window import Series
from common.indicators.arrays import FloatArray1D, FloatArray2D, all_positive
from common.indicators.grid import on_grid
from common.indicators.returns import log_ratio, log_returns
from common.indicators.volume import volume_spike_ratio

NAMES: Final = ("log_return", "log_range", "log_relative_volume")
# Position of the feature that orders the states.
RANGE: Final = NAMES.index("log_range")


def features_of(series: Series) -> FloatArray2D:
    """Return the features of every slot that was loaded.

    The logarithm of a range is close to normal (Alizadeh, Brandt and Diebold 2002), and so is that of a volume. The
    volume is divided by the median of the day before (at least 24 bars), so that it does not drift.

    Args:
        series: the candles.

    Returns:
        Shape ``(loaded_bars, 3)``; a slot without a candle, or in which one of the features has no value, is all NaN.
    """
    high, low, close, volume = (_on_slots(series, name) for name in ("high", "low", "close", "volume"))
    spread = np.full(len(high), np.nan)
    whole = all_positive(high, low) & (high > low)
    spread[whole] = np.log(log_ratio(high[whole], low[whole]))
    relative = volume_spike_ratio(volume, VOLUME.bars(series.window.timeframe))
    traded = np.isfinite(volume) & np.isfinite(relative) & (relative > 0)
    relative_log = np.log(relative, out=np.full(len(relative), np.nan), where=traded)
    features = np.column_stack([log_returns(close), spread, relative_log])
    features[~np.isfinite(features).all(axis=1)] = np.nan
    return features


def _on_slots(series: Series, name: str) -> FloatArray1D:
    window, opened = series.window, series.candles.open_time_ms
    values = on_grid(getattr(series.candles, name), opened, window.timeframe.duration_ms)
    first = (int(opened[0]) - window.loaded_from_ms) // window.timeframe.duration_ms
    slots = np.full(window.loaded_bars, np.nan)
    slots[first : first + len(values)] = values
    return slots
