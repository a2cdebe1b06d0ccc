"""Fast kernels of several series, slots and volumes against naive twins, on a grid of broken and extreme values.

The twins take one pair, lag, window or slot at a time, in decimal arithmetic. Agreement: 1e-9, relative or (for what
lies between −1 and 1) absolute.
"""

import math
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext

import numpy as np
import pytest

from common.indicators import breadth, correlation, moving, seasonality, statistics, volatility, volume
from common.indicators.arrays import FloatArray1D
from tests.support import naive
from tests.support.candle_series import HOUR_MS, VECTOR_START_MS

ROWS, WINDOW, MIN_ROWS, LAGS = 60, 6, 5, 7
RANDOM = np.random.default_rng(31)
RETURNS = {name: RANDOM.normal(0, 0.01, ROWS) for name in ("x", "y", "z")}
RETURNS["y"][3:] += 0.7 * RETURNS["x"][:-3]
VOLUMES = {name: RANDOM.lognormal(3, 0.5, ROWS) for name in ("volume", "bought")}
PLACES = {"first": slice(0, 1), "middle": slice(20, 21), "block": slice(20, 33), "last": slice(ROWS - 1, ROWS)}
# A log return between doubles lies between 1e-16 and 1500: nothing smaller or larger can be one.
OF_RETURNS = [math.nan, math.inf, -math.inf, 0.0, 1e-17, -1e3, 1e3]
OF_VOLUMES = [math.nan, math.inf, 0.0, 1e-300, 1e12, 1e300]


def substituted(column: FloatArray1D, values: list[float]) -> Iterator[FloatArray1D]:
    """Yield a column as it is, with each value in each place, and constant."""
    yield column.copy()
    for value in values:
        for place in PLACES.values():
            changed = column.copy()
            changed[place] = value
            yield changed
        yield np.full_like(column, value)


def pearson(x: FloatArray1D, y: FloatArray1D, min_rows: int = MIN_ROWS) -> float:
    def of_rows(rows: naive.Rows) -> Decimal | None:
        if len(rows) < min_rows:
            return None
        return naive.pearson(naive.column(rows), naive.column(rows, 1))

    return naive.series((x, y), of_rows)[-1] if len(x) else math.nan


def assert_close(ours: object, expected: object) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=np.float64),
        np.asarray(expected, dtype=np.float64),
        rtol=1e-9,
        atol=1e-9,
        equal_nan=True,
    )


@pytest.mark.parametrize("touched", ["x", "y"])
def test_the_matrix_is_that_of_each_pair_by_itself(touched: str) -> None:
    for column in substituted(RETURNS[touched], OF_RETURNS):
        rows = list({**RETURNS, touched: column}.values())
        ours = correlation.correlation_matrix(np.array(rows), MIN_ROWS)
        assert_close(ours, [[pearson(one, other) for other in rows] for one in rows])


@pytest.mark.parametrize("touched", ["x", "y"])
def test_the_lag_is_the_best_of_all_by_themselves(touched: str) -> None:
    for column in substituted(RETURNS[touched], OF_RETURNS):
        benchmark, symbol = (column, RETURNS["y"]) if touched == "x" else (RETURNS["x"], column)
        found = {
            lag: pearson(benchmark[max(0, -lag) : ROWS - max(0, lag)], symbol[max(0, lag) : ROWS + min(0, lag)])
            for lag in range(-LAGS, LAGS + 1)
        }
        known = {lag: value for lag, value in found.items() if math.isfinite(value)}
        ours = correlation.lag_correlation(benchmark, symbol, LAGS, MIN_ROWS)
        assert (ours.lag is None) == (not known)
        if ours.lag is not None:
            assert_close([ours.correlation, ours.correlation], [known[ours.lag], max(known.values())])


@pytest.mark.parametrize("step", [1, 4, WINDOW])
def test_spaced_correlations_are_those_of_each_window(step: int) -> None:
    for column in substituted(RETURNS["y"], OF_RETURNS):
        ours = correlation.spaced_correlations(RETURNS["x"], column, 12, step, MIN_ROWS)
        ends = range(ROWS, 11, -step)
        assert_close(ours, [pearson(RETURNS["x"][end - 12 : end], column[end - 12 : end]) for end in ends])


def test_volatility_correlation_is_that_of_each_deviation_by_itself() -> None:
    def deviations(values: FloatArray1D) -> list[float]:
        return naive.series((values,), naive.last(WINDOW, lambda rows: naive.std(naive.column(rows), 1)))

    for column in substituted(RETURNS["y"], OF_RETURNS[:4] + OF_RETURNS[5:]):
        own = np.where(np.isfinite(RETURNS["x"]) & np.isfinite(column), deviations(RETURNS["x"]), np.nan)
        expected = pearson(own, np.array(deviations(column)), 20)
        assert_close(correlation.volatility_correlation(RETURNS["x"], column, WINDOW), expected)


def test_stability_is_the_deviation_of_fisher_transforms() -> None:
    correlations = np.tanh(RANDOM.normal(0.5, 0.3, 30))
    for column in substituted(correlations, [math.nan, 0.0, -0.999, 0.999]):
        z = [math.atanh(value) for value in column if math.isfinite(value)]
        expected = math.nan if len(z) < 2 else 1 - min(1.0, naive.single(z, lambda values: naive.std(values, 1)))
        assert_close(correlation.correlation_stability(column), expected)


