"""What the model sees at a bar: the size of its return, and volatility and volume of the last 24 bars.

Range and volume of single bars are noisy and follow the hour of the day, so that a state would hardly outlast one.
"""

from typing import Final

import numpy as np

from common.analytics.window import History
from common.indicators.arrays import FloatArray2D
from common.indicators.moving import sma
from common.indicators.returns import log_returns
from common.indicators.volatility import parkinson

NAMES: Final = ("root_absolute_return", "log_volatility", "log_relative_volume")
# Position of the feature that orders the states.
VOLATILITY: Final = NAMES.index("log_volatility")
BARS: Final = 24
# The volume of the last bars is compared with that of these.
USUAL_BARS: Final = 120


def features_of(history: History) -> FloatArray2D:
    """Return the features of every slot that was loaded.

    The root of the absolute log return (which makes it nearly symmetric), the logarithm of the Parkinson volatility
    (close to normal: Alizadeh, Brandt and Diebold 2002), and the logarithm of the mean volume over the mean of 120
    bars, so that it does not drift.

    Args:
        history: the candles.

    Returns:
        Shape ``(loaded_bars, 3)``; a slot without a candle, or in which one of the features has no value, is all NaN.
    """
    candles = history.candles
    columns = (candles.high, candles.low, candles.close, candles.volume)
    high, low, close, volume = (history.on_slots(column) for column in columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        features = np.column_stack(
            [
                np.sqrt(np.abs(log_returns(close))),
                np.log(parkinson(high, low, BARS)),
                np.log(sma(volume, BARS) / sma(volume, USUAL_BARS)),
            ]
        )
    features[~np.isfinite(features).all(axis=1)] = np.nan
    return features
