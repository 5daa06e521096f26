import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.matching import Collar, Exact, IoU, Overlap, candidates, match
from moola_eval.spans import Spans

CRITERIA = [
    IoU(0.1),
    IoU(0.3),
    IoU(0.5),
    IoU(0.75),
    Exact(),
    Collar(1, 1),
    Collar(3, None),
    Collar(0, 1, 0.5),
    Overlap(),
]


def brute(true, pred, criterion, labels):
    """Largest number of pairs and, among those, the largest total IoU, by trying everything."""
    best = (0, 0.0)
    t, p = range(len(true)), range(len(pred))

    def allowed(i, j):
        a, b = true[i], pred[j]
        if labels == "strict" and a[2] != b[2]:
            return None
        common = max(0, min(a[1], b[1]) - max(a[0], b[0]) + 1)
        size_a, size_b = a[1] - a[0] + 1, b[1] - b[0] + 1
        iou = common / (size_a + size_b - common)
        ok = {
            IoU: lambda c: iou >= c.threshold,
            Exact: lambda c: a[:2] == b[:2],
            Overlap: lambda c: common > 0,
            Collar: lambda c: (
                abs(a[0] - b[0]) <= c.onset
                and (c.offset is None or abs(a[1] - b[1]) <= max(c.offset, c.offset_fraction * size_a))
            ),
        }[type(criterion)](criterion)
        return iou if ok else None

    table = {(i, j): allowed(i, j) for i in t for j in p}
    edges = [e for e, iou in table.items() if iou is not None]
    for k in range(1, min(len(true), len(pred)) + 1):
        for chosen in itertools.combinations(edges, k):
            if len({i for i, _ in chosen}) == k == len({j for _, j in chosen}):
                best = max(best, (k, sum(table[e] for e in chosen)))
    return best


span = st.tuples(st.integers(0, 14), st.integers(0, 6), st.integers(0, 1))


def disjoint(rng, length=24):
    out, t = [], 0
    while True:
        t += int(rng.integers(0, 4))
        size = int(rng.integers(1, 7))
        if t + size > length:
            return out
        out.append((t, t + size - 1, int(rng.integers(0, 2))))
        t += size


def check(true, pred, criterion, labels):
    got = match(
        Spans.from_lists([true], lengths=[30]),
        Spans.from_lists([pred], lengths=[30]),
        criterion=criterion,
        labels=labels,
    )
    count, total = brute(true, pred, criterion, labels)
    assert len(got) == count
    assert got.iou.sum() == pytest.approx(total, abs=1e-9)
    assert len(set(got.true_index)) == len(set(got.pred_index)) == count


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
@pytest.mark.parametrize("labels", ["strict", "ignored"])
def test_matching_of_disjoint_spans_equals_brute_force(criterion, labels):
    rng = np.random.default_rng(7)
    for _ in range(120):
        check(disjoint(rng), disjoint(rng), criterion, labels)


@given(
    st.lists(span, max_size=4),
    st.lists(span, max_size=4),
    st.sampled_from(CRITERIA),
    st.sampled_from(["strict", "ignored"]),
)
@settings(deadline=None, max_examples=200)
def test_matching_of_overlapping_and_repeated_spans_equals_brute_force(true, pred, criterion, labels):
    check([(s, s + d, c) for s, d, c in true], [(s, s + d, c) for s, d, c in pred], criterion, labels)


def test_a_batch_matches_as_its_sequences_do_alone():
    rng = np.random.default_rng(1)
    rows = [(disjoint(rng), disjoint(rng)) for _ in range(30)]
    lengths = [24 + i % 3 for i in range(30)]
    true = Spans.from_lists([t for t, _ in rows], lengths=lengths)
    pred = Spans.from_lists([p for _, p in rows], lengths=lengths)
    for criterion in CRITERIA:
        whole = match(true, pred, criterion=criterion)
        alone = [match(true.take([i]), pred.take([i]), criterion=criterion) for i in range(len(rows))]
        assert whole.per_sequence.tolist() == [len(m) for m in alone]
        assert np.array_equal(whole.iou, np.concatenate([m.iou for m in alone]))


def test_a_long_chain_of_touching_spans_is_matched_in_full():
    n = 20_000
    first = np.arange(n) * 10
    zero = np.zeros(n, dtype=np.int64)
    true = Spans.of(zero, first, first + 9, lengths=[10 * n + 10])
    pred = Spans.of(zero, first + 5, first + 14, lengths=[10 * n + 10])
    assert len(match(true, pred, criterion=IoU(0.3))) == n


def test_iou_of_exactly_half_matches():
    true = Spans.from_lists([[(40, 49)]], lengths=[105])
    pred = Spans.from_lists([[(40, 44), (45, 49)]], lengths=[105])
    pairs = match(true, pred)
    assert len(pairs) == 1
    assert pairs.pred_index.tolist() == [0]  # of two equals the earlier


def test_optimal_finds_two_pairs_where_greedy_finds_one():
    true = Spans.from_lists([[(0, 9), (10, 13)]], lengths=[30])
    pred = Spans.from_lists([[(0, 3), (4, 13)]], lengths=[30])
    assert len(match(true, pred, criterion=IoU(0.25))) == 2
    assert len(match(true, pred, criterion=IoU(0.25), method="greedy_iou")) == 1


def test_greedy_by_score_lets_the_surest_prediction_choose_first():
    true = Spans.from_lists([[(0, 9)]], lengths=[30])
    pred = Spans.from_lists([[(0, 9, 0, 0.1), (0, 7, 0, 0.9)]], lengths=[30])
    assert match(true, pred, method="greedy_score").iou.tolist() == [0.8]
    assert match(true, pred, method="greedy_iou").iou.tolist() == [1.0]


def test_greedy_by_score_without_scores_is_refused():
    spans = Spans.from_lists([[(0, 9)]], lengths=[30])
    with pytest.raises(ValueError, match="pred: want spans with scores"):
        match(spans, spans, method="greedy_score")


def test_sides_with_other_sequences_are_refused():
    with pytest.raises(ValueError, match="pred: want the 1 sequences of the truth"):
        candidates(Spans.from_lists([[]], lengths=[30]), Spans.from_lists([[]], lengths=[31]))


def test_errors_are_predicted_minus_true():
    pairs = match(Spans.from_lists([[(10, 19)]], lengths=[30]), Spans.from_lists([[(12, 18)]], lengths=[30]))
    assert (pairs.onset_error.tolist(), pairs.offset_error.tolist()) == ([2], [-1])


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.1, float("nan")])
def test_an_impossible_iou_is_refused(bad):
    with pytest.raises(ValueError, match="threshold: want a number in"):
        IoU(bad)