@pytest.mark.parametrize("slots", [1, 7, 24])
def test_a_profile_is_that_of_each_slot_by_itself(slots: int) -> None:
    def t_value(values: list[Decimal]) -> Decimal | None:
        if len(values) < 2:
            return None
        return naive.divide(naive.mean(values), naive.std(values, 1) / Decimal(len(values)).sqrt())

    places = np.arange(ROWS) % slots
    for column in substituted(RETURNS["x"], OF_RETURNS):
        ours = seasonality.slot_profile(column, places, slots)
        members = [[value for value in column[places == slot] if math.isfinite(value)] for slot in range(slots)]
        assert ours.counts.tolist() == [len(one) for one in members]
        means = [naive.single(one, lambda values: naive.mean(values) if values else None) for one in members]
        assert_close(ours.means, means)
        assert_close(ours.t_values, [naive.single(one, t_value) for one in members])


def test_ljung_box_adds_up_its_autocorrelations() -> None:
    for column in substituted(RETURNS["x"], OF_RETURNS):
        rows = int(np.isfinite(column).sum())
        terms = [naive.autocorrelation(column.tolist(), lag) ** 2 / (rows - lag) for lag in range(1, 6) if rows > 6]
        expected = rows * (rows + 2) * math.fsum(terms) if terms else math.nan
        assert_close(statistics.ljung_box(column, 5).statistic, expected)


def total(values: FloatArray1D) -> Decimal:
    return sum((Decimal(float(value)) for value in values), Decimal())


VOLUME_TWINS: dict[str, tuple[Callable[..., float], Callable[[Decimal, Decimal], Decimal | None]]] = {
    "volume_delta": (volume.volume_delta, lambda amount, bought: 2 * bought - amount),
    "taker_buy_ratio": (volume.taker_buy_ratio, lambda amount, bought: naive.divide(bought, amount)),
    "vwap": (volume.vwap, lambda amount, quote: naive.divide(quote, amount)),
}


@pytest.mark.parametrize("touched", list(VOLUMES))
@pytest.mark.parametrize("name", list(VOLUME_TWINS))
def test_sums_of_volumes(name: str, touched: str) -> None:
    fast, slow = VOLUME_TWINS[name]
    for column in substituted(VOLUMES[touched], OF_VOLUMES):
        amount, other = {**VOLUMES, touched: column}.values()
        expected = math.nan
        if np.isfinite(amount).all() and np.isfinite(other).all():
            with localcontext(naive.CONTEXT):
                expected = naive.as_float(slow(total(amount), total(other)))
        size = float(np.nanmax(np.abs(np.nan_to_num([amount, other], posinf=0.0))))
        rounding = 1e-12 * size if name == "volume_delta" else 0.0
        np.testing.assert_allclose(fast(amount, other), expected, rtol=1e-9, atol=rounding, equal_nan=True)


def test_shares_of_symbols() -> None:
    for column in substituted(VOLUMES["volume"], OF_VOLUMES):
        pairs = [(a, b) for a, b in zip(column, VOLUMES["bought"], strict=True) if math.isfinite(a)]
        above, below = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
        count = len(pairs) or math.nan
        assert_close(breadth.share_above(column, VOLUMES["bought"]), above / count)
        assert_close(breadth.advance_decline(column, VOLUMES["bought"]), (above - below) / count)


def test_sides_and_crossings_one_row_after_the_other() -> None:
    slow = np.zeros(ROWS)
    for fast in substituted(np.round(RETURNS["x"], 2), OF_RETURNS):
        side, sides, events = 0.0, [], []
        for value in fast:
            before = side
            if math.isfinite(value):
                side = 1.0 if value > 0 else -1.0 if value < 0 else side or -1.0
            sides.append(side or math.nan)
            events.append(side if before and side != before else 0.0 if side else math.nan)
        assert_close(moving.crossover_state(fast, slow), sides)
        told = moving.crossover_event(fast, slow)
        present = np.isfinite(fast)
        assert_close(told[present], np.array(events)[present])


def test_deviation_from_the_hour_is_what_a_line_and_the_hour_leave() -> None:
    close = 100 * np.exp(RETURNS["x"].cumsum())
    times = VECTOR_START_MS + np.arange(ROWS) * HOUR_MS
    for column in substituted(close, [math.nan, math.inf, 0.0, -1.0, 1e-300, 1e300]):
        kept = np.isfinite(column) & (column > 0)
        expected = math.nan
        if kept.sum() >= 3:
            logs, hours = np.log(column[kept]), np.arange(ROWS)[kept]
            residuals = logs - np.polynomial.Polynomial.fit(hours, logs, 1)(hours)
            expected = 100 * (residuals[-1] - residuals[hours % 24 == hours[-1] % 24].mean())
        ours = seasonality.seasonal_deviation(column, times)
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_the_deviations_that_are_correlated_are_those_of_volatility() -> None:
    """The twin above has a judge of its own: the naive deviation against the kernel."""
    ours = volatility.rolling_std(RETURNS["x"], WINDOW)
    slow = naive.series((RETURNS["x"],), naive.last(WINDOW, lambda rows: naive.std(naive.column(rows), 1)))
    assert_close(ours, slow)
