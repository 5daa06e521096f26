import itertools

import pytest
import torch

from moola_models.chain import Chain
from moola_models.chain_paths import best_path, k_best_paths, sample_paths

INF = float("inf")


def random_chain(B, K, T, *, seed=0, lengths=None, forbidden=False):
    generator = torch.Generator().manual_seed(seed)
    start, transitions, end, emissions = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((T,), (T, T), (T,), (B, K, T))
    )
    if forbidden:
        transitions[0, T - 1] = start[T - 1] = -INF
    return Chain(
        emissions, start, transitions, end, None if lengths is None else torch.tensor(lengths), forbidden
    )


def ranked(chain, b):
    """All possible tag sequences of window b, best first, scored one by one."""
    K = chain.emissions.shape[1]
    length = K if chain.lengths is None else int(chain.lengths[b])
    found = []
    for tags in itertools.product(range(chain.emissions.shape[2]), repeat=length):
        score = chain.start[tags[0]] + chain.end[tags[-1]]
        score = score + sum(chain.emissions[b, k, t] for k, t in enumerate(tags))
        score = score + sum((chain.transitions[i, j] for i, j in itertools.pairwise(tags)), torch.zeros(()))
        if score > -INF:
            found.append((score.item(), (*tags, *[0] * (K - length))))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("K", range(1, 9))
def test_k_best_paths_are_the_best_of_all(K, forbidden):
    lengths = [K, max(1, K - 3)]
    chain = random_chain(2, K, 2 if K > 6 else 3, seed=K, lengths=lengths, forbidden=forbidden)
    paths = k_best_paths(chain, 5)
    for b in range(2):
        wanted = ranked(chain, b)[:5]
        n = len(wanted)
        assert paths.score[b, :n].tolist() == pytest.approx([score for score, _ in wanted], abs=1e-10)
        assert [tuple(tags) for tags in paths.tags[b, :n].tolist()] == [tags for _, tags in wanted]
        assert (paths.score[b, n:] == -INF).all()


def test_the_best_path_is_the_first_of_the_k_best():
    chain = random_chain(3, 20, 3, lengths=[20, 7, 1], forbidden=True)
    assert torch.equal(best_path(chain), k_best_paths(chain, 4).tags[:, 0])


def test_scores_of_paths_are_the_chains():
    chain = random_chain(3, 20, 3, lengths=[20, 7, 1])
    paths = k_best_paths(chain, 2)
    torch.testing.assert_close(chain.score(paths.tags[:, 1]), paths.score[:, 1])


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("K", range(1, 9))
def test_samples_have_the_chains_frequencies(K, forbidden):
    lengths = [K, max(1, K - 1)]
    chain = random_chain(2, K, 2, lengths=lengths, forbidden=forbidden)
    n = 20_000
    samples = sample_paths(chain, n, generator=torch.Generator().manual_seed(1))
    for b in range(2):
        total = chain.log_partition()[b].item()
        rows, count = samples[b].unique(dim=0, return_counts=True)
        counts = dict(zip(map(tuple, rows.tolist()), count.tolist(), strict=True))
        wanted = {tags: torch.tensor(score - total).exp().item() for score, tags in ranked(chain, b)}
        assert set(counts) <= set(wanted)
        for tags, p in wanted.items():
            assert abs(counts.get(tags, 0) / n - p) <= 5 * (p * (1 - p) / n) ** 0.5 + 2 / n, tags


def test_samples_follow_their_generator():
    chain = random_chain(2, 9, 3)
    before = torch.get_rng_state()
    one, same = (sample_paths(chain, 4, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, same)
    assert torch.equal(before, torch.get_rng_state())


def test_counts_below_one_are_refused():
    chain = random_chain(1, 3, 2)
    with pytest.raises(ValueError, match="k: want 1 or more, got 0"):
        k_best_paths(chain, 0)
    with pytest.raises(ValueError, match="n: want 1 or more, got 0"):
        sample_paths(chain, 0, generator=torch.Generator())
