import pytest
import torch

from moola_models.candidates import (
    best_marks,
    inside_probability,
    k_best_marks,
    sample_marks,
    thresholded_marks,
)
from moola_models.chain import Chain
from moola_models.segment import Segment
from moola_models.semi_markov import SemiMarkov

LENGTHS = torch.tensor([6, 4])


def distributions():
    draw = torch.Generator().manual_seed(0)
    a, b, c = (torch.randn(2, 6, generator=draw, dtype=torch.float64) for _ in range(3))
    half = torch.tensor(0.5, dtype=torch.float64)
    transitions = torch.randn(2, 2, generator=draw, dtype=torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    return {
        "chain": Chain(torch.stack([a, b], 2), zero, transitions, zero, LENGTHS),
        "segment": Segment(a, b, c, half, LENGTHS),
        "semi-markov": SemiMarkov(a, b, c, transitions[0], -half, LENGTHS),
    }


ALL = pytest.mark.parametrize("kind", ["chain", "segment", "semi-markov"])


def log_prob(distribution, marks):
    if isinstance(distribution, Chain):
        return distribution.log_prob(marks.long())
    if isinstance(distribution, Segment):
        return distribution.log_prob_of_marks(marks)
    return distribution.log_prob(marks)


@ALL
def test_the_best_is_the_first_of_the_k_best(kind):
    distribution = distributions()[kind]
    assert torch.equal(best_marks(distribution), k_best_marks(distribution, 3).marks[:, 0])


@ALL
def test_the_k_best_have_the_probabilities_of_their_scores(kind):
    distribution = distributions()[kind]
    found = k_best_marks(distribution, 3)
    for n in range(3):
        wanted = found.score[:, n] - distribution.log_partition()
        torch.testing.assert_close(log_prob(distribution, found.marks[:, n]), wanted)


@ALL
def test_probabilities_are_the_share_of_samples(kind):
    distribution, n = distributions()[kind], 20_000
    drawn = sample_marks(distribution, n, generator=torch.Generator().manual_seed(0))
    p = inside_probability(distribution)
    assert ((drawn.double().mean(1) - p).abs() <= 5 * (p * (1 - p) / n).sqrt() + 1e-9).all()


@ALL
def test_padding_is_never_marked(kind):
    distribution = distributions()[kind]
    drawn = sample_marks(distribution, 50, generator=torch.Generator().manual_seed(0))
    for marks in (drawn[1], k_best_marks(distribution, 5).marks[1], thresholded_marks(distribution, 0.0)[1]):
        assert not marks[..., 4:].any()


@ALL
def test_a_probability_equal_to_the_threshold_is_marked(kind):
    distribution = distributions()[kind]
    p = inside_probability(distribution)[0, 2].item()
    assert thresholded_marks(distribution, p)[0, 2]


def test_a_threshold_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match=r"threshold: want a number in 0\.\.1, got 1\.5"):
        thresholded_marks(distributions()["chain"], 1.5)
