"""Every fast kernel against its naive twin, on a grid of missing, infinite, constant, tiny and huge substitutions.

The twins compute by the formula in decimal arithmetic, one row at a time. Agreement: 1e-9 relative.
"""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from common.indicators import (
    bands,
    correlation,
    momentum,
    moving,
    realized,
    returns,
    seasonality,
    statistics,
    volatility,
    volume,
)
from common.indicators.arrays import FloatArray1D, all_positive
from tests.support import naive
from tests.support.candle_series import random_walk

ROWS, WINDOW, PERIOD = 48, 8, 5
CANDLES = random_walk(21, ROWS)
COLUMNS: dict[str, FloatArray1D] = {
    "open": CANDLES.open,
    "high": CANDLES.high,
    "low": CANDLES.low,
    "close": CANDLES.close,
    "other": random_walk(22, ROWS).close,
    "volume": CANDLES.volume,
    "returns": np.random.default_rng(23).normal(0, 0.01, ROWS),
    "benchmark": np.random.default_rng(24).normal(0, 0.01, ROWS),
}
PLACES = {"first": slice(0, 1), "middle": slice(20, 21), "block": slice(20, 33), "last": slice(ROWS - 1, ROWS)}
# A log return between doubles lies between 1e-16 and 1500: nothing smaller or larger can be one.
VALUES = {
    "price": [math.nan, math.inf, -math.inf, 0.0, -1.0, 100.0, 1e-300, 1e12, 1e300],
    "return": [math.nan, math.inf, -math.inf, 0.0, 1e-17, -1e3],
}


class Twin(NamedTuple):
    """A fast kernel and its naive twin; both take the named columns.

    ``cancels``: the result can be far smaller than what it is computed from, so doubles leave an error of the size of
    the input's last digit.
    """

    columns: tuple[str, ...]
    fast: Callable[..., Sequence[float] | FloatArray1D]
    slow: Callable[..., Sequence[float]]
    cancels: bool = False


def windows(reduce: Callable[[naive.Rows], Decimal | None], window: int = WINDOW) -> Callable[..., list[float]]:
    return lambda *columns: naive.series(columns, naive.last(window, reduce))


def rows(function: naive.RowFunction, counts: naive.RowTest = naive.is_any) -> Callable[..., list[float]]:
    return lambda *columns: naive.series(columns, function, counts)


def candles(term: Callable[[tuple[Decimal, ...]], Decimal]) -> Callable[..., list[float]]:
    return rows(naive.last(WINDOW, naive.root_mean(term)), naive.is_candle)


def yang_zhang_rows(o: FloatArray1D, h: FloatArray1D, lo: FloatArray1D, c: FloatArray1D) -> list[float]:
    """Rows whose own candle and the one before are whole."""
    candle = [all(map(math.isfinite, row)) and naive.is_candle(row) for row in zip(o, h, lo, c, strict=True)]
    before = [math.nan, *(close if whole else math.nan for close, whole in zip(c, candle, strict=True))][: len(c)]
    return naive.series((o, h, lo, c, before), naive.last(WINDOW, naive.yang_zhang), naive.is_candle)


def parts(which: int) -> naive.RowFunction:
    return lambda valid: naive.directional(valid, PERIOD)[which]


def movement(h: FloatArray1D, lo: FloatArray1D, c: FloatArray1D) -> momentum.DirectionalMovement:
    return momentum.directional_movement(h, lo, c, PERIOD)


def bollinger_upper(values: naive.Rows) -> Decimal:
    return naive.mean(naive.column(values)) + 2 * naive.std(naive.column(values), 0)


def position(values: naive.Rows) -> Decimal | None:
    column = naive.column(values)
    if max(column) == min(column):
        return Decimal("0.5")
    return (column[-1] - min(column)) / (max(column) - min(column))


def last_z(values: naive.Rows) -> Decimal | None:
    column = naive.column(values)
    return naive.divide(column[-1] - naive.mean(column), naive.std(column, 0))


def variation(values: naive.Rows) -> Decimal | None:
    return naive.divide(naive.std(naive.column(values), 1), naive.mean(naive.column(values)))


def change(values: naive.Rows) -> Decimal | None:
    before = values[0][0]
    return None if before == 0 else (values[-1][0] / before - 1) * 100


def beta(values: naive.Rows) -> Decimal | None:
    y, x = naive.column(values, 0), naive.column(values, 1)
    return naive.divide(naive.cross(y, x), naive.moment(x, 2))


def balance(values: naive.Rows) -> Decimal:
    steps = pairwise(values)
    return sum((now[1] * ((now[0] > before[0]) - (now[0] < before[0])) for before, now in steps), Decimal())


def exponential(values: naive.Rows, span: int) -> Decimal | None:
    return naive.smooth(naive.column(values), span, Decimal(2) / (span + 1))


def weighted_volatility(values: naive.Rows) -> Decimal | None:
    variance = naive.smooth([r**2 for r in naive.column(values)], WINDOW, 1 - Decimal("0.94"))
    return None if variance is None else variance.sqrt()


