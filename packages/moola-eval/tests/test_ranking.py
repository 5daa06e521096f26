import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.average_precision import average_precision, mean_average_precision
from moola_eval.bootstrap import interval
from moola_eval.ranking import bar_auroc, bar_average_precision
from moola_eval.spans import Spans

items = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25)


@given(items)
@settings(deadline=None, max_examples=100)
def test_auroc_is_the_share_of_pairs_in_the_right_order(rows):
    p, y = np.array([[r[0] / 6 for r in rows]]), np.array([[r[1] for r in rows]])
    pos, neg = p[y], p[~y]
    won = [(a > b) + 0.5 * (a == b) for a in pos for b in neg]
    assert np.isclose(bar_auroc(p, y).value, np.mean(won) if won else np.nan, equal_nan=True)


@given(items)
@settings(deadline=None, max_examples=100)
def test_average_precision_adds_up_steps_of_recall(rows):
    p, y = np.array([[r[0] / 6 for r in rows]]), np.array([[r[1] for r in rows]])
    total = before = 0.0
    for at in np.unique(p)[::-1]:
        recall = y[p >= at].sum() / max(1, y.sum())
        total += (recall - before) * y[p >= at].mean()
        before = recall
    found = bar_average_precision(p, y).value
    assert np.isclose(found, total if y.any() else np.nan, equal_nan=True)


def test_known_ranking_with_a_tie():
    y = np.array([[1, 0, 1, 1, 0, 0, 1, 0]], dtype=bool)
    p = np.array([[0.9, 0.8, 0.7, 0.7, 0.6, 0.5, 0.5, 0.1]])
    assert bar_average_precision(p, y).value == pytest.approx(0.767857, abs=1e-6)


def test_101_recalls_differ_from_all_points():
    true = Spans.from_lists([[(0, 9), (20, 29), (40, 49)]], lengths=[105])
    rows = [(0, 9, 0, 0.9), (60, 69, 0, 0.8), (20, 29, 0, 0.7), (80, 89, 0, 0.6), (40, 49, 0, 0.5)]
    pred = Spans.from_lists([rows], lengths=[105])
    assert average_precision(true, pred).value == pytest.approx(0.755556, abs=1e-6)
    assert average_precision(true, pred, interpolation="coco101").value == pytest.approx(0.756436, abs=1e-6)


span = st.tuples(st.integers(0, 14), st.integers(1, 6), st.integers(0, 1), st.integers(0, 3)).map(
    lambda s: (s[0], s[0] + s[1], s[2], s[3] / 3)
)
side = st.lists(st.lists(span, min_size=1, max_size=5), min_size=3, max_size=3)


@given(side, side, st.permutations(range(3)), st.sampled_from(["next_best", "best_only"]))
@settings(deadline=None, max_examples=80)
def test_order_of_sequences_does_not_matter_even_with_ties(a, b, order, assign):
    def value(rows):
        true, pred = (Spans.from_lists([side[i][::-1] for i in rows], lengths=[25] * 3) for side in (a, b))
        return [
            average_precision(true, pred, assign=assign, interpolation=i).value
            for i in ("all", "none", "coco101")
        ]

    found = value(range(3))
    assert found == pytest.approx(value(order), abs=1e-12)
    assert all(0 <= v <= 1 for v in found)


def test_a_second_prediction_may_take_the_second_best_truth_unless_only_the_best_counts():
    true = Spans.from_lists([[(0, 9), (10, 19)]], lengths=[105])
    pred = Spans.from_lists([[(0, 9, 0, 0.9), (3, 13, 0, 0.8)]], lengths=[105])
    assert average_precision(true, pred, iou=0.2).value == 1.0
    assert average_precision(true, pred, iou=0.2, assign="best_only").value == 0.5


def test_mean_over_labels_counts_a_missed_label_as_zero():
    true = Spans.from_lists([[(0, 9, 0), (20, 29, 1)]], lengths=[105])
    pred = Spans.from_lists([[(0, 9, 0, 0.9)]], lengths=[105])
    found = mean_average_precision(true, pred, iou=(0.5, 0.7))
    assert (found.value, found.counts["n_metrics"]) == (0.5, 4)


def test_without_truth_it_is_undefined_and_without_scores_refused():
    nothing = Spans.from_lists([[]], lengths=[30])
    one = Spans.from_lists([[(3, 5, 0, 0.5)]], lengths=[30])
    assert np.isnan(average_precision(nothing, one).value)
    with pytest.raises(ValueError, match="pred: want spans with scores, got none"):
        average_precision(one, Spans.from_lists([[(3, 5)]], lengths=[30]))
    with pytest.raises(ValueError, match="true: want at least one span"):
        mean_average_precision(nothing, one)


def test_weighting_a_sequence_twice_equals_repeating_it():
    rng = np.random.default_rng(0)
    p, y = rng.integers(0, 9, (6, 10)) / 9, rng.random((6, 10)) < 0.4
    times = np.array([2, 0, 1, 3, 1, 1])
    rows = np.repeat(np.arange(6), times)
    for metric in (bar_auroc, bar_average_precision):
        found = metric(p, y).weighted(np.arange(6), 6)(times[None].astype(float))[0]
        assert found == pytest.approx(metric(p[rows], y[rows]).value)


def test_a_ranking_has_an_interval_over_groups():
    rng = np.random.default_rng(0)
    y = rng.random((60, 20)) < 0.3
    p = np.clip(rng.random((60, 20)) + 0.2 * y, 0, 1)
    metric = bar_auroc(p, y)
    found = interval(metric, groups=np.arange(60), seed=0, resamples=300, method="bca")
    assert found.low < metric.value < found.high
