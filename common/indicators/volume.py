"""Volume: who took it, at what average price, how unusual it is, and how far it moves the price."""

import math
from typing import Final

import numpy as np

from common.indicators.arrays import (
    NAN,
    FloatArray1D,
    all_finite,
    finite_or_nan,
    over_valid,
    require_series,
    require_window,
)

_FEWEST_BEFORE_SPIKE: Final = 20


def volume_delta(volume: FloatArray1D, taker_buy_volume: FloatArray1D) -> float:
    """Taker buying minus taker selling over the rows: Σ (2 · V_taker buy − V).

    Args:
        volume: base volume per candle, shape ``(n,)``.
        taker_buy_volume: the part of it that takers bought, shape ``(n,)``.

    Returns:
        Base volume, −Σ V … Σ V. NaN without rows or when any value is missing: a sum over some of the rows would look
        like one over all.

    Raises:
        ValueError: the shapes differ.
    """
    if not _is_complete(volume, taker_buy_volume):
        return NAN
    with np.errstate(over="ignore", invalid="ignore"):
        return finite_or_nan(float((2 * taker_buy_volume - volume).sum()))


def taker_buy_ratio(volume: FloatArray1D, taker_buy_volume: FloatArray1D) -> float:
    """Share of the volume that takers bought: Σ V_taker buy ÷ Σ V.

    Args:
        volume: base volume per candle, shape ``(n,)``.
        taker_buy_volume: the part of it that takers bought, shape ``(n,)``.

    Returns:
        0 to 1. NaN without rows or volume, or when any value is missing.

    Raises:
        ValueError: the shapes differ.
    """
    return _ratio_of_sums(taker_buy_volume, volume)


def vwap(volume: FloatArray1D, quote_volume: FloatArray1D) -> float:
    """Volume-weighted average price over the rows: Σ quote volume ÷ Σ base volume.

    The quote volume of a candle is the sum of price · quantity of its trades, so this is the exact average over all
    trades; no typical price stands in for it.

    Args:
        volume: base volume per candle, shape ``(n,)``.
        quote_volume: quote volume per candle, shape ``(n,)``.

    Returns:
        Price. NaN without rows or volume, or when any value is missing.

    Raises:
        ValueError: the shapes differ.
    """
    return _ratio_of_sums(quote_volume, volume)


def on_balance_volume(close: FloatArray1D, volume: FloatArray1D) -> FloatArray1D:
    """On-balance volume (Granville): running sum of the volume, added when the close rises, subtracted when it falls.

    Starts at 0 with the first row (TA-Lib starts at the first volume), so its level depends on where the rows begin.

    Args:
        close: shape ``(n,)``.
        volume: base volume, shape ``(n,)``.

    Returns:
        Shape ``(n,)``, base volume, first value at index 0.

    Raises:
        ValueError: the shapes differ.
    """
    return over_valid(lambda c, v: np.cumsum(np.sign(np.diff(c, prepend=c[:1])) * v), close, volume)


def amihud_illiquidity(returns: FloatArray1D, quote_volume: FloatArray1D) -> float:
    """Illiquidity of Amihud (2002): mean of |log return| ÷ quote volume, unscaled.

    Args:
        returns: log returns, shape ``(n,)``.
        quote_volume: quote volume per candle, shape ``(n,)``.

    Returns:
        Per unit of quote currency. Rows without a return or without volume are left out; NaN when none is left.

    Raises:
        ValueError: the shapes differ.
    """
    require_series(returns, quote_volume)
    valid = all_finite(returns, quote_volume) & (quote_volume > 0)
    if not valid.any():
        return NAN
    with np.errstate(over="ignore"):
        impact = np.abs(returns[valid]) / quote_volume[valid]
        return finite_or_nan(float(impact.sum()) / len(impact))


def volume_spike_ratio(volume: FloatArray1D, window: int = 20, rows: int | None = None) -> FloatArray1D:
    """Volume of a candle against the candles before it: V_t ÷ median of V_{t−window} … V_{t−1}.

    The candle itself is not part of the median, so it cannot hide its own spike. Pass closed candles only. While there
    are fewer before it than the window has, the median is that of those, at least 20.

    Args:
        volume: base volume per closed candle, shape ``(n,)``.
        window: candles in the median.
        rows: how many of the newest rows to state it for; all by default.

    Returns:
        Shape ``(min(rows, n),)``, dimensionless, first value at index ``min(window, 20)``; NaN where the median is 0.

    Raises:
        ValueError: the window is below 1.
    """
    require_series(volume)
    require_window(window)
    valid = np.isfinite(volume)
    places = np.cumsum(valid)[-(rows or len(volume)) :] - 1
    values = volume[valid]
    return np.array([_spike(values[max(place - window, 0) : place + 1], window) for place in places.tolist()])


def _spike(values: FloatArray1D, window: int) -> float:
    """Last of some values over the median of those before it."""
    if len(values) <= min(window, _FEWEST_BEFORE_SPIKE):
        return NAN
    with np.errstate(over="ignore"):
        usual = float(np.median(values[:-1]))
    return finite_or_nan(float(values[-1]) / usual) if usual != 0 and math.isfinite(usual) else NAN


def _is_complete(*columns: FloatArray1D) -> bool:
    """Return whether there are rows and no value is missing."""
    require_series(*columns)
    return len(columns[0]) > 0 and bool(all_finite(*columns).all())


def _ratio_of_sums(numerator: FloatArray1D, denominator: FloatArray1D) -> float:
    """Σ numerator ÷ Σ denominator; NaN when a value is missing or the denominator is not above zero."""
    if not _is_complete(numerator, denominator):
        return NAN
    with np.errstate(over="ignore", invalid="ignore"):
        total, part = float(denominator.sum()), float(numerator.sum())
    return finite_or_nan(part / total) if total > 0 else NAN