def histogram(values: naive.Rows) -> Decimal | None:
    """MACD histogram of spans 3, 6 and 4."""
    lines = [
        exponential(values[:end], 3) - exponential(values[:end], 6)  # type: ignore[operator]  # both exist from row 6
        for end in range(6, len(values) + 1)
    ]
    signal = naive.smooth(lines, 4, Decimal(2) / 5)
    return None if signal is None else lines[-1] - signal


def ratio_part(part: int) -> Callable[[list[Decimal]], Decimal | None]:
    return lambda values: naive.variance_ratio(values, 3)[part]


def amihud(r: FloatArray1D, v: FloatArray1D) -> list[float]:
    kept = [(a, b) for a, b in zip(r, v, strict=True) if math.isfinite(a) and math.isfinite(b) and b > 0]
    if not kept:
        return [math.nan]
    impacts = [abs(Decimal(float(a))) / Decimal(float(b)) for a, b in kept]
    return [naive.as_float(sum(impacts, Decimal()) / len(impacts))]


PRICE_TWINS = {
    "log_returns": Twin(("close",), returns.log_returns, lambda c: naive.log_returns(c.tolist())),
    "rolling_std": Twin(
        ("close",),
        lambda c: volatility.rolling_std(c, WINDOW),
        windows(lambda values: naive.std(naive.column(values), 1)),
    ),
    "volatility_of_volatility": Twin(
        ("close",),
        lambda c: volatility.volatility_of_volatility(c, PERIOD),
        rows(lambda values: naive.std_of_stds(values, PERIOD)),
        cancels=True,
    ),
    "parkinson": Twin(
        ("open", "high", "low", "close"),
        lambda o, h, lo, c: volatility.parkinson(np.where(all_positive(o, c), h, np.nan), lo, WINDOW),
        candles(naive.parkinson_term),
    ),
    "garman_klass": Twin(
        ("open", "high", "low", "close"),
        lambda o, h, lo, c: volatility.garman_klass(o, h, lo, c, WINDOW),
        candles(naive.garman_klass_term),
    ),
    "rogers_satchell": Twin(
        ("open", "high", "low", "close"),
        lambda o, h, lo, c: volatility.rogers_satchell(o, h, lo, c, WINDOW),
        candles(naive.rogers_satchell_term),
    ),
    "yang_zhang": Twin(
        ("open", "high", "low", "close"),
        lambda o, h, lo, c: volatility.yang_zhang(o, h, lo, c, WINDOW),
        yang_zhang_rows,
    ),
    "sma": Twin(("close",), lambda c: moving.sma(c, WINDOW), windows(lambda values: naive.mean(naive.column(values)))),
    "ema": Twin(("close",), lambda c: moving.ema(c, WINDOW), rows(lambda values: exponential(values, WINDOW))),
    "wma": Twin(("close",), lambda c: moving.wma(c, WINDOW), windows(naive.weighted_mean)),
    "rate_of_change": Twin(("close",), lambda c: moving.rate_of_change(c, WINDOW), windows(change, WINDOW + 1)),
    "rsi": Twin(("close",), lambda c: momentum.rsi(c, PERIOD), rows(lambda values: naive.rsi(values, PERIOD))),
    "atr": Twin(
        ("high", "low", "close"),
        lambda h, lo, c: momentum.atr(h, lo, c, PERIOD),
        rows(lambda values: naive.atr(values, PERIOD), naive.is_range),
    ),
    "plus_di": Twin(("high", "low", "close"), lambda *p: movement(*p).plus_di, rows(parts(0), naive.is_range)),
    "minus_di": Twin(("high", "low", "close"), lambda *p: movement(*p).minus_di, rows(parts(1), naive.is_range)),
    "adx": Twin(("high", "low", "close"), lambda *p: movement(*p).adx, rows(parts(2), naive.is_range)),
    "directional_strength": Twin(
        ("open", "close"),
        lambda o, c: momentum.directional_strength(o, c, WINDOW),
        windows(lambda values: Decimal(100 * sum(c > o for o, c in values)) / WINDOW),
    ),
    "bollinger_upper": Twin(("close",), lambda c: bands.bollinger_bands(c, WINDOW).upper, windows(bollinger_upper)),
    "z_score": Twin(("close",), lambda c: bands.z_score(c, WINDOW), windows(last_z)),
    "range_position": Twin(("close",), lambda c: bands.range_position(c, WINDOW), windows(position)),
    "coefficient_of_variation": Twin(
        ("close",), lambda c: bands.coefficient_of_variation(c, WINDOW), windows(variation)
    ),
    "rolling_correlation": Twin(
        ("close", "other"),
        lambda x, y: correlation.rolling_correlation(x, y, WINDOW),
        windows(lambda values: naive.pearson(naive.column(values), naive.column(values, 1))),
    ),
    "rolling_beta": Twin(("close", "other"), lambda x, y: correlation.rolling_beta(x, y, WINDOW), windows(beta)),
    "on_balance_volume": Twin(("close", "volume"), volume.on_balance_volume, rows(balance), cancels=True),
    "volume_spike_ratio": Twin(
        ("volume",), lambda v: volume.volume_spike_ratio(v, WINDOW), windows(naive.spike, WINDOW + 1)
    ),
    "skewness": Twin(("close",), lambda c: [statistics.skewness(c)], lambda c: [naive.single(c, naive.skewness)]),
    "excess_kurtosis": Twin(
        ("close",), lambda c: [statistics.excess_kurtosis(c)], lambda c: [naive.single(c, naive.excess_kurtosis)]
    ),
    "autocorrelation": Twin(
        ("close",), lambda c: [statistics.autocorrelation(c, 2)], lambda c: [naive.autocorrelation(c, 2)]
    ),
    "variance_ratio": Twin(
        ("close",),
        lambda c: statistics.variance_ratio(c, 3),
        lambda c: [naive.single(c, ratio_part(part)) for part in range(2)],
    ),
    "entropy_index": Twin(
        ("close",),
        lambda c: [seasonality.entropy_index(c, 10)],
        lambda c: [naive.single(c, lambda v: naive.entropy(v, 10))],
    ),
    "correlation": Twin(
        ("close", "other"),
        lambda x, y: [correlation.correlation(x, y, 3)],
        lambda x, y: [
            naive.series((x, y), lambda v: naive.pearson(naive.column(v), naive.column(v, 1)) if len(v) > 2 else None)[
                -1
            ]
        ],
    ),
}
RETURN_TWINS = {
    "ewma_volatility": Twin(
        ("returns",), lambda r: volatility.ewma_volatility(r, 0.94, WINDOW), rows(weighted_volatility)
    ),
    "macd": Twin(("returns",), lambda r: moving.macd(r, 3, 6, 4).histogram, rows(histogram), cancels=True),
    "realized": Twin(
        ("returns",),
        lambda r: [realized.realized_variance(r), realized.bipower_variation(r), realized.jump_share(r)],
        lambda r: naive.realized(r.tolist()),
    ),
    "amihud_illiquidity": Twin(("returns", "volume"), lambda r, v: [volume.amihud_illiquidity(r, v)], amihud),
    "beta_of_returns": Twin(
        ("returns", "benchmark"), lambda x, y: correlation.rolling_beta(x, y, WINDOW), windows(beta)
    ),
}


