"""The hidden Markov model beside hmmlearn's, whose ``tied`` covariance is the same model."""

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM

from functions.regime_model.hidden_markov import HiddenMarkov, fit

FEATURES = 3


def planted(seed: int, rows: int = 1500) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return rows of three states that last for about thirty bars and differ in level and in the second feature."""
    chance = np.random.default_rng(seed)
    states = np.repeat(chance.integers(0, 3, size=rows // 30 + 1), 30)[:rows]
    levels = np.array([[0.0, -2.0, 0.5], [1.0, 0.0, -0.5], [-1.0, 2.5, 0.0]])
    mixing = np.array([[1.0, 0.0, 0.0], [0.4, 0.8, 0.0], [-0.3, 0.2, 0.6]])
    return np.asarray(levels[states] + chance.standard_normal((rows, FEATURES)) @ mixing.T)


def judge_of(model: HiddenMarkov, **settings: object) -> GaussianHMM:
    """Return the other library's model with the same parameters."""
    judge = GaussianHMM(n_components=len(model.start), covariance_type="tied", **settings)
    judge.startprob_, judge.transmat_ = model.start, model.transition
    judge.means_, judge.covars_ = model.mean, model.covariance
    judge.n_features = FEATURES
    return judge


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_likelihood_and_probabilities_are_those_of_the_judge(seed: int) -> None:
    rows = planted(seed)
    model = fit(rows, 3, 1)
    assert model is not None
    judge = judge_of(model)
    standard = (rows - model.centre) / model.scale
    assert model.log_likelihood(rows) == pytest.approx(judge.score(standard), rel=1e-10)
    # Smoothing changes nothing at the last row, so there both know the same.
    _, smoothed = judge.score_samples(standard)
    assert model.filtered(rows)[-1] == pytest.approx(smoothed[-1], abs=1e-9)
    for count in (1, 2, 25, 400):
        _, smoothed = judge.score_samples(standard[:count])
        assert model.filtered(rows)[count - 1] == pytest.approx(smoothed[-1], abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_judge_finds_nothing_much_better_from_here(seed: int) -> None:
    rows = planted(seed)
    model = fit(rows, 3, 1)
    assert model is not None
    standard = (rows - model.centre) / model.scale
    judge = judge_of(model, init_params="", n_iter=200, tol=1e-8, covars_prior=0.0, min_covar=1e-6)
    judge.fit(standard)
    per_row = judge.score(standard) / len(rows) - model.log_likelihood(rows) / len(rows)
    assert per_row + 1e-6 >= 0
    assert per_row < 2e-3
    assert model.mean == pytest.approx(judge.means_, abs=0.05)
    assert model.transition == pytest.approx(judge.transmat_, abs=0.02)
