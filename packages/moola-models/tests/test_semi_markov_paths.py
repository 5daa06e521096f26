import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_models.chain_paths import k_best_paths
from moola_models.semi_markov import SemiMarkov
from moola_models.semi_markov_paths import best_spans, k_best_spans, sample_spans

INF = float("inf")


def random_spans(B, K, *, D=3, seed=0, lengths=None, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    start, end, inside = (torch.randn(B, K, generator=generator, dtype=torch.float64) for _ in range(3))
    duration = torch.randn(D, generator=generator, dtype=torch.float64)
    tail = torch.tensor(-0.4, dtype=torch.float64)
    lengths = None if lengths is None else torch.tensor(lengths)
    return SemiMarkov(scale * start, scale * end, scale * inside, duration, tail, lengths)


def scored(spans, b):
    """All marks of window b with their scores, by definition."""
    K = spans.inside.shape[1] if spans.lengths is None else int(spans.lengths[b])
    D = len(spans.duration)
    for marks in itertools.product((0, 1), repeat=K):
        score, k = 0.0, 0
        for mark, run in itertools.groupby(marks):
            d = len(list(run))
            if mark:
                score += (
                    spans.start[b, k] + spans.end[b, k + d - 1] + spans.inside[b, k : k + d].sum()
                ).item()
                score += (spans.duration[min(d, D) - 1] + spans.tail * max(d - D, 0)).item()
            k += d
        yield score, (*map(bool, marks), *[False] * (spans.inside.shape[1] - K))


@pytest.mark.parametrize("D", [2, 3, 10])
@pytest.mark.parametrize("K", range(1, 9))
def test_the_best_spans_are_the_best_of_all(K, D):
    spans = random_spans(3, K, D=D, seed=K, lengths=[K, max(1, K - 3), 1])
    found = best_spans(spans)
    for b in range(3):
        assert tuple(found[b].tolist()) == max(scored(spans, b))[1]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), K=st.integers(1, 30), D=st.integers(2, 8), scale=st.sampled_from([0.3, 3.0]))
def test_the_best_spans_are_those_of_the_expanded_chain(seed, K, D, scale):
    spans = random_spans(3, K, D=D, seed=seed, lengths=[K, max(1, K - 4), 1], scale=scale)
    wanted = k_best_paths(spans.chain(), 1)
    # Sets of equal score may differ; their scores may not.
    torch.testing.assert_close(spans.score(best_spans(spans)), wanted.score[:, 0])


@pytest.mark.parametrize("K", [1, 4, 7])
def test_the_k_best_spans_are_the_best_of_all(K):
    spans = random_spans(2, K, seed=K, lengths=[K, max(1, K - 2)])
    found = k_best_spans(spans, 6)
    for b in range(2):
        wanted = sorted(scored(spans, b), reverse=True)[:6]
        n = len(wanted)
        assert found.score[b, :n].tolist() == pytest.approx([score for score, _ in wanted], abs=1e-10)
        assert [tuple(marks) for marks in found.marks[b, :n].tolist()] == [marks for _, marks in wanted]
        assert (found.score[b, n:] == -INF).all()


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999),
    K=st.integers(1, 30),
    D=st.integers(2, 8),
    k=st.integers(1, 9),
    scale=st.sampled_from([0.3, 3.0]),
)
def test_the_k_best_spans_are_those_of_the_expanded_chain(seed, K, D, k, scale):
    spans = random_spans(3, K, D=D, seed=seed, lengths=[K, max(1, K - 4), 1], scale=scale)
    wanted, found = k_best_paths(spans.chain(), k), k_best_spans(spans, k)
    torch.testing.assert_close(found.score, wanted.score)
    for n in range(k):  # that they are what was scored, and no two the same
        there = found.score[:, n] > -INF
        torch.testing.assert_close(spans.score(found.marks[:, n])[there], found.score[there, n])
        assert not found.marks[~there, n].any()
    for b in range(3):
        there = found.marks[b, found.score[b] > -INF]
        assert len(there.unique(dim=0)) == len(there)


@pytest.mark.parametrize("D", [2, 4])
@pytest.mark.parametrize("K", range(1, 9))
def test_samples_have_the_distributions_frequencies(K, D):
    spans = random_spans(2, K, D=D, seed=D, lengths=[K, max(1, K - 2)])
    n = 20_000
    drawn = sample_spans(spans, n, generator=torch.Generator().manual_seed(1))
    for b in range(2):
        total = spans.log_partition()[b].item()
        rows, count = drawn[b].unique(dim=0, return_counts=True)
        counts = dict(zip(map(tuple, rows.tolist()), count.tolist(), strict=True))
        wanted = {marks: torch.tensor(score - total).exp().item() for score, marks in scored(spans, b)}
        assert set(counts) <= set(wanted)
        for marks, p in wanted.items():
            assert abs(counts.get(marks, 0) / n - p) <= 5 * (p * (1 - p) / n) ** 0.5 + 2 / n, marks


def test_samples_of_long_spans_have_their_marginals():
    """Almost every span here is longer than the free durations."""
    spans = random_spans(1, 40, D=3)
    spans = SemiMarkov(spans.start, spans.end, spans.inside + 0.6, spans.duration - 2, spans.tail)
    n = 4000
    drawn = sample_spans(spans, n, generator=torch.Generator().manual_seed(2))
    p = 1 - spans.log_outside().exp()[0]
    assert ((drawn[0].double().mean(0) - p).abs() <= 5 * (p * (1 - p) / n).sqrt() + 1e-9).all()


def test_samples_follow_their_generator():
    spans = random_spans(2, 9)
    before = torch.get_rng_state()
    one, same = (sample_spans(spans, 4, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, same)
    assert torch.equal(before, torch.get_rng_state())


def test_spans_of_any_length_are_found_and_drawn_whole():
    """Twenty free durations, a span of sixty bars: the geometric tail carries it."""
    inside = torch.full((1, 100), -20.0)
    inside[0, 20:80] = 20.0
    zero = torch.zeros(1, 100)
    spans = SemiMarkov(zero, zero, inside, torch.zeros(20), torch.tensor(-0.5))
    wanted = [list(range(20, 80))]
    drawn = sample_spans(spans, 1, generator=torch.Generator().manual_seed(0))[:, 0]
    for marks in (best_spans(spans), drawn):
        assert [row.nonzero().squeeze(1).tolist() for row in marks] == wanted


def test_counts_below_one_are_refused():
    spans = random_spans(1, 3)
    with pytest.raises(ValueError, match="k: want 1 or more, got 0"):
        k_best_spans(spans, 0)
    with pytest.raises(ValueError, match="n: want 1 or more, got 0"):
        sample_spans(spans, 0, generator=torch.Generator())