def assert_same(twin: Twin, columns: list[FloatArray1D]) -> None:
    ours, expected = np.asarray(twin.fast(*columns)), np.asarray(twin.slow(*columns))
    largest = max((np.abs(column[np.isfinite(column)]).max(initial=0.0) for column in columns), default=0.0)
    rounding = 1e-15 * largest if twin.cancels else 0.0
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=rounding + 1e-305, equal_nan=True)


def check_grid(twin: Twin, values: list[float]) -> None:
    assert_same(twin, [COLUMNS[name] for name in twin.columns])
    for place in PLACES.values():
        for value in values:
            for touched in range(len(twin.columns)):
                columns = [COLUMNS[name].copy() for name in twin.columns]
                columns[touched][place] = value
                assert_same(twin, columns)


@pytest.mark.parametrize("name", PRICE_TWINS)
def test_kernel_of_prices_agrees_with_its_twin(name: str) -> None:
    check_grid(PRICE_TWINS[name], VALUES["price"])


@pytest.mark.parametrize("name", RETURN_TWINS)
def test_kernel_of_returns_agrees_with_its_twin(name: str) -> None:
    check_grid(RETURN_TWINS[name], VALUES["return"])


@pytest.mark.parametrize("name", [*PRICE_TWINS, *RETURN_TWINS])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-300, 1e300, math.nan])
def test_constant_columns(name: str, value: float) -> None:
    twin = {**PRICE_TWINS, **RETURN_TWINS}[name]
    if name in RETURN_TWINS and value in {1e-300, 1e300}:
        value = math.copysign(1e-3, value)
    assert_same(twin, [np.full(ROWS, value) for _ in twin.columns])


@pytest.mark.parametrize("name", PRICE_TWINS)
@pytest.mark.parametrize("factor", [2.0**-600, 2.0**600])
def test_tiny_and_huge_prices(name: str, factor: float) -> None:
    twin = PRICE_TWINS[name]
    assert_same(twin, [COLUMNS[column] * factor for column in twin.columns])


@pytest.mark.parametrize("name", [*PRICE_TWINS, *RETURN_TWINS])
@pytest.mark.parametrize("length", [0, 1, 2, 3, WINDOW, WINDOW + 1])
def test_short_series(name: str, length: int) -> None:
    twin = {**PRICE_TWINS, **RETURN_TWINS}[name]
    if length == 0 and name == "correlation":
        assert math.isnan(correlation.correlation(np.empty(0), np.empty(0)))
        return
    assert_same(twin, [COLUMNS[column][:length] for column in twin.columns])
