"""Realised variance of a period from the returns inside it, and how much of it came as jumps."""

import math
from typing import Final

import numpy as np

from common.indicators.arrays import NAN, FloatArray1D, finite_or_nan, require_series

_BIPOWER_SCALE: Final = math.pi / 2  # 1 ÷ E|z|² of a standard normal z


def realized_variance(returns: FloatArray1D) -> float:
    """Sum of the squared returns of a period: Σ r².

    Args:
        returns: log returns inside the period, shape ``(n,)``; missing ones are left out.

    Returns:
        Variance of the period (not per bar, not annualised), NaN without returns.
    """
    require_series(returns)
    valid = returns[np.isfinite(returns)]
    with np.errstate(over="ignore"):
        return finite_or_nan(float((valid**2).sum())) if len(valid) else NAN


def bipower_variation(returns: FloatArray1D) -> float:
    """The part of the realised variance that moved continuously: (π/2) · (n/p) · Σ |r_t| |r_{t−1}|.

    Source: Barndorff-Nielsen and Shephard (2004). A jump enters multiplied by an ordinary return, so it hardly counts.
    n is the number of returns and p the number of neighbouring pairs among them (n − 1 without gaps), so that the sum
    covers the same period as `realized_variance`.

    Args:
        returns: log returns inside the period, shape ``(n,)``, in order, NaN where one is missing: only neighbours are
            multiplied.

    Returns:
        Variance of the period, NaN without a pair of neighbours.
    """
    require_series(returns)
    valid = np.isfinite(returns)
    pairs = valid[1:] & valid[:-1]
    if not pairs.any():
        return NAN
    with np.errstate(over="ignore"):
        total = float(np.abs(returns[1:][pairs] * returns[:-1][pairs]).sum())
    return finite_or_nan(_BIPOWER_SCALE * np.count_nonzero(valid) / np.count_nonzero(pairs) * total)


def jump_share(returns: FloatArray1D) -> float:
    """Share of the realised variance that came as jumps: max(0, 1 − bipower variation ÷ realised variance).

    Args:
        returns: log returns inside the period, shape ``(n,)``, in order, NaN where one is missing.

    Returns:
        0 to 1; NaN without a pair of neighbouring returns or when no price moved.
    """
    valid = returns[np.isfinite(returns)]
    scale = float(np.abs(valid).max()) if len(valid) else 0.0
    if scale == 0:
        return NAN
    scaled = returns / scale  # the share has no unit, and squares of tiny returns would vanish
    bipower = bipower_variation(scaled)
    return max(0.0, 1 - bipower / realized_variance(scaled)) if math.isfinite(bipower) else NAN
