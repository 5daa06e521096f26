"""Whether intervals hold the truth as often as they say."""

import numpy as np
import pytest

from moola_eval.bootstrap import interval
from moola_eval.score import f_score


def sample(rng, clusters):
    """Blocks of unequal difficulty with a few spans each: a skewed ratio, as F1 is."""
    n_true = 1 + rng.poisson(2, clusters)
    skill = rng.beta(2, 2, clusters)
    tp = rng.binomial(n_true, skill)
    n_pred = tp + rng.poisson(1.5 * (1 - skill))
    return f_score("f", "F", tp=tp * 1.0, n_pred=n_pred * 1.0, n_true=n_true * 1.0)


EXPECTED = 2 * (3 * 0.5) / (3 * 0.5 + 0.75 + 3)
"""Of a block: 3 true spans, half of them found, 0.75 in vain."""


@pytest.mark.slow
@pytest.mark.parametrize(("clusters", "low", "high"), [(100, 0.93, 0.97), (30, 0.90, 0.97)])
def test_bca_intervals_cover_their_nominal_share(clusters, low, high):
    rng = np.random.default_rng(clusters)
    covered = 0
    for i in range(2000):
        found = interval(sample(rng, clusters), groups=np.arange(clusters), seed=i, method="bca")
        covered += found.low <= EXPECTED <= found.high
    print(f"{clusters} clusters: {covered / 2000:.4f} of 95 % BCa intervals hold the value")
    assert low <= covered / 2000 <= high


def test_the_expected_value_is_that_of_a_large_sample():
    assert sample(np.random.default_rng(0), 400_000).value == pytest.approx(EXPECTED, abs=0.002)
