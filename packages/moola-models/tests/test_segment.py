import math
from collections import Counter

import pytest
import torch

from moola_models.segment import Segment

INF = float("inf")


def random_segment(B, K, *, seed=0, lengths=None, empty=0.3):
    generator = torch.Generator().manual_seed(seed)
    start, end, inside = (torch.randn(B, K, generator=generator, dtype=torch.float64) for _ in range(3))
    return Segment(
        start,
        end,
        inside,
        torch.tensor(empty, dtype=torch.float64),
        None if lengths is None else torch.tensor(lengths),
    )


def outcomes(segment, b):
    """Every span of window b with its score, by definition."""
    K = segment.start.shape[1] if segment.lengths is None else int(segment.lengths[b])
    found = {(-1, -1): segment.empty.item()}
    for s in range(K):
        for e in range(s, K):
            score = segment.start[b, s] + segment.end[b, e] + segment.inside[b, s : e + 1].sum()
            found[s, e] = score.item()
    return found


def log_total(found):
    return math.log(sum(math.exp(score) for score in found.values()))


def windows(K):
    return random_segment(3, K, seed=K, lengths=[K, max(1, K - 2), 1])


@pytest.mark.parametrize("K", range(1, 9))
def test_partition_is_the_sum_over_all_spans_and_none(K):
    segment = windows(K)
    wanted = [log_total(outcomes(segment, b)) for b in range(3)]
    assert segment.log_partition().tolist() == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("K", range(1, 9))
def test_likelihoods_are_those_of_the_table(K):
    segment = windows(K)
    for b in range(3):
        found = outcomes(segment, b)
        for (s, e), score in found.items():
            start, end = torch.full((3,), s), torch.full((3,), e)
            assert segment.log_prob(start, end)[b].item() == pytest.approx(
                score - log_total(found), abs=1e-10
            )


@pytest.mark.parametrize("K", range(1, 9))
def test_marginals_are_the_summed_probabilities_of_covering_spans(K):
    segment = windows(K)
    for b in range(3):
        found = outcomes(segment, b)
        for k in range(int(segment.lengths[b])):
            wanted = sum(math.exp(v - log_total(found)) for (s, e), v in found.items() if s <= k <= e)
            assert segment.log_marginals()[b, k].exp().item() == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("K", range(1, 9))
def test_k_best_are_the_best_of_the_table(K):
    segment = windows(K)
    best = segment.k_best(50)
    for b in range(3):
        wanted = sorted(((v, span) for span, v in outcomes(segment, b).items()), reverse=True)[:50]
        n = len(wanted)
        assert best.score[b, :n].tolist() == pytest.approx([v for v, _ in wanted], abs=1e-10)
        pairs = list(zip(best.start[b, :n].tolist(), best.end[b, :n].tolist(), strict=True))
        assert pairs == [span for _, span in wanted]
        assert (best.score[b, n:] == -INF).all()


@pytest.mark.parametrize("K", range(1, 9))
def test_samples_have_the_tables_frequencies(K):
    segment = random_segment(2, K, lengths=[K, max(1, K - 1)])
    n = 20_000
    drawn = segment.sample(n, generator=torch.Generator().manual_seed(2))
    for b in range(2):
        found = outcomes(segment, b)
        counts = Counter(zip(drawn.start[b].tolist(), drawn.end[b].tolist(), strict=True))
        assert set(counts) <= set(found)
        for span, score in found.items():
            p = math.exp(score - log_total(found))
            assert abs(counts[span] / n - p) <= 5 * (p * (1 - p) / n) ** 0.5 + 2 / n, span


def marks(*rows):
    return torch.tensor([[c == "x" for c in row] for row in rows])


def test_marks_of_one_run_are_that_span_and_no_marks_are_none():
    segment = random_segment(3, 6)
    wanted = segment.log_prob(torch.tensor([2, 0, -1]), torch.tensor([3, 5, -1]))
    torch.testing.assert_close(segment.log_prob_of_marks(marks("..xx..", "xxxxxx", "......")), wanted)


def test_marks_of_several_runs_are_any_one_of_them():
    segment = random_segment(1, 6)
    one = segment.log_prob(torch.tensor([0]), torch.tensor([1])).exp()
    other = segment.log_prob(torch.tensor([4]), torch.tensor([4])).exp()
    torch.testing.assert_close(segment.log_prob_of_marks(marks("xx..x.")).exp(), one + other)


def test_marks_on_padding_do_not_count():
    segment = random_segment(1, 6, lengths=[3])
    torch.testing.assert_close(
        segment.log_prob_of_marks(marks(".xxx.x")), segment.log_prob(torch.tensor([1]), torch.tensor([2]))
    )


def test_without_an_empty_outcome_there_is_always_a_span():
    segment = random_segment(2, 5, empty=-INF)
    spans = [(s, e) for s in range(5) for e in range(s, 5)]
    total = sum(segment.log_prob(torch.full((2,), s), torch.full((2,), e)).exp() for s, e in spans)
    torch.testing.assert_close(total, torch.ones(2, dtype=torch.float64))


def test_gradients_pass_gradcheck():
    segment = random_segment(3, 6, lengths=[6, 4, 1])
    parts = [part.requires_grad_() for part in (segment.start, segment.end, segment.inside, segment.empty)]
    target = marks(".xx...", "......", "x.....")
    assert torch.autograd.gradcheck(lambda *p: Segment(*p, segment.lengths).log_prob_of_marks(target), parts)
    whole = lambda *p: Segment(*p).log_marginals()  # noqa: E731
    assert torch.autograd.gradcheck(whole, parts)


def test_counts_below_one_are_refused():
    with pytest.raises(ValueError, match="k: want 1 or more, got 0"):
        random_segment(1, 3).k_best(0)
    with pytest.raises(ValueError, match="n: want 1 or more, got 0"):
        random_segment(1, 3).sample(0, generator=torch.Generator())
