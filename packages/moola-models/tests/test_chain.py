import itertools

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from moola_models.chain import Chain

INF = float("inf")


def random_chain(B, K, T, *, seed, lengths=None, forbidden=False, scale=1.0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64) * scale

    transitions = draw(T, T)
    if forbidden:
        transitions[T - 1, 0] = -INF
    return Chain(
        draw(B, K, T),
        draw(T),
        transitions,
        draw(T),
        None if lengths is None else torch.tensor(lengths),
        forbidden,
    )


def enumerate_scores(chain, b):
    """Every tag sequence of window b with its score, by definition and without torch's batching."""
    K = chain.emissions.shape[1] if chain.lengths is None else int(chain.lengths[b])
    T = chain.emissions.shape[2]
    found = {}
    for tags in itertools.product(range(T), repeat=K):
        score = float(chain.start[tags[0]] + chain.end[tags[-1]])
        score += sum(float(chain.emissions[b, k, t]) for k, t in enumerate(tags))
        score += sum(float(chain.transitions[i, j]) for i, j in itertools.pairwise(tags))
        found[tags] = score
    return found


def brute_log_partition(chain, b):
    return torch.tensor(list(enumerate_scores(chain, b).values()), dtype=torch.float64).logsumexp(0)


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("K", range(1, 9))
def test_partition_equals_the_sum_over_all_sequences(K, forbidden):
    chain = random_chain(2, K, 3, seed=K, lengths=[K, max(1, K - 2)], forbidden=forbidden)
    wanted = torch.stack([brute_log_partition(chain, b) for b in range(2)])
    torch.testing.assert_close(chain.log_partition(), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("K", range(1, 9))
def test_marginals_equal_the_summed_probabilities_of_sequences(K, forbidden):
    T = 2 if K > 6 else 3
    lengths = [K, max(1, K - 2)]
    chain = random_chain(2, K, T, seed=K, lengths=lengths, forbidden=forbidden)
    for b in range(2):
        total, wanted = brute_log_partition(chain, b), torch.zeros(lengths[b], T, dtype=torch.float64)
        for tags, score in enumerate_scores(chain, b).items():
            for k, tag in enumerate(tags):
                wanted[k, tag] += (score - total).exp()
        found = chain.log_marginals()[b, : lengths[b]].exp()
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("forbidden", [False, True])
def test_log_prob_sums_to_one_over_all_sequences(forbidden):
    chain = random_chain(1, 5, 2, seed=3, forbidden=forbidden)
    total = sum(chain.log_prob(torch.tensor([tags])).exp() for tags in itertools.product(range(2), repeat=5))
    torch.testing.assert_close(total, torch.ones(1, dtype=torch.float64), rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_padding_changes_nothing(lengths, seed):
    B, K = len(lengths), max(lengths) + 2
    chain = random_chain(B, K, 2, seed=seed, lengths=lengths)
    tags = torch.randint(2, (B, K), generator=torch.Generator().manual_seed(seed))
    for b, length in enumerate(lengths):
        alone = Chain(chain.emissions[b : b + 1, :length], chain.start, chain.transitions, chain.end)
        torch.testing.assert_close(chain.log_partition()[b], alone.log_partition()[0])
        torch.testing.assert_close(chain.log_prob(tags)[b], alone.log_prob(tags[b : b + 1, :length])[0])
        torch.testing.assert_close(chain.log_marginals()[b, :length], alone.log_marginals()[0])


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("K", [1, 2, 7])
def test_gradient_of_the_partition_is_the_marginal(K, forbidden):
    chain = random_chain(3, K, 3, seed=1, lengths=[K, max(1, K - 2), 1], forbidden=forbidden)
    chain.emissions.requires_grad_()
    (found,) = torch.autograd.grad(chain.log_partition().sum(), chain.emissions)
    wanted = torch.where(chain.valid[:, :, None], chain.log_marginals().exp().detach(), 0)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


def test_gradients_pass_gradcheck():
    chain = random_chain(2, 5, 2, seed=0, lengths=[5, 3])
    parts = [part.requires_grad_() for part in (chain.emissions, chain.start, chain.transitions, chain.end)]
    tags = torch.tensor([[0, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
    assert torch.autograd.gradcheck(lambda *p: Chain(*p, chain.lengths).log_prob(tags), parts)
    assert torch.autograd.gradcheck(lambda *p: Chain(*p, chain.lengths).log_marginals()[:, :3], parts)


def test_forbidden_pairs_have_probability_zero_and_finite_gradients():
    chain = random_chain(1, 6, 3, seed=0, forbidden=True)
    chain.emissions.requires_grad_()
    assert chain.log_prob(torch.tensor([[0, 2, 0, 1, 1, 1]])).item() == -INF
    chain.log_prob(torch.tensor([[0, 2, 2, 1, 1, 1]])).sum().backward()
    assert chain.emissions.grad.isfinite().all()


def test_forbidden_pairs_are_exact_where_scaled_products_would_underflow():
    """Before, inside, after; emissions shout for `after`, which only a hated `inside` could reach."""
    emissions = torch.zeros(1, 40, 3)
    emissions[..., 1], emissions[..., 2] = -400.0, 50.0
    transitions = torch.zeros(3, 3)
    transitions[0, 2] = transitions[1, 0] = transitions[2, 0] = transitions[2, 1] = -INF
    start = torch.tensor([0.0, -INF, -INF])
    single = Chain(emissions, start, transitions, torch.zeros(3), None, True)
    double = Chain(
        emissions.double(), start.double(), transitions.double(), torch.zeros(3).double(), None, True
    )
    # One bar inside, at bar 1: -400, then 38 bars of 50; later turns lose 50 a bar.
    assert double.log_partition().item() == pytest.approx(-400 + 38 * 50, abs=1e-9)
    torch.testing.assert_close(single.log_partition().double(), double.log_partition(), rtol=1e-6, atol=0)


def test_large_scores_agree_in_single_and_double_precision():
    chain = random_chain(8, 105, 2, seed=0, scale=20.0)
    single = Chain(chain.emissions.float(), chain.start.float(), chain.transitions.float(), chain.end.float())
    torch.testing.assert_close(single.log_partition().double(), chain.log_partition(), rtol=1e-6, atol=0)
