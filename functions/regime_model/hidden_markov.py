"""A hidden Markov model with Gaussian states: fitted by expectation and maximisation, filtered forward only.

Smoothed probabilities know what came later; none of them leaves this module. The algorithm is that of Rabiner (1989),
"A tutorial on hidden Markov models". All states share one covariance: with one each, the state with the widest would
claim every extreme bar, however calm that state is.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from common.indicators.arrays import FloatArray1D, FloatArray2D

SEED: Final = 0
MIN_ROWS: Final = 100
_MAX_STEPS: Final = 40
_STAY: Final = 0.95  # first guess: a state lasts for twenty bars
_TOLERANCE: Final = 1e-4  # of the log-likelihood per row
_VARIANCE_FLOOR: Final = 1e-3  # added to the variance of standardised features, which keeps it invertible


@dataclass(frozen=True, slots=True)
class HiddenMarkov:
    """States of a market and how one follows the other.

    Attributes:
        start: probability of each state before the first row, shape ``(states,)``.
        transition: ``[i, j]`` is the probability that state i is followed by state j, shape ``(states, states)``.
        mean: of each feature in each state, standardised, shape ``(states, features)``.
        covariance: of the features in every state, shape ``(features, features)``.
        centre: what standardising subtracts, shape ``(features,)``.
        scale: what it divides by, shape ``(features,)``.
    """

    start: FloatArray1D
    transition: FloatArray2D
    mean: FloatArray2D
    covariance: FloatArray2D
    centre: FloatArray1D
    scale: FloatArray1D

    def filtered(self, rows: FloatArray2D) -> FloatArray2D:
        """Return the probability of each state at each row, given that row and those before it.

        Args:
            rows: features, shape ``(n, features)``; a row that is not finite says nothing and is predicted only.

        Returns:
            Shape ``(n, states)``; rows appended later never change earlier ones.
        """
        return _forward(self, _log_density(self, (rows - self.centre) / self.scale)).filtered


class Forward(NamedTuple):
    """Forward pass: filtered probabilities, shape ``(n, states)``, and the log-likelihood of all rows."""

    filtered: FloatArray2D
    log_likelihood: float


def fit(rows: FloatArray2D, states: int, order_by: int) -> HiddenMarkov | None:
    """Fit the model to rows, all of which lie in the past of whoever uses it.

    Args:
        rows: features, shape ``(n, features)``; a row that is not finite counts as time only.
        states: how many.
        order_by: position of the feature by whose mean the states are ordered, the smallest first.

    Returns:
        The model; nothing with fewer than 100 finite rows or when a feature does not change.
    """
    valid = rows[np.isfinite(rows).all(axis=1)]
    if len(valid) < MIN_ROWS:
        return None
    centre, scale = valid.mean(axis=0), valid.std(axis=0)
    if not (scale > 1e-12 * np.abs(centre)).all():
        return None
    standard = (rows - centre) / scale
    model = _first_guess((valid - centre) / scale, states, centre, scale)
    before = -np.inf
    for _ in range(_MAX_STEPS):
        density = _log_density(model, standard)
        forward = _forward(model, density)
        if forward.log_likelihood - before < _TOLERANCE * len(valid):
            break
        before = forward.log_likelihood
        model = _maximised(model, standard, density, forward.filtered)
    return _ordered(model, order_by)


def _first_guess(valid: FloatArray2D, states: int, centre: FloatArray1D, scale: FloatArray1D) -> HiddenMarkov:
    """Cluster the rows as if they had no order."""
    from sklearn.mixture import GaussianMixture  # half of a cold start, and needed for a fit only

    mixture = GaussianMixture(
        states, covariance_type="tied", reg_covar=_VARIANCE_FLOOR, init_params="k-means++", tol=1e-2, random_state=SEED
    ).fit(valid)
    transition = np.full((states, states), (1 - _STAY) / (states - 1))
    np.fill_diagonal(transition, _STAY)
    return HiddenMarkov(np.full(states, 1 / states), transition, mixture.means_, mixture.covariances_, centre, scale)


def _log_density(model: HiddenMarkov, standard: FloatArray2D) -> FloatArray2D:
    """Logarithm of the density of each row in each state, up to a constant; 0 where a row says nothing."""
    deviations = standard[:, np.newaxis, :] - model.mean
    distance = ((deviations @ np.linalg.inv(model.covariance)) * deviations).sum(axis=2)
    constant = np.linalg.slogdet(model.covariance)[1]
    return np.where(np.isfinite(distance), -0.5 * (distance + constant), 0.0)


def _forward(model: HiddenMarkov, log_density: FloatArray2D) -> Forward:
    largest = log_density.max(axis=1, keepdims=True)
    density = np.exp(log_density - largest)
    filtered, sums = np.empty_like(density), np.empty(len(density))
    predicted = model.start
    for row, weights in enumerate(density):
        joint = predicted * weights
        sums[row] = total = joint.sum()
        filtered[row] = joint = joint / total
        predicted = joint @ model.transition
    return Forward(filtered, float((np.log(sums) + largest[:, 0]).sum()))


def _backward(model: HiddenMarkov, density: FloatArray2D) -> FloatArray2D:
    """Backward messages, each scaled to a sum of 1."""
    messages = np.ones_like(density)
    for row in range(len(density) - 2, -1, -1):
        message = model.transition @ (density[row + 1] * messages[row + 1])
        messages[row] = message / message.sum()
    return messages


def _maximised(
    model: HiddenMarkov, standard: FloatArray2D, log_density: FloatArray2D, filtered: FloatArray2D
) -> HiddenMarkov:
    """Return the model that is most likely under the state probabilities of the present one."""
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    messages = _backward(model, density)
    smoothed = filtered * messages
    smoothed /= smoothed.sum(axis=1, keepdims=True)
    pairs = filtered[:-1, :, np.newaxis] * model.transition * (density[1:] * messages[1:])[:, np.newaxis, :]
    pairs /= pairs.sum(axis=(1, 2), keepdims=True)
    followed = pairs.sum(axis=0) + 1e-6  # no state becomes one that cannot be left or reached
    weights = np.where(np.isfinite(standard).all(axis=1, keepdims=True), smoothed, 0.0)
    mass = weights.sum(axis=0)[:, np.newaxis]
    rows = np.nan_to_num(standard)
    mean = weights.T @ rows / (mass + 1e-9)
    spread = (rows.T @ (rows * weights.sum(axis=1, keepdims=True)) - (mean * mass).T @ mean) / mass.sum()
    return HiddenMarkov(
        smoothed[0],
        followed / followed.sum(axis=1, keepdims=True),
        mean,
        spread + _VARIANCE_FLOOR * np.eye(len(spread)),
        model.centre,
        model.scale,
    )


def _ordered(model: HiddenMarkov, order_by: int) -> HiddenMarkov:
    order = np.argsort(model.mean[:, order_by], kind="stable")
    return HiddenMarkov(
        model.start[order],
        model.transition[np.ix_(order, order)],
        model.mean[order],
        model.covariance,
        model.centre,
        model.scale,
    )
