import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_models import expected_f1
from moola_models.candidates import best_marks, sample_marks
from moola_models.chain import Chain
from moola_models.expected_f1 import choose_for_f1, decode_for_f1, match_counts, mean_matches
from moola_models.segment import Segment
from moola_models.semi_markov import SemiMarkov


def spans_of(marks):
    """(first, last + 1) of each run."""
    found, k = [], 0
    for mark, run in itertools.groupby(marks):
        n = len(list(run))
        if mark:
            found.append((k, k + n))
        k += n
    return found


def matches(one, other, iou):
    """Largest number of one-to-one pairs, by trying all of them."""
    one, other = spans_of(one), spans_of(other)
    if len(one) > len(other):
        one, other = other, one

    def overlap(p, t):
        shared = len(set(range(*p)) & set(range(*t)))
        return shared >= iou * len(set(range(*p)) | set(range(*t)))

    tries = itertools.permutations(other, len(one))
    return max((sum(map(overlap, one, chosen)) for chosen in tries), default=0)


def f1(one, other, iou):
    both = len(spans_of(one)) + len(spans_of(other))
    return 2 * matches(one, other, iou) / both if both else 1.0


marks_of_8 = st.lists(st.booleans(), min_size=8, max_size=8)


@settings(deadline=None, max_examples=150)
@given(one=marks_of_8, other=marks_of_8, iou=st.sampled_from([0.5, 0.6, 1.0]))
def test_counts_are_those_of_the_best_matching(one, other, iou):
    found = match_counts(torch.tensor([[one]]), torch.tensor([[other]]), iou=iou)
    assert found.item() == matches(one, other, iou)


@settings(deadline=None, max_examples=40)
@given(
    candidates=st.lists(st.lists(marks_of_8, min_size=3, max_size=3), min_size=2, max_size=2),
    drawn=st.lists(st.lists(marks_of_8, min_size=4, max_size=4), min_size=2, max_size=2),
    iou=st.sampled_from([0.5, 0.6, 1.0]),
    pairs=st.sampled_from([1, 9, 4_000_000]),
)
def test_mean_matches_are_the_means_of_the_counts_whatever_the_pieces(candidates, drawn, iou, pairs):
    first, second = torch.tensor(candidates), torch.tensor(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expected_f1, "PAIRS", pairs)
        found = mean_matches(first, second, iou=iou)
    assert torch.equal(found, match_counts(first, second, iou=iou).mean(2))


@settings(deadline=None, max_examples=40)
@given(
    candidates=st.lists(marks_of_8, min_size=1, max_size=6),
    drawn=st.lists(marks_of_8, min_size=1, max_size=6),
)
def test_the_choice_is_that_of_brute_force(candidates, drawn):
    found = choose_for_f1(torch.tensor([candidates]), torch.tensor([drawn]))
    values = [sum(f1(c, d, 0.5) for d in drawn) / len(drawn) for c in candidates]
    assert found.expected.item() == pytest.approx(max(values), abs=1e-12)
    assert (
        found.marks[0].tolist() == candidates[next(i for i, v in enumerate(values) if v > max(values) - 1e-9)]
    )


@settings(deadline=None, max_examples=40)
@given(
    candidates=st.lists(st.lists(marks_of_8, min_size=3, max_size=3), min_size=2, max_size=2),
    drawn=st.lists(st.lists(marks_of_8, min_size=4, max_size=4), min_size=2, max_size=2),
)
def test_the_pooled_choice_is_that_of_brute_force(candidates, drawn):
    def pooled(choice):
        top = bottom = 0
        for chosen, truths in zip(choice, drawn, strict=True):
            top += sum(2 * matches(chosen, truth, 0.5) for truth in truths)
            bottom += sum(len(spans_of(chosen)) + len(spans_of(truth)) for truth in truths)
        return top / bottom if bottom else 0.0

    found = choose_for_f1(torch.tensor(candidates), torch.tensor(drawn), average="pooled")
    best = max(pooled(choice) for choice in itertools.product(*candidates))
    assert pooled(found.marks.tolist()) == pytest.approx(best, abs=1e-9)


def test_a_pooled_choice_is_not_held_at_nothing_by_empty_first_candidates():
    nothing, span = [False] * 6, [False, True, True, True, False, False]
    candidates, drawn = torch.tensor([[nothing, span]] * 2), torch.tensor([[nothing, span, span]] * 2)
    found = choose_for_f1(candidates, drawn, average="pooled")
    assert found.marks.tolist() == [span, span]
    assert choose_for_f1(candidates, drawn).marks.tolist() == [span, span]


def random_distribution(kind, *, seed, B=4, K=20):
    draw = torch.Generator().manual_seed(seed)
    start, end, inside = (torch.randn(B, K, generator=draw) for _ in range(3))
    lengths = torch.tensor([K, K - 1, 5, 1])
    if kind == "chain":
        pairs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        return Chain(torch.stack([start, end], 2), torch.zeros(2), pairs, torch.zeros(2), lengths)
    if kind == "segment":
        return Segment(start, end, inside, torch.tensor(1.0), lengths)
    return SemiMarkov(start - 2, end, inside, torch.zeros(5), torch.tensor(-0.5), lengths)


@pytest.mark.parametrize("kind", ["chain", "segment", "semi-markov"])
@pytest.mark.parametrize("k_best", [1, 6])
def test_the_decision_promises_no_less_than_the_most_probable_outcome(kind, k_best):
    for seed in range(5):
        distribution = random_distribution(kind, seed=seed)
        draw = lambda: torch.Generator().manual_seed(9)  # noqa: E731
        found = decode_for_f1(distribution, generator=draw(), samples=30, k_best=k_best)
        judged_by = sample_marks(distribution, 30, generator=draw())
        best = choose_for_f1(best_marks(distribution)[:, None], judged_by)
        assert (found.expected >= best.expected).all()


def test_where_the_most_probable_outcome_stands_alone_another_is_chosen():
    """No span has .3, but seven spans that all match each other have .1 each."""
    empty = torch.zeros(8, dtype=torch.bool)
    near = torch.stack([empty.clone() for _ in range(7)])
    for i, row in enumerate(near):
        row[1 : 6 + i % 2] = True
    drawn = torch.cat([empty.expand(3, 8), near])[None]
    found = choose_for_f1(drawn, drawn)
    assert found.marks.any()
    assert found.expected.item() == pytest.approx(0.7)


def test_one_outcome_is_decided_with_certainty():
    segment = Segment(*(torch.zeros(1, 5) for _ in range(3)), torch.tensor(100.0))
    found = decode_for_f1(segment, generator=torch.Generator(), samples=5)
    assert not found.marks.any()
    assert found.expected.item() == 1


@pytest.mark.parametrize("iou", [0.4, 1.1])
def test_an_overlap_that_does_not_single_out_a_match_is_refused(iou):
    marks = torch.ones(1, 1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"iou: want a number in 0\.5\.\.1"):
        match_counts(marks, marks, iou=iou)


@pytest.mark.parametrize(
    "changes", [{"samples": 0}, {"k_best": 0}, {"k_best": -3}, {"average": "mean"}, {"iou": float("nan")}]
)
def test_settings_of_the_decision_are_refused_by_name(changes):
    segment = Segment(*(torch.zeros(1, 5) for _ in range(3)), torch.tensor(0.0))
    with pytest.raises(ValueError, match=f"^{next(iter(changes))}: want"):
        decode_for_f1(segment, generator=torch.Generator(), **changes)
