"""A hidden Markov model with Gaussian states: fitted by expectation and maximisation, filtered forward only.

Smoothed probabilities know what came later; none of them leaves this module. The algorithm is that of Rabiner (1989),
"A tutorial on hidden Markov models". All states share one covariance: with one each, the state with the widest would
claim every extreme bar, however calm that state is.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from common.indicators.arrays import FloatArray1D, FloatArray2D

FloatArray3D: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.float64]]

MIN_ROWS: Final = 100
_MAX_STEPS: Final = 40
_STAY: Final = 0.95  # first guess: a state lasts for twenty bars
_TOLERANCE: Final = 1e-4  # of the log-likelihood per row
_VARIANCE_FLOOR: Final = 1e-3  # added to the variance of standardised features, which keeps it invertible
_RARE: Final = 1e-6  # added to the count of every transition: no state becomes one that cannot be left or reached
# Rows whose transitions are multiplied without scaling. The sum of a product shrinks by at most the rarest transition
# a row, which is about _RARE over the number of rows: 1e-12 in a million of them, so that this many do not underflow.
_BLOCK_ROWS: Final = 24


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
        return _forward(self, _log_density(self, self._standard(rows))).filtered

    def log_likelihood(self, rows: FloatArray2D) -> float:
        """Return the logarithm of the density of all rows together, in units of their standardised features.

        Args:
            rows: as for ``filtered``; a row that is not finite has no part in it.
        """
        finite = int(np.isfinite(rows).all(axis=1).sum())
        constant = 0.5 * finite * rows.shape[1] * math.log(2 * math.pi)
        return _forward(self, _log_density(self, self._standard(rows))).log_likelihood - constant

    def _standard(self, rows: FloatArray2D) -> FloatArray2D:
        return (rows - self.centre) / self.scale


class Forward(NamedTuple):
    """Forward pass: filtered probabilities, shape ``(n, states)``, and the log-likelihood of all rows up to 2π."""

    filtered: FloatArray2D
    log_likelihood: float


def fit(rows: FloatArray2D, states: int, order_by: int) -> HiddenMarkov | None:
    """Fit the model to rows, all of which lie in the past of whoever uses it.

    The likelihood has many local maxima, in most of which the states tell other features apart than the one that they
    are ordered by. The search begins at equal shares of the rows by that feature, and climbs from there only.

    Args:
        rows: features, shape ``(n, features)``; a row that is not finite counts as time only.
        states: how many.
        order_by: position of the feature by whose mean the states are ordered, the smallest first.

    Returns:
        The model, a function of the rows alone; None with fewer than 100 finite rows or when a feature does not
        change.
    """
    valid = rows[np.isfinite(rows).all(axis=1)]
    if len(valid) < MIN_ROWS:
        return None
    centre, scale = valid.mean(axis=0), valid.std(axis=0)
    if not (scale > 1e-12 * np.abs(centre)).all():
        return None
    standard = (rows - centre) / scale
    model = _first_guess((valid - centre) / scale, states, order_by, centre, scale)
    before = -np.inf
    for _ in range(_MAX_STEPS):
        log_density = _log_density(model, standard)
        forward = _forward(model, log_density)
        if forward.log_likelihood - before < _TOLERANCE * len(valid):
            break
        before = forward.log_likelihood
        model = _maximised(model, standard, log_density, forward.filtered)
    return _ordered(model, order_by)


def _first_guess(
    valid: FloatArray2D, states: int, order_by: int, centre: FloatArray1D, scale: FloatArray1D
) -> HiddenMarkov:
    shares = [valid[share] for share in np.array_split(np.argsort(valid[:, order_by], kind="stable"), states)]
    mean = np.stack([share.mean(axis=0) for share in shares])
    deviations = np.concatenate([share - share.mean(axis=0) for share in shares])
    covariance = deviations.T @ deviations / len(valid) + _VARIANCE_FLOOR * np.eye(valid.shape[1])
    transition = np.full((states, states), (1 - _STAY) / (states - 1))
    np.fill_diagonal(transition, _STAY)
    return HiddenMarkov(np.full(states, 1 / states), transition, mean, covariance, centre, scale)


def _log_density(model: HiddenMarkov, standard: FloatArray2D) -> FloatArray2D:
    """Logarithm of the density of each row in each state, up to 2π; 0 where a row says nothing."""
    root = np.linalg.cholesky(model.covariance)
    whitening = np.linalg.inv(root)
    # Sums of products in place of ``@``, in which the last bits of a row depend on how many rows there are.
    white = (standard[:, np.newaxis, :] * whitening).sum(axis=2)
    distance = ((white[:, np.newaxis, :] - model.mean @ whitening.T) ** 2).sum(axis=2)
    return np.where(np.isfinite(distance), -0.5 * distance - np.log(root.diagonal()).sum(), 0.0)


def _forward(model: HiddenMarkov, log_density: FloatArray2D) -> Forward:
    largest = log_density.max(axis=1, keepdims=True)
    density = np.exp(log_density - largest)
    first = model.start * density[0]
    filtered = np.empty_like(density)
    filtered[0] = first / first.sum()
    filtered[1:] = _carried(filtered[0], _steps(model, density))
    predicted = np.concatenate([model.start[np.newaxis], filtered[:-1] @ model.transition])
    return Forward(filtered, float((np.log((predicted * density).sum(axis=1)) + largest[:, 0]).sum()))


def _backward(model: HiddenMarkov, density: FloatArray2D) -> FloatArray2D:
    """Backward messages, each scaled to a sum of 1."""
    messages = np.full_like(density, 1 / density.shape[1])
    messages[:-1] = _carried(messages[-1], _steps(model, density)[::-1].swapaxes(1, 2))[::-1]
    return messages


def _steps(model: HiddenMarkov, density: FloatArray2D) -> FloatArray3D:
    """What takes the probabilities of a row to those of the next, up to scale: shape ``(n - 1, states, states)``."""
    return model.transition * density[1:, np.newaxis, :]


def _carried(first: FloatArray1D, steps: FloatArray3D) -> FloatArray2D:
    """Return ``first @ steps[0]``, ``first @ steps[0] @ steps[1]`` and so on, each scaled to a sum of 1.

    The steps are multiplied up inside of blocks, in all blocks at once, and what enters each block is carried through
    the products of whole blocks in the same way: an interpreter's turn for every row would take ten times as long.
    Blocks begin at the same rows however many follow, so that steps appended later change no bit of earlier results.

    Args:
        first: shape ``(states,)``.
        steps: shape ``(n, states, states)``.

    Returns:
        Shape ``(n, states)``.
    """
    rows, states = len(steps), len(first)
    padded = np.empty((-(-rows // _BLOCK_ROWS) * _BLOCK_ROWS, states, states))
    padded[:rows], padded[rows:] = steps, np.eye(states)
    products = padded.reshape(-1, _BLOCK_ROWS, states, states)
    for row in range(1, _BLOCK_ROWS):
        products[:, row] = products[:, row - 1] @ products[:, row]
    entering = first[np.newaxis]
    if len(products) > 1:
        whole = products[:-1, -1]
        entering = np.concatenate([entering, _carried(first, whole / whole.max(axis=(1, 2), keepdims=True))])
    carried = (entering[:, np.newaxis, :, np.newaxis] * products).sum(axis=2).reshape(-1, states)[:rows]
    return np.asarray(carried / carried.sum(axis=1, keepdims=True))


def _maximised(
    model: HiddenMarkov, standard: FloatArray2D, log_density: FloatArray2D, filtered: FloatArray2D
) -> HiddenMarkov:
    """Return the model that is most likely under the state probabilities of the present one."""
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    messages = _backward(model, density)
    smoothed = filtered * messages
    smoothed /= smoothed.sum(axis=1, keepdims=True)
    following = density[1:] * messages[1:]
    scales = (filtered[:-1] @ model.transition * following).sum(axis=1, keepdims=True)
    followed = model.transition * ((filtered[:-1] / scales).T @ following) + _RARE
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
