"""From a span's score to how often such spans are right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from moola_train.recipes.confidence import fit_confidence


def test_confidence_is_the_frequency_of_being_right_where_scores_are_not():
    rng = np.random.default_rng(0)
    score = rng.uniform(0.3, 0.99, 20_000)
    odds = np.log(score / (1 - score))
    true = 1 / (1 + np.exp(-(0.6 * odds - 1.0)))
    right = rng.random(len(score)) < true
    fitted = fit_confidence(score, right)
    assert fitted.slope == pytest.approx(0.6, abs=0.06)
    assert fitted.intercept == pytest.approx(-1.0, abs=0.08)
    assert np.abs(fitted(score) - true).max() < 0.02
    assert np.abs(score - true).mean() > 0.2


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_fit_is_the_minimum_that_a_general_optimiser_finds(n, seed):
    rng = np.random.default_rng(seed)
    score = rng.choice([0.2, 0.5, 0.9, 0.999], n)
    right = rng.random(n) < score
    fitted = fit_confidence(score, right)
    hits = right.sum()
    wanted = np.where(right, (hits + 1) / (hits + 2), 1 / (n - hits + 2))

    def loss(w):
        p = 1 / (1 + np.exp(-(w[0] * np.log(score / (1 - score)) + w[1])))
        likelihood = wanted * np.log(p) + (1 - wanted) * np.log(1 - p)
        return -likelihood.sum() + (w[0] - 1) ** 2 / 2 + 1e-6 * w[1] ** 2 / 2

    other = minimize(loss, [1.0, 0.0], tol=1e-10)
    assert loss([fitted.slope, fitted.intercept]) <= other.fun + 1e-6
    assert ((fitted(score) > 0) & (fitted(score) < 1)).all()


def test_nothing_is_learnt_from_no_span():
    assert fit_confidence(np.empty(0), np.empty(0, bool)) is None
