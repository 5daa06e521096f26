import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_models.chain import Chain
from moola_models.chain_paths import best_path, k_best_paths
from moola_models.two_tags import best_of_two_tags


def random_chain(B, K, *, seed, lengths=None, keeping=0.0):
    """A chain whose transitions are drawn around keeping the tag (positive) or changing it (negative)."""
    generator = torch.Generator().manual_seed(seed)
    start, transitions, end, emissions = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((2,), (2, 2), (2,), (B, K, 2))
    )
    transitions = transitions + keeping * torch.eye(2)
    return Chain(emissions, start, transitions, end, None if lengths is None else torch.tensor(lengths))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 9999),
    K=st.integers(1, 40),
    keeping=st.sampled_from([-6.0, -1.0, 0.0, 1.0, 6.0]),
    padded=st.booleans(),
)
def test_the_path_is_that_of_the_general_search(seed, K, keeping, padded):
    lengths = [K, max(1, K - 3), 1] if padded else None
    chain = random_chain(3, K, seed=seed, lengths=lengths, keeping=keeping)
    assert torch.equal(best_of_two_tags(chain), k_best_paths(chain, 1).tags[:, 0])


@pytest.mark.parametrize("per_window", [False, True])
def test_start_and_end_scores_may_differ_between_windows(per_window):
    chain = random_chain(4, 6, seed=0)
    scores = torch.tensor([[0.0, 9.0], [9.0, 0.0], [0.0, 9.0], [9.0, 0.0]], dtype=torch.float64)
    if not per_window:
        scores = scores[0]
    chain = Chain(chain.emissions, scores, chain.transitions, scores)
    assert torch.equal(best_of_two_tags(chain), k_best_paths(chain, 1).tags[:, 0])


def test_among_equally_good_paths_one_of_the_best_is_found():
    chain = Chain(torch.zeros(1, 9, 2), torch.zeros(2), torch.zeros(2, 2), torch.zeros(2))
    assert chain.score(best_path(chain)).item() == 0


def test_the_chain_is_left_as_it_was():
    chain = random_chain(2, 8, seed=3)
    before = chain.emissions.clone()
    best_of_two_tags(chain)
    assert torch.equal(chain.emissions, before)
