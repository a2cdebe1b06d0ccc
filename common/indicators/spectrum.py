"""Cycles: spectral density, its peaks, and the one cycle that stands out of a random walk.

A cycle counts as significant when a series without any would show one as strong with a probability below 1 % over all
frequencies together. What it has to stand out of is an autoregression of first order fitted to the returns: white noise
does not describe returns that bounce or trend, and a random walk in prices has all its power at long periods.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import scipy

from common.indicators.arrays import (
    NAN,
    FloatArray1D,
    near_one,
    require_series,
    require_window,
    scaled_deviations,
)
from common.indicators.statistics import autocorrelation

SIGNIFICANCE: Final = 0.01
MIN_CYCLES: Final = 4
_MIN_ROWS: Final = 32
_MAX_MISSING: Final = 0.1
_HANN_OVERLAP: Final = 1 / 36  # squared correlation of Hann segments that overlap by half (Welch 1967)
_ROUNDING: Final = 1e-10


class SpectralDensity(NamedTuple):
    """One-sided power spectral density.

    ``frequency`` in cycles per bar and ``power`` in squared units of the series per cycle per bar, shape
    ``(segment // 2 + 1,)``; ``segments`` says how many periodograms were averaged.
    """

    frequency: FloatArray1D
    power: FloatArray1D
    segments: int


class SpectralPeak(NamedTuple):
    """A local maximum of the spectral density: its period, its share of all power, whether chance explains it."""

    period_bars: float
    power_share: float
    significant: bool


def welch(series: FloatArray1D, segment: int = 256) -> SpectralDensity:
    """Spectral density of Welch (1967): mean periodogram of Hann-windowed segments that overlap by half.

    The mean of each segment is removed.

    Args:
        series: evenly spaced values, for instance log returns, shape ``(n,)``. Missing ones are interpolated.
        segment: rows per segment; the whole series when it is shorter.

    Returns:
        The density; empty with fewer than 32 rows or more than a tenth of them missing.

    Raises:
        ValueError: the segment is below 8.
    """
    require_series(series)
    require_window(segment, 8)
    values = _filled(series)
    rows = min(segment, len(values))
    if not rows:
        return SpectralDensity(np.empty(0), np.empty(0), 0)
    overlap = rows // 2
    frequency, power = scipy.signal.welch(values, nperseg=rows, noverlap=overlap)
    return SpectralDensity(frequency, power, (len(values) - overlap) // (rows - overlap))


def spectral_peaks(series: FloatArray1D, segment: int = 256, count: int = 5) -> list[SpectralPeak]:
    """Strongest local maxima of the spectral density of `welch`, strongest first.

    ``power_share`` is the power of the bin over that of all bins but the mean's. A peak is significant when its power
    over that of the fitted autoregression exceeds the chi-squared bound for the number of segments and bins.

    Args:
        series: evenly spaced values, for instance log returns, shape ``(n,)``.
        segment: rows per segment.
        count: peaks at most.

    Returns:
        Up to ``count`` peaks; none for a flat or too short series.

    Raises:
        ValueError: the segment is below 8.
    """
    scaled = filled_deviations(series)
    density = welch(scaled, segment)
    power = density.power[1 : (min(segment, len(scaled)) + 1) // 2]
    if not power.sum() > 0:
        return []
    ratio = power / _background(scaled, 2 * np.pi * density.frequency[1 : len(power) + 1], power)
    degrees = 2 * density.segments / (1 + 2 * _HANN_OVERLAP * (density.segments - 1) / density.segments)
    padded = np.concatenate(([0.0], power, [0.0]))
    peaks = scipy.signal.find_peaks(padded)[0] - 1
    strongest = peaks[np.argsort(-power[peaks], kind="stable")][:count]
    return [
        SpectralPeak(
            period_bars=min(segment, len(scaled)) / (bin_ + 1 + _bin_offset(np.sqrt(padded), bin_ + 1)),
            power_share=float(power[bin_] / power.sum()),
            significant=bool(scipy.special.chdtrc(degrees, degrees * ratio[bin_]) * len(power) < SIGNIFICANCE),
        )
        for bin_ in strongest.tolist()
    ]


def dominant_cycle(series: FloatArray1D) -> float:
    """Period of the cycle that stands out most, if any does.

    The periodogram of the linearly detrended, Hann-windowed series is divided by the spectrum of a random walk whose
    steps are a first-order autoregression, and its maximum is tested by Fisher's g (1929). Periods up to a quarter of
    the series are looked at. Between bins the frequency is interpolated (Grandke 1983); a whole number of bars that
    lies within half a bin is taken to be the period.

    Args:
        series: evenly spaced levels, for instance log prices, shape ``(n,)``. Missing ones are interpolated.

    Returns:
        Bars per cycle; NaN when no cycle is significant, with fewer than 32 rows or more than a tenth missing.
    """
    require_series(series)
    scaled = filled_deviations(series)
    rows = len(scaled)
    residuals = scipy.signal.detrend(scaled) if rows else scaled
    if not rows or np.abs(residuals).max() < _ROUNDING:
        return NAN
    frequency, power = scipy.signal.periodogram(residuals, window="hann", detrend=False)
    bins = np.arange(MIN_CYCLES, (rows + 1) // 2)
    angle = 2 * np.pi * frequency[bins]
    steps = power[bins] * (2 - 2 * np.cos(angle))
    ratio = steps / _background(np.diff(scaled), angle, steps)
    share = float(ratio.max() / ratio.sum())
    if len(bins) * (1 - share) ** (len(bins) - 1) >= SIGNIFICANCE:
        return NAN
    best = MIN_CYCLES + int(np.argmax(ratio))
    period = rows / (best + _bin_offset(np.sqrt(power), best))
    whole = round(period)
    return float(whole) if abs(period - whole) <= period**2 / (2 * rows) else period


def filled_deviations(series: FloatArray1D) -> FloatArray1D:
    """Return deviations from the mean, scaled to at most 1, with missing values on the line between their neighbours.

    Missing values at the ends take the nearest one.

    Returns:
        Shape ``(n,)``; zeros for a flat series; empty with fewer than 32 rows or more than a tenth of them missing.
    """
    return scaled_deviations(_filled(near_one(series)))


def _filled(series: FloatArray1D) -> FloatArray1D:
    """The series with missing values interpolated; empty when there is too little of it."""
    valid = np.isfinite(series)
    if len(series) < _MIN_ROWS or valid.mean() < 1 - _MAX_MISSING:
        return np.empty(0)
    rows = np.arange(len(series))
    return np.interp(rows, rows[valid], series[valid])


def _background(steps: FloatArray1D, angle: FloatArray1D, power: FloatArray1D) -> FloatArray1D:
    """Spectrum of a first-order autoregression fitted to ``steps``, with the mean level of ``power``."""
    coefficient = autocorrelation(steps)
    if math.isnan(coefficient):
        coefficient = 0.0
    shape = 1 / (1 - 2 * coefficient * np.cos(angle) + coefficient**2)
    background: FloatArray1D = shape * float(power.sum() / shape.sum())
    return background


def _bin_offset(amplitude: FloatArray1D, best: int) -> float:
    """Distance of a tone from the bin ``best``, −0.5 to 0.5, from the larger neighbour under a Hann window."""
    side = 1 if amplitude[best + 1] >= amplitude[best - 1] else -1
    ratio = float(amplitude[best + side] / amplitude[best])
    return side * min(max((2 * ratio - 1) / (ratio + 1), 0.0), 0.5)
