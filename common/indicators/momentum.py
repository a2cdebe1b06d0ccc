"""Momentum: relative strength, true range and directional movement after Wilder (1978), share of rising bars."""

from typing import NamedTuple

import numpy as np

from common.indicators.arrays import (
    FloatArray1D,
    all_over_valid,
    over_valid,
    over_windows,
    require_window,
    row_mean,
    smoothed,
    warmed_up,
    whole_candles,
)


class DirectionalMovement(NamedTuple):
    """Directional indices and their average; series of shape ``(n,)``, percent, 0 to 100."""

    plus_di: FloatArray1D
    minus_di: FloatArray1D
    adx: FloatArray1D


def rsi(close: FloatArray1D, period: int = 14) -> FloatArray1D:
    """Relative strength index: 100 · average gain ÷ (average gain + average loss).

    The first averages are the plain means of the first ``period`` gains and losses, then
    ((period − 1) · average + new) ÷ period. Only gains give 100, only losses 0, and a price that never moved 50 (TA-Lib
    gives 0 there).

    Args:
        close: shape ``(n,)``.
        period: bars per average.

    Returns:
        Shape ``(n,)``, percent, first value at index ``period``. Independent of the start after about 250 rows.

    Raises:
        ValueError: the period is below 1.
    """
    require_window(period)
    return over_valid(lambda values: _rsi(values, period), close)


def _rsi(close: FloatArray1D, period: int) -> FloatArray1D:
    changes = np.diff(close)
    gain = smoothed(np.maximum(changes, 0.0), period, 1 / period)
    loss = smoothed(np.maximum(-changes, 0.0), period, 1 / period)
    moved = gain + loss
    strength = np.where(moved == 0, 50.0, 100 * (gain / np.where(moved == 0, 1.0, moved)))
    return warmed_up(strength, len(close))


def true_range(high: FloatArray1D, low: FloatArray1D, close: FloatArray1D) -> FloatArray1D:
    """Range of a bar including the step from the close before: max(H − L, |H − C_{t−1}|, |L − C_{t−1}|).

    Args:
        high: shape ``(n,)``.
        low: shape ``(n,)``.
        close: shape ``(n,)``.

    Returns:
        Shape ``(n,)``, price, first value at index 1. Rows that are no candle are left out.

    Raises:
        ValueError: the shapes differ.
    """
    whole = whole_candles(high, low, close)
    return over_valid(lambda h, lo, c: warmed_up(_true_range(h, lo, c), len(c)), high, low, close, valid=whole)


def atr(high: FloatArray1D, low: FloatArray1D, close: FloatArray1D, period: int = 14) -> FloatArray1D:
    """Average true range: mean of the first ``period`` true ranges, then ((period − 1) · ATR + TR) ÷ period.

    Args:
        high: shape ``(n,)``.
        low: shape ``(n,)``.
        close: shape ``(n,)``.
        period: bars per average.

    Returns:
        Shape ``(n,)``, price, first value at index ``period``. Rows that are no candle are left out.

    Raises:
        ValueError: the shapes differ or the period is below 1.
    """
    require_window(period)
    return over_valid(
        lambda h, lo, c: warmed_up(smoothed(_true_range(h, lo, c), period, 1 / period), len(c)),
        high,
        low,
        close,
        valid=whole_candles(high, low, close),
    )


def _true_range(high: FloatArray1D, low: FloatArray1D, close: FloatArray1D) -> FloatArray1D:
    """True range of every row but the first, shape ``(n − 1,)``."""
    before = close[:-1]
    return np.maximum(high[1:], before) - np.minimum(low[1:], before)


def directional_movement(
    high: FloatArray1D, low: FloatArray1D, close: FloatArray1D, period: int = 14
) -> DirectionalMovement:
    """Directional indices +DI and −DI and the average directional index ADX.

    With up = H_t − H_{t−1} and down = L_{t−1} − L_t: +DM = up where up > down and up > 0, −DM = down where down > up
    and down > 0. DM and the true range start at the sum of their first ``period`` values and go on as
    S − S ÷ period + new; ±DI = 100 · S(±DM) ÷ S(TR); DX = 100 · |+DI − −DI| ÷ (+DI + −DI), 0 where the sum is 0; ADX
    starts at the mean of the first ``period`` DX and goes on as ((period − 1) · ADX + DX) ÷ period. TA-Lib starts the
    sums with one value less; the difference is below 1e-10 after about 350 rows.

    Args:
        high: shape ``(n,)``.
        low: shape ``(n,)``.
        close: shape ``(n,)``.
        period: bars per average.

    Returns:
        ±DI with the first value at index ``period``, ADX at ``2 · period - 1``; NaN while the price has never moved.
        Rows that are no candle are left out.

    Raises:
        ValueError: the shapes differ or the period is below 1.
    """
    require_window(period)
    whole = whole_candles(high, low, close)
    movement = all_over_valid(lambda h, lo, c: _directional_movement(h, lo, c, period), high, low, close, valid=whole)
    return DirectionalMovement(*movement)


def _directional_movement(
    high: FloatArray1D, low: FloatArray1D, close: FloatArray1D, period: int
) -> tuple[FloatArray1D, FloatArray1D, FloatArray1D]:
    """+DI, −DI and ADX of rows without missing values; smoothed means stand for the sums, whose ratio is the same."""
    up, down = np.diff(high), -np.diff(low)
    plus = smoothed(np.where((up > down) & (up > 0), up, 0.0), period, 1 / period)
    minus = smoothed(np.where((down > up) & (down > 0), down, 0.0), period, 1 / period)
    ranges = smoothed(_true_range(high, low, close), period, 1 / period)
    plus_di, minus_di, moved = 100 * (plus / ranges), 100 * (minus / ranges), plus + minus
    dx = np.where((moved == 0) & (ranges > 0), 0.0, 100 * (np.abs(plus - minus) / moved))
    adx = over_valid(lambda values: smoothed(values, period, 1 / period), dx)
    return warmed_up(plus_di, len(close)), warmed_up(minus_di, len(close)), warmed_up(adx, len(close))


def directional_strength(open_: FloatArray1D, close: FloatArray1D, window: int = 20) -> FloatArray1D:
    """Share of the last ``window`` bars that closed above their open.

    Args:
        open_: shape ``(n,)``.
        close: shape ``(n,)``.
        window: bars per value.

    Returns:
        Shape ``(n,)``, percent, first value at index ``window - 1``.

    Raises:
        ValueError: the shapes differ or the window is below 1.
    """
    require_window(window)
    return over_windows(lambda opened, closed: 100 * row_mean((closed > opened) * 1.0), window, open_, close)
