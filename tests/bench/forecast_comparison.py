"""Which model forecasts the next day's volatility best: walk forward over the recorded candles, losses out of sample.

Every forecast is made from the days before it. The truth is the realised variance of the next day (the sum of its
squared hourly log returns); where only daily candles are recorded, it is the Parkinson variance of the day. Losses are
QLIKE = v/f − ln(v/f) − 1, which is not ruled by the few extreme days (Patton 2011), and the mean squared error of the
variance in percent². Run it with ``python -m tests.bench --only forecast``.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import LinearConstraint, minimize
from scipy.signal import lfilter

from common.indicators import forecast
from common.indicators.arrays import FloatArray1D
from common.indicators.returns import log_returns
from common.times import DAY_MS, HOUR_MS
from tests.bench.report import Figure
from tests.support.candle_series import recorded

PAIRS: Final = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT")
SOURCES: Final = ("um_1h_{}_2025-09_2025-12", "spot_1h_{}_2022-07_2023-06", "um_1d_{}_2024-01_2025-12")
HISTORY_DAYS: Final = forecast.HISTORY_DAYS
FIRST_DAY: Final = forecast.MIN_DAYS
GARCH_REFIT_DAYS: Final = 5
SERVED: Final = "as served: HAR-RV, logarithms, 1/7/30 days"


@dataclass(frozen=True, slots=True)
class Days:
    """One pair day by day, shapes ``(days,)``: the variance of each day and its log return, in percent."""

    variance: FloatArray1D
    returns: FloatArray1D


Model = Callable[[Days], float]
"""Days of the past, the last of them today → variance of tomorrow."""


def days_of(folder: Path, name: str) -> Days:
    """Read a recorded file and cut it into days (UTC); days with fewer than 20 of 24 hours are left out."""
    candles = recorded(folder, name)
    if "_1d_" in name:
        ranges = np.log(candles.high / candles.low)[1:]
        return Days(1e4 * ranges**2 / (4 * np.log(2)), 100 * np.diff(np.log(candles.close)))
    returns = 100 * log_returns(candles.close, candles.open_time_ms, HOUR_MS)
    day = candles.open_time_ms // DAY_MS
    valid = np.isfinite(returns)
    days = np.unique(day)
    count = np.array([np.count_nonzero(valid & (day == one)) for one in days])
    variance = np.array([(returns[valid & (day == one)] ** 2).sum() for one in days]) * 24 / np.maximum(count, 1)
    total = np.array([returns[valid & (day == one)].sum() for one in days])
    whole = count >= 20
    return Days(variance[whole], total[whole])


def ewma(days: Days, *, of_returns: bool = False) -> float:
    """RiskMetrics: decay 0.94, begun at the mean of the first twenty days."""
    values = days.returns**2 if of_returns else days.variance
    level = float(values[:20].mean())
    for value in values[20:]:
        level += 0.06 * (value - level)
    return level


def har(days: Days, *, logarithmic: bool) -> float:
    """Corsi (2009): least squares on the mean variance of the last day, week and month; in levels or in logarithms."""
    values = np.log(np.maximum(days.variance, 1e-6)) if logarithmic else days.variance
    starts = range(22, len(values) + 1)
    rows = np.array(
        [[1.0, values[end - 1], values[end - 5 : end].mean(), values[end - 22 : end].mean()] for end in starts]
    )
    coefficients = np.linalg.lstsq(rows[:-1], values[22:], rcond=None)[0]
    residual = values[22:] - rows[:-1] @ coefficients
    value = float(rows[-1] @ coefficients)
    if logarithmic:
        return float(np.exp(value + residual.var() / 2))
    # A forecast outside of what was seen is a failure of the line, not of the market.
    return float(np.clip(value, days.variance.min(), days.variance.max()))


class Garch:
    """GARCH(1,1) on daily returns by quasi maximum likelihood, fitted anew every five days."""

    def __init__(self) -> None:
        self._parameters: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None
        self._fitted_at = 0

    def __call__(self, days: Days) -> float:
        squares = days.returns**2
        if self._parameters is None or len(squares) >= self._fitted_at + GARCH_REFIT_DAYS:
            self._parameters, self._fitted_at = self._fit(squares), len(squares)
        omega, alpha, beta = self._parameters
        return float(omega + alpha * squares[-1] + beta * self._path(self._parameters, squares)[-1])

    @staticmethod
    def _path(parameters: FloatArray1D, squares: FloatArray1D) -> FloatArray1D:
        omega, alpha, beta = parameters
        start = squares.mean()
        inputs = np.concatenate(([start], omega + alpha * squares[:-1]))
        return np.asarray(lfilter([1.0], [1.0, -beta], inputs))

    def _fit(self, squares: FloatArray1D) -> FloatArray1D:
        def loss(parameters: FloatArray1D) -> float:
            variance = self._path(parameters, squares)
            return float((np.log(variance) + squares / variance).mean())

        mean = float(squares.mean())
        bounds = [(1e-4 * mean, mean), (1e-4, 0.5), (0.3, 0.995)]
        stationary = LinearConstraint([[0.0, 1.0, 1.0]], ub=0.999)
        return np.asarray(
            minimize(loss, [0.1 * mean, 0.1, 0.8], bounds=bounds, constraints=[stationary], method="SLSQP").x
        )


def models() -> Mapping[str, Model]:
    """Return the models, fresh for one pair."""
    return {
        "today's variance": lambda days: float(days.variance[-1]),
        "mean of 30 days": lambda days: float(days.variance[-30:].mean()),
        "EWMA(0.94), variances": ewma,
        "EWMA(0.94), returns": partial(ewma, of_returns=True),
        "HAR-RV, 1/5/22 days": partial(har, logarithmic=False),
        "HAR-RV, logarithms, 1/5/22 days": partial(har, logarithmic=True),
        "GARCH(1,1)": Garch(),
        SERVED: lambda days: forecast.next_variance(days.variance),
    }


def walk(days: Days) -> dict[str, FloatArray1D]:
    """Return the forecasts of each model for the days from the sixtieth on, and the truth under ``truth``."""
    chosen = models()
    made: dict[str, list[float]] = {name: [] for name in chosen}
    for day in range(FIRST_DAY, len(days.variance)):
        past = Days(days.variance[max(0, day - HISTORY_DAYS) : day], days.returns[:day])
        for name, model in chosen.items():
            known = Days(days.variance[:day], days.returns[:day]) if isinstance(model, Garch) else past
            made[name].append(model(known))
    return {"truth": days.variance[FIRST_DAY:], **{name: np.array(values) for name, values in made.items()}}


def losses(truth: FloatArray1D, made: FloatArray1D) -> tuple[float, float]:
    """Return QLIKE and the mean squared error."""
    ratio = np.maximum(truth, 1e-6) / made
    return float((ratio - np.log(ratio) - 1).mean()), float(((truth - made) ** 2).mean())


def compare(folder: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the mean losses by source and model, and under ``all`` those over all days of all sources."""
    walks = {
        source.split("_{}")[0]: [walk(days_of(folder, source.format(pair))) for pair in PAIRS] for source in SOURCES
    }
    table = {f"{source}, {sum(len(one['truth']) for one in made)} days": _mean(made) for source, made in walks.items()}
    return {**table, "all": _mean([one for made in walks.values() for one in made])}


def _mean(walks: list[dict[str, FloatArray1D]]) -> dict[str, tuple[float, float]]:
    together = {name: np.concatenate([one[name] for one in walks]) for name in walks[0]}
    return {name: losses(together["truth"], together[name]) for name in models()}


def show(table: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """Print the table."""
    shown = Table(title=f"Forecasts of the next day's variance from the {HISTORY_DAYS} days before, out of sample")
    shown.add_column("model")
    for source in table:
        shown.add_column(f"{source}: QLIKE", justify="right")
        shown.add_column("MSE", justify="right")
    for name in models():
        shown.add_row(name, *(f"{value:.3f}" for losses in table.values() for value in losses[name]))
    Console(width=170).print(shown)


def measure() -> list[Figure]:
    """Compare the models; the one that is served has to have the lowest QLIKE over all days."""
    folder = Path(os.environ.get("PETROSA_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    table = compare(folder)
    show(table)
    served = table["all"][SERVED][0]
    best = min(qlike for name, (qlike, _) in table["all"].items() if name != SERVED)
    figure = Figure(
        "volatility forecast, loss out of sample",
        served,
        "QLIKE",
        "no model compared is better",
        served <= best,
        reference=best,
        ratio=served / best,
    )
    return [figure]
