import itertools

import pytest
import torch

from moola_models.chain_paths import best_path, k_best_paths
from moola_models.semi_markov import SemiMarkov


def random_spans(B, K, *, D=3, seed=0, lengths=None):
    generator = torch.Generator().manual_seed(seed)
    start, end, inside = (torch.randn(B, K, generator=generator, dtype=torch.float64) for _ in range(3))
    duration = torch.randn(D, generator=generator, dtype=torch.float64)
    tail = torch.tensor(-0.4, dtype=torch.float64)
    return SemiMarkov(start, end, inside, duration, tail, None if lengths is None else torch.tensor(lengths))


def runs(marks):
    """(first, last) of each run of 1."""
    edges = [k for k in range(len(marks) + 1) if (*marks, 0)[k] != (0, *marks)[k]]
    return [(s, e - 1) for s, e in zip(edges[::2], edges[1::2], strict=True)]


def outcomes(spans, b):
    """All marks of window b as (marks, score), by definition."""
    K = spans.inside.shape[1] if spans.lengths is None else int(spans.lengths[b])
    D = len(spans.duration)
    for marks in itertools.product((0, 1), repeat=K):
        score = torch.zeros((), dtype=torch.float64)
        for s, e in runs(marks):
            d = e - s + 1
            score = score + spans.start[b, s] + spans.end[b, e] + spans.inside[b, s : e + 1].sum()
            score = score + spans.duration[min(d, D) - 1] + spans.tail * max(d - D, 0)
        yield marks, score


def windows(K, D=3):
    return random_spans(2, K, D=D, seed=K, lengths=[K, max(1, K - 3)])


@pytest.mark.parametrize("D", [2, 3, 10])
@pytest.mark.parametrize("K", range(1, 9))
def test_partition_is_the_sum_over_all_sets_of_spans(K, D):
    spans = windows(K, D)
    wanted = [torch.stack([v for _, v in outcomes(spans, b)]).logsumexp(0).item() for b in range(2)]
    assert spans.log_partition().tolist() == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("K", range(1, 9))
def test_scores_of_marks_are_those_of_their_spans(K):
    spans = windows(K)
    for b in range(2):
        for marks, wanted in outcomes(spans, b):
            padded = torch.tensor([(*marks, *[1] * (K - len(marks)))] * 2).bool()
            assert spans.score(padded)[b].item() == pytest.approx(wanted.item(), abs=1e-10)


@pytest.mark.parametrize("D", [2, 3, 10])
@pytest.mark.parametrize("K", range(1, 9))
def test_marginals_are_the_summed_probabilities(K, D):
    spans = windows(K, D)
    for b in range(2):
        found = list(outcomes(spans, b))
        probability = torch.stack([v for _, v in found]).softmax(0)
        wanted = (probability[:, None] * (1 - torch.tensor([m for m, _ in found]).double())).sum(0)
        torch.testing.assert_close(spans.log_outside()[b, : len(wanted)].exp(), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("D", [2, 3, 10])
@pytest.mark.parametrize("K", range(1, 9))
def test_the_expanded_chain_is_the_same_distribution(K, D):
    spans = windows(K, D)
    torch.testing.assert_close(spans.chain().log_partition(), spans.log_partition(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("K", range(1, 9))
def test_the_chains_k_best_are_the_best_sets_of_spans(K):
    spans = windows(K)
    paths = k_best_paths(spans.chain(), 4)
    for b in range(2):
        wanted = sorted(((v.item(), m) for m, v in outcomes(spans, b)), reverse=True)[:4]
        n = len(wanted)
        assert paths.score[b, :n].tolist() == pytest.approx([v for v, _ in wanted], abs=1e-10)
        found = (paths.tags[b, :n, : len(wanted[0][1])] > 1).int().tolist()
        assert [tuple(m) for m in found] == [m for _, m in wanted]


def test_spans_longer_than_the_free_durations_are_found_whole():
    K = 40
    inside = torch.full((1, K), -8.0)
    inside[0, 5:35] = 8.0
    zero = torch.zeros(1, K)
    spans = SemiMarkov(zero, zero, inside, torch.zeros(3), torch.tensor(0.0))
    found = best_path(spans.chain())[0] > 1
    assert found.nonzero().squeeze(1).tolist() == list(range(5, 35))
    assert spans.log_prob(found[None]).item() > -0.1


def test_gradients_pass_gradcheck():
    spans = random_spans(2, 6, lengths=[6, 4])
    parts = [p.requires_grad_() for p in (spans.start, spans.end, spans.inside, spans.duration, spans.tail)]
    target = torch.tensor([[0, 1, 1, 1, 1, 0], [1, 0, 0, 1, 0, 0]]).bool()
    assert torch.autograd.gradcheck(lambda *p: SemiMarkov(*p, spans.lengths).log_prob(target), parts)
    assert torch.autograd.gradcheck(lambda *p: SemiMarkov(*p).log_outside(), parts)


def test_a_prior_of_less_than_two_durations_is_refused():
    with pytest.raises(ValueError, match=r"duration: want shape \(D,\) with D of 2 or more, got \(1,\)"):
        random_spans(1, 4, D=1)
