"""Tails of the distributions that tests need: chi-squared and normal."""

import math
from typing import Final

_TINY: Final = 1e-300
_PRECISION: Final = 1e-16
_MAX_TERMS: Final = 10_000


def normal_cdf(x: float) -> float:
    """Return P(Z ≤ x) of a standard normal Z."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def chi_squared_sf(x: float, degrees: float) -> float:
    """Return P(X > x) of a chi-squared X: the regularised upper incomplete gamma function Q(degrees/2, x/2).

    Below the mean by the power series of P, above it by the continued fraction of Q (Abramowitz and Stegun 6.5.29 and
    6.5.31); relative error below 1e-12 where the result is above 1e-290.

    Args:
        x: value; NaN gives NaN, anything up to 0 gives 1.
        degrees: degrees of freedom above 0, not necessarily whole.

    Raises:
        ValueError: ``degrees`` is not above 0.
    """
    if not degrees > 0:
        raise ValueError(f"degrees must be above 0, was {degrees}")
    if math.isnan(x) or x <= 0:
        return math.nan if math.isnan(x) else 1.0
    if math.isinf(x):
        return 0.0
    shape, half = degrees / 2, x / 2
    factor = math.exp(shape * math.log(half) - half - math.lgamma(shape))
    if half < shape + 1:
        return 1 - factor * _lower_series(shape, half)
    return factor * _upper_fraction(shape, half)


def _lower_series(shape: float, x: float) -> float:
    """Σ xⁱ ÷ (shape · (shape + 1) ⋯ (shape + i))."""
    term = total = 1 / shape
    for i in range(1, _MAX_TERMS):
        term *= x / (shape + i)
        total += term
        if term < total * _PRECISION:
            break
    return total


def _upper_fraction(shape: float, x: float) -> float:
    """Continued fraction of Q without its factor, by the method of Lentz."""
    b = x + 1 - shape
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for i in range(1, _MAX_TERMS):
        a = i * (shape - i)
        b += 2
        d = 1 / _away_from_zero(a * d + b)
        c = _away_from_zero(b + a / c)
        fraction *= d * c
        if abs(d * c - 1) < _PRECISION:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
