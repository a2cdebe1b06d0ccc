"""Spectral density, seasonality and cointegration against naive twins, on a grid of missing and extreme values.

The twins follow the definitions: a Fourier sum for each frequency, a moving average row by row, and normal equations
for both steps of Engle and Granger.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from common.indicators import cointegration, seasonality, spectrum
from common.indicators.arrays import FloatArray1D

ROWS, SEGMENT, PERIOD = 72, 16, 6
RANDOM = np.random.default_rng(41)
STEPS = RANDOM.normal(0, 0.01, ROWS)
LEVELS = STEPS.cumsum() + 0.01 * np.sin(2 * np.pi * np.arange(ROWS) / PERIOD)
FOLLOWER = 1.3 * LEVELS + RANDOM.normal(0, 0.004, ROWS)
PLACES = {"first": slice(0, 1), "middle": slice(30, 33), "last": slice(ROWS - 1, ROWS), "too many": slice(20, 40)}
VALUES = [math.nan, math.inf, -math.inf, 0.0, 1e-17, 5.0, 1e3]


def substituted(column: FloatArray1D) -> Iterator[FloatArray1D]:
    yield column.copy()
    for value in VALUES:
        for place in PLACES.values():
            changed = column.copy()
            changed[place] = value
            yield changed
        yield np.full_like(column, value)


def interpolated(values: FloatArray1D) -> list[float]:
    """Put the line between its neighbours where a value is missing; nothing when more than a tenth is."""
    known = [row for row, value in enumerate(values) if math.isfinite(value)]
    if len(known) < 0.9 * len(values):
        return []
    filled = []
    for row in range(len(values)):
        before = max((one for one in known if one <= row), default=known[0])
        after = min((one for one in known if one >= row), default=known[-1])
        share = (row - before) / (after - before) if before < row < after else 0.0
        filled.append(float(values[before] + share * (values[after] - values[before])))
    return filled


def fourier_power(piece: list[float], frequency: int) -> float:
    """Return the periodogram of a Hann-windowed piece around its mean at one frequency, one-sided."""
    rows, mean = len(piece), math.fsum(piece) / len(piece)
    window = [0.5 - 0.5 * math.cos(2 * math.pi * row / rows) for row in range(rows)]
    terms = [weight * (value - mean) for weight, value in zip(window, piece, strict=True)]
    angles = [2 * math.pi * frequency * row / rows for row in range(rows)]
    real = math.fsum(term * math.cos(angle) for term, angle in zip(terms, angles, strict=True))
    imaginary = math.fsum(term * math.sin(angle) for term, angle in zip(terms, angles, strict=True))
    sides = 1 if frequency in {0, rows / 2} else 2
    return sides * (real**2 + imaginary**2) / math.fsum(weight**2 for weight in window)


def test_spectral_density_is_a_mean_of_fourier_sums() -> None:
    for column in substituted(STEPS):
        values = interpolated(column)
        starts = range(0, len(values) - SEGMENT + 1, SEGMENT // 2)
        pieces = [values[start : start + SEGMENT] for start in starts]
        expected = [
            math.fsum(fourier_power(piece, frequency) for piece in pieces) / len(pieces)
            for frequency in range(SEGMENT // 2 + 1)
            if pieces
        ]
        ours = spectrum.welch(column, SEGMENT)
        assert ours.segments == len(pieces)
        rounding = 1e-15 * float(np.max(np.square(values), initial=0.0))
        np.testing.assert_allclose(ours.power, expected, rtol=1e-9, atol=rounding)


def strength(values: list[float]) -> float:
    """Return one less the share of the remainder, of a classical decomposition row by row."""
    half = PERIOD // 2
    detrended = {}
    for row in range(half, len(values) - half):
        ends = (values[row - half] + values[row + half]) / 2
        detrended[row] = values[row] - (ends + math.fsum(values[row - half + 1 : row + half])) / PERIOD
    if not detrended or max(map(abs, detrended.values())) <= 1e-12 * max(map(abs, values)):
        return math.nan
    season = [np.mean([left for row, left in detrended.items() if row % PERIOD == place]) for place in range(PERIOD)]
    remainder = [left - season[row % PERIOD] for row, left in detrended.items()]
    return max(0.0, 1 - float(np.var(remainder)) / float(np.var(list(detrended.values()))))


def test_seasonality_strength_is_that_of_a_decomposition_row_by_row() -> None:
    for column in substituted(LEVELS):
        ours = seasonality.seasonality_strength(column, PERIOD)
        np.testing.assert_allclose(ours, strength(interpolated(column)), rtol=1e-7, atol=1e-9, equal_nan=True)


def slope(y: FloatArray1D, x: FloatArray1D) -> float:
    """Return the coefficient of the normal equation of one regressor."""
    products, squares = zip(*((a * b, b * b) for a, b in zip(y.tolist(), x.tolist(), strict=True)), strict=True)
    return math.fsum(products) / math.fsum(squares)


@pytest.mark.parametrize("touched", ["symbol", "benchmark"])
def test_cointegration_leaves_missing_rows_out_and_regresses_by_normal_equations(touched: str) -> None:
    for column in substituted(FOLLOWER if touched == "symbol" else LEVELS):
        y, x = (column, LEVELS) if touched == "symbol" else (FOLLOWER, column)
        kept = np.isfinite(y) & np.isfinite(x)
        ours = cointegration.engle_granger(y, x)
        if kept.sum() < 20 or np.ptp(y[kept]) == 0 or np.ptp(x[kept]) == 0:
            assert all(map(math.isnan, ours))
            continue
        assert ours == cointegration.engle_granger(y[kept], x[kept])
        dy, dx = y[kept] - y[kept].mean(), x[kept] - x[kept].mean()
        beta = slope(dy, dx)
        assert ours.beta == pytest.approx(beta, rel=1e-9)
        left = dy - beta * dx
        speed = slope(np.diff(left), left[:-1])
        expected = -math.log(2) / speed if speed < 0 else math.nan
        assert ours.half_life_bars == pytest.approx(expected, rel=1e-7, nan_ok=True)
