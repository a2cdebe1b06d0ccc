"""Market breadth: how many of the tracked symbols take part in a move."""

import numpy as np

from common.indicators.arrays import NAN, FloatArray1D, all_finite, require_series


def share_above(close: FloatArray1D, average: FloatArray1D) -> float:
    """Share of the symbols whose close is above their average.

    Args:
        close: last close of each symbol, shape ``(symbols,)``.
        average: last moving average of each symbol, shape ``(symbols,)``; symbols with a missing value are left out.

    Returns:
        0 to 1; NaN without symbols.

    Raises:
        ValueError: the shapes differ.
    """
    require_series(close, average)
    valid = all_finite(close, average)
    return float((close[valid] > average[valid]).mean()) if valid.any() else NAN


def advance_decline(close: FloatArray1D, close_before: FloatArray1D) -> float:
    """Advancing minus declining symbols over the last bar, divided by all: (up − down) ÷ total.

    Args:
        close: last close of each symbol, shape ``(symbols,)``.
        close_before: close of the bar before, shape ``(symbols,)``; symbols with a missing value are left out.

    Returns:
        −1 to 1, unchanged symbols count in the total only; NaN without symbols.

    Raises:
        ValueError: the shapes differ.
    """
    require_series(close, close_before)
    valid = all_finite(close, close_before)
    return float(np.sign(close[valid] - close_before[valid]).mean()) if valid.any() else NAN
