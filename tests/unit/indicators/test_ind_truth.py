"""Estimators on simulated markets whose truth is known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal

from common.indicators import cointegration, correlation, realized, seasonality, spectrum, statistics, volatility
from common.indicators.arrays import FloatArray1D

SIGMA = 0.02  # per bar
Bars = tuple[FloatArray1D, FloatArray1D, FloatArray1D, FloatArray1D]


def bars(count: int, steps: int, *, drift: float = 0.0, overnight: float = 0.0, seed: int = 1) -> Bars:
    """Open, high, low and close of a random walk with ``steps`` price changes a bar, variance SIGMA² in all."""
    rng = np.random.default_rng(seed)
    inside = rng.normal(drift * SIGMA / steps, SIGMA * math.sqrt((1 - overnight) / steps), (count, steps))
    between = rng.normal(0, SIGMA * math.sqrt(overnight), count)
    start = np.concatenate(([0.0], np.cumsum(inside.sum(axis=1) + between)[:-1])) + between
    path = start[:, np.newaxis] + np.cumsum(inside, axis=1)
    high, low = np.maximum(path.max(axis=1), start), np.minimum(path.min(axis=1), start)
    return np.exp(start), np.exp(high), np.exp(low), np.exp(path[:, -1])


def variance_ratios(candles: Bars) -> dict[str, float]:
    """Estimated over true variance."""
    o, h, lo, c = candles
    rows = len(o)
    estimates = {
        "parkinson": volatility.parkinson(h, lo, rows)[-1],
        "garman_klass": volatility.garman_klass(o, h, lo, c, rows)[-1],
        "rogers_satchell": volatility.rogers_satchell(o, h, lo, c, rows)[-1],
        "yang_zhang": volatility.yang_zhang(o, h, lo, c, rows - 1)[-1],
    }
    return {name: float(estimate / SIGMA) ** 2 for name, estimate in estimates.items()}


@pytest.mark.parametrize(
    ("steps", "count", "drift", "overnight", "expected"),
    [
        # few price changes: the range misses the extremes between them
        (5, 20_000, 0, 0, {"parkinson": 0.57, "garman_klass": 0.41, "rogers_satchell": 0.38, "yang_zhang": 0.46}),
        (60, 20_000, 0, 0, {"parkinson": 0.85, "garman_klass": 0.78, "rogers_satchell": 0.78, "yang_zhang": 0.81}),
        (1440, 1500, 0, 0, {"parkinson": 0.96, "garman_klass": 0.94, "rogers_satchell": 0.93, "yang_zhang": 0.94}),
        # drift of one sigma a bar: Parkinson takes it for volatility
        (1440, 1500, 1, 0, {"parkinson": 1.35, "garman_klass": 1.09, "rogers_satchell": 0.95, "yang_zhang": 0.95}),
        # a quarter of the variance between bars: only Yang-Zhang sees it
        (1440, 1500, 0, 0.25, {"parkinson": 0.73, "garman_klass": 0.72, "rogers_satchell": 0.71, "yang_zhang": 0.98}),
    ],
)
def test_range_volatility(steps: int, count: int, drift: float, overnight: float, expected: dict[str, float]) -> None:
    tolerance = 4 / math.sqrt(5 * count)  # the estimators are about five times as efficient as closes
    assert variance_ratios(bars(count, steps, drift=drift, overnight=overnight)) == pytest.approx(
        expected, abs=tolerance + 0.015
    )


def test_rolling_and_weighted_volatility_find_sigma() -> None:
    returns = np.random.default_rng(2).normal(0, SIGMA, 20_000)
    assert volatility.rolling_std(returns, len(returns))[-1] == pytest.approx(SIGMA, rel=0.02)
    assert np.mean(volatility.ewma_volatility(returns)[20:] ** 2) == pytest.approx(SIGMA**2, rel=0.05)


def test_weighted_volatility_follows_a_change_of_level() -> None:
    returns = np.random.default_rng(3).normal(0, 1, 400) * np.where(np.arange(400) < 200, 0.01, 0.04)
    estimate = volatility.ewma_volatility(returns)
    assert estimate[199] == pytest.approx(0.01, rel=0.3)
    assert estimate[-1] == pytest.approx(0.04, rel=0.3)


def test_jumps_show_in_realised_variance_only() -> None:
    day = np.random.default_rng(4).normal(0, 0.001, 1440)
    jumped = day.copy()
    jumped[[300, 900]] += 0.02
    variance = 1440 * 0.001**2
    assert realized.realized_variance(day) == pytest.approx(variance, rel=0.15)
    assert realized.bipower_variation(day) == pytest.approx(variance, rel=0.15)
    assert realized.jump_share(day) < 0.06
    added = realized.realized_variance(jumped) - realized.realized_variance(day)
    assert added == pytest.approx(2 * 0.02**2, rel=0.2)
    assert realized.bipower_variation(jumped) == pytest.approx(realized.bipower_variation(day), rel=0.1)
    assert realized.jump_share(jumped) == pytest.approx(2 * 0.02**2 / (variance + 2 * 0.02**2), abs=0.07)


def test_bipower_variation_covers_the_period_in_spite_of_gaps() -> None:
    day = np.random.default_rng(5).normal(0, 0.001, 20_000)
    day[::10] = np.nan
    assert realized.bipower_variation(day) == pytest.approx(realized.realized_variance(day), rel=0.03)


def test_variance_ratio_tells_trends_from_reversals() -> None:
    noise = np.random.default_rng(6).normal(size=4000)
    trending = np.convolve(noise, [0.3, 1.0], mode="valid")
    reverting = np.convolve(noise, [-0.3, 1.0], mode="valid")
    assert statistics.variance_ratio(trending).z > 5
    assert statistics.variance_ratio(trending, 2).ratio == pytest.approx(1 + 0.3 / 1.09, abs=0.05)
    assert statistics.variance_ratio(reverting).z < -5


def test_false_alarms_of_the_dependence_tests() -> None:
    """Under changing volatility too, which the variance ratio allows for."""
    rng = np.random.default_rng(7)
    level = np.exp(0.5 * np.sin(np.arange(600) / 40))
    z, p = [], []
    for _ in range(400):
        z.append(statistics.variance_ratio(rng.normal(size=600) * level).z)
        p.append(statistics.ljung_box(rng.normal(size=600)).p_value)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


# --- cycles ---


@pytest.mark.parametrize("rows", [500, 720, 2000, 2159, 2160])
@pytest.mark.parametrize("seed", range(4))
def test_a_planted_day_is_found(rows: int, seed: int) -> None:
    """A sine of three step sizes on a random walk, whose own power lies at the longest periods."""
    steps = np.random.default_rng(seed).normal(0, 0.01, rows)
    levels = np.cumsum(steps) + 0.03 * np.sin(2 * np.pi * np.arange(rows) / 24 + seed)
    assert spectrum.dominant_cycle(levels) == 24.0


def test_a_planted_day_is_found_in_the_presence_of_gaps() -> None:
    steps = np.random.default_rng(8).normal(0, 0.01, 2160)
    levels = np.cumsum(steps) + 0.03 * np.sin(2 * np.pi * np.arange(2160) / 24)
    levels[500:560] = np.nan
    levels[[0, 9, 2159]] = np.nan
    assert spectrum.dominant_cycle(levels) == 24.0
    levels[:800] = np.nan
    assert math.isnan(spectrum.dominant_cycle(levels))


def test_a_period_between_whole_bars_is_found() -> None:
    rows = np.arange(2160)
    levels = np.cumsum(np.random.default_rng(9).normal(0, 0.001, 2160)) + 0.03 * np.sin(2 * np.pi * rows / 12.5)
    assert spectrum.dominant_cycle(levels) == pytest.approx(12.5, abs=0.02)


WALKS: dict[str, Callable[[np.random.Generator], FloatArray1D]] = {
    "normal": lambda rng: rng.normal(size=700),
    "heavy tails": lambda rng: rng.standard_t(3, 700),
    "trending": lambda rng: scipy.signal.lfilter([1.0], [1.0, -0.4], rng.normal(size=700)),
    "bouncing": lambda rng: scipy.signal.lfilter([1.0], [1.0, 0.4], rng.normal(size=700)),
    "bid and ask": lambda rng: np.convolve(rng.normal(size=701), [1.0, -0.3], mode="valid"),
    "volatility clusters": lambda rng: rng.normal(size=700) * np.exp(np.cumsum(rng.normal(0, 0.1, 700))),
}


@pytest.mark.parametrize("kind", WALKS)
def test_a_random_walk_is_no_cycle(kind: str) -> None:
    """One in a hundred may be called one; a random walk was always called a cycle by its longest period before."""
    rng = np.random.default_rng(10)
    alarms = sum(math.isfinite(spectrum.dominant_cycle(np.cumsum(WALKS[kind](rng)))) for _ in range(300))
    assert alarms <= 9


def test_peaks_of_a_planted_day_and_of_noise() -> None:
    rng = np.random.default_rng(11)
    noise = rng.normal(0, 0.01, 2160)
    (peak,) = spectrum.spectral_peaks(noise + 0.005 * np.cos(2 * np.pi * np.arange(2160) / 24), count=1)
    assert peak.significant
    assert peak.period_bars == pytest.approx(24, abs=0.25)
    assert peak.power_share > 0.03
    alarms = [any(peak.significant for peak in spectrum.spectral_peaks(rng.normal(size=1000))) for _ in range(300)]
    assert sum(alarms) <= 9


def test_strength_of_a_season() -> None:
    rng = np.random.default_rng(12)
    rows = np.arange(24 * 90)
    noise = np.cumsum(rng.normal(0, 0.01, len(rows)))
    assert seasonality.seasonality_strength(noise, 24) < 0.1
    assert seasonality.seasonality_strength(noise + 0.2 * np.sin(2 * np.pi * rows / 24), 24) > 0.85
    assert seasonality.seasonality_strength(0.2 * np.sin(2 * np.pi * rows / 24) + 1e-4 * rows, 24) > 0.999


def test_profile_finds_the_hour_that_moves() -> None:
    rng = np.random.default_rng(13)
    slot = np.arange(24 * 60) % 24
    returns = rng.normal(0, 0.01, len(slot)) + np.where(slot == 16, 0.01, 0)
    profile = seasonality.slot_profile(returns, slot, 24)
    assert int(np.argmax(profile.t_values)) == 16
    assert profile.means[16] == pytest.approx(0.01, abs=0.004)
    assert np.count_nonzero(np.abs(np.delete(profile.t_values, 16)) > 3) == 0


def test_entropy_of_known_distributions() -> None:
    assert seasonality.entropy_index(np.arange(5000.0)) == pytest.approx(1)
    assert seasonality.entropy_index(np.array([0.0, 1.0] * 50)) == pytest.approx(math.log(2) / math.log(50))


# --- pairs ---


@pytest.mark.parametrize("delay", [-7, -1, 0, 3, 24])
def test_a_delay_is_found_with_its_sign(delay: int) -> None:
    rng = np.random.default_rng(14)
    source = rng.normal(0, 0.01, 800)
    benchmark = source[100:700]
    symbol = source[100 - delay : 700 - delay] + rng.normal(0, 0.01, 600)  # positive: the symbol repeats later
    assert correlation.lag_correlation(benchmark, symbol).lag == delay


def test_a_cointegrated_pair_is_told_from_two_random_walks() -> None:
    rng = np.random.default_rng(15)
    found, alarms, half_lives = 0, 0, []
    for _ in range(60):
        walk = np.cumsum(rng.normal(0, 0.01, 720))
        deviation = np.zeros(720)
        for t in range(1, 720):
            deviation[t] = 0.9 * deviation[t - 1] + rng.normal(0, 0.01)
        pair = cointegration.engle_granger(1.5 * walk + deviation, walk)
        found += pair.p_value < 0.05
        half_lives.append(pair.half_life_bars)
        alarms += cointegration.engle_granger(np.cumsum(rng.normal(0, 0.01, 720)), walk).p_value < 0.05
    assert found >= 58
    assert alarms <= 8
    assert np.median(half_lives) == pytest.approx(math.log(2) / 0.1, rel=0.15)


def test_beta_and_common_component() -> None:
    rng = np.random.default_rng(16)
    market = rng.normal(0, 0.01, 3000)
    symbols = np.stack([beta * market + rng.normal(0, 0.01, 3000) for beta in (0.5, 1.0, 1.5, 2.0)])
    betas = [correlation.rolling_beta(symbol, market, 3000)[-1] for symbol in symbols]
    assert betas == pytest.approx([0.5, 1.0, 1.5, 2.0], abs=0.06)
    alone = correlation.first_component_share(correlation.correlation_matrix(rng.normal(size=(4, 3000))))
    together = correlation.first_component_share(correlation.correlation_matrix(symbols))
    assert alone == pytest.approx(0.25, abs=0.03)
    assert together > 0.6


def test_stability_of_a_correlation() -> None:
    rng = np.random.default_rng(17)
    steady = np.full(100, 0.8) + rng.normal(0, 0.001, 100)
    changing = rng.uniform(-0.95, 0.95, 100)
    assert correlation.correlation_stability(steady) > 0.99
    assert correlation.correlation_stability(changing) < 0.5
    assert correlation.correlation_stability(np.ones(50)) == 1
