"""The document of the model's regime (infra/docs/fields.md): the most probable state of volatility now.

The model is fitted on bars before a date of a fixed grid, once a day, and filters the bars from the beginning of the
fit to the last one. Both are functions of the past alone: what is said of a bar does not change with later ones.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np

from common.analytics.calculators.regime_model import STATES
from common.analytics.document import Result, Value
from common.analytics.window import BarWindow, History
from common.indicators.arrays import FloatArray1D, FloatArray2D
from common.times import to_iso
from functions.regime_model import hidden_markov
from functions.regime_model.features import NAMES, VOLATILITY, features_of
from functions.regime_model.hidden_markov import HiddenMarkov
from functions.regime_model.inputs import fit_step_bars

_KEPT_MODELS: Final = 512


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows of one fit; two samples are equal when their contents are."""

    digest: bytes
    rows: FloatArray2D = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the model says about each bar that it has filtered.

    Attributes:
        model: the states.
        probabilities: of each state at each bar since the fit began, shape ``(n, states)``.
        fit_until_ms: no bar that closed later went into the fit.
        fit_rows: bars that did.
    """

    model: HiddenMarkov
    probabilities: FloatArray2D
    fit_until_ms: int
    fit_rows: int


def compute(history: History) -> list[Result]:
    """Return the one result of a pair and timeframe; none when there is too little to fit a model to."""
    estimate = estimate_of(history)
    if estimate is None:
        return []
    newest: FloatArray1D = estimate.probabilities[-1]
    state = int(newest.argmax())
    fields: dict[str, Value] = {
        "model_regime": STATES[state],
        "model_probability": float(newest[state]),
        "state_probabilities": dict(zip(STATES, newest.tolist(), strict=True)),
        "expected_duration_bars": float(1 / (1 - estimate.model.transition[state, state])),
    }
    return [Result(history.symbol, fields, history.basis, parameters_of(history.window, estimate))]


def parameters_of(window: BarWindow, estimate: Estimate) -> dict[str, int | float | str]:
    """Return ``metadata.parameters``."""
    return {
        "states": len(STATES),
        "features": ",".join(NAMES),
        "fit_bars": window.bars,
        "fit_rows": estimate.fit_rows,
        "fit_until": to_iso(estimate.fit_until_ms),
        "fit_step_bars": fit_step_bars(window.timeframe),
    }


def estimate_of(history: History) -> Estimate | None:
    """Fit on the bars before the last date of the grid, and filter from there to the last candle."""
    window = history.window
    interval_ms = window.timeframe.duration_ms
    since_fit = window.end_ms // interval_ms % fit_step_bars(window.timeframe)
    features = features_of(history)
    last = (history.data_until_ms - window.loaded_from_ms) // interval_ms
    first = window.loaded_bars - since_fit - window.bars
    sample = features[first : window.loaded_bars - since_fit]
    model = fitted(sample_of(sample))
    if model is None:
        return None
    fit_rows = int(np.isfinite(sample).all(axis=1).sum())
    fit_until_ms = window.end_ms - since_fit * interval_ms
    return Estimate(model, model.filtered(features[first:last]), fit_until_ms, fit_rows)


def sample_of(rows: FloatArray2D) -> Sample:
    """Return rows as a sample."""
    return Sample(blake2b(rows.tobytes(), digest_size=16).digest(), rows)


@lru_cache(maxsize=_KEPT_MODELS)
def fitted(sample: Sample) -> HiddenMarkov | None:
    """Return the model of a sample. It is kept: until the next date of the grid every document asks for the same."""
    return hidden_markov.fit(sample.rows, len(STATES), VOLATILITY)
