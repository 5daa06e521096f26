import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.detection import span_f1
from moola_eval.matching import Collar, IoU, Overlap
from moola_eval.spans import Spans

span = st.tuples(st.integers(0, 14), st.integers(0, 6), st.integers(0, 1)).map(
    lambda s: (s[0], s[0] + s[1], s[2])
)
side = st.lists(st.lists(span, max_size=4), min_size=3, max_size=3)
LENGTHS = [25, 25, 25]


def make(rows):
    return Spans.from_lists(rows, lengths=[25] * len(rows))


@given(side, side, st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([IoU(0.3), Collar(2, 1), Overlap()]))
@settings(deadline=None, max_examples=100)
def test_swapping_sides_swaps_precision_and_recall(a, b, beta, criterion):
    forth = span_f1(make(a), make(b), beta=beta, criterion=criterion)
    back = span_f1(make(b), make(a), beta=1 / beta, criterion=criterion)
    assert np.array_equal(
        [forth["precision"], forth["recall"]], [back["recall"], back["precision"]], equal_nan=True
    )
    assert np.isclose(forth.value, back.value, equal_nan=True)
    assert np.isnan(forth.value) or 0 <= forth.value <= 1


@given(side, side)
@settings(deadline=None, max_examples=60)
def test_f1_does_not_rise_with_the_threshold(a, b):
    values = [span_f1(make(a), make(b), criterion=t / 20).value for t in range(1, 21)]
    assert np.isnan(values[0]) or all(np.diff(values) <= 0)


@given(side, side, st.permutations(range(3)))
@settings(deadline=None, max_examples=60)
def test_order_of_sequences_does_not_matter(a, b, order):
    whole = span_f1(make(a), make(b))
    moved = span_f1(make([a[i] for i in order]), make([b[i] for i in order]))
    assert np.array_equal([whole.value], [moved.value], equal_nan=True)
    assert np.array_equal(whole.sums[list(order)], moved.sums)


@given(side, side)
@settings(deadline=None, max_examples=40)
def test_scores_of_batches_add_up_to_the_whole(a, b):
    parts = span_f1(make(a[:1]), make(b[:1])) + span_f1(make(a[1:]), make(b[1:]))
    whole = span_f1(make(a), make(b))
    assert parts.counts == whole.counts
    assert np.array_equal([parts.value], [whole.value], equal_nan=True)


@pytest.mark.parametrize("where", [(0, 0), (104, 104), (0, 104), (100, 104)])
def test_a_perfect_prediction_scores_exactly_one(where):
    spans = Spans.from_lists([[where]], lengths=[105])
    assert span_f1(spans, spans).value == 1.0


def test_labels_count_unless_ignored():
    true, pred = make([[(4, 9, 0)]]), make([[(4, 9, 1)]])
    assert span_f1(true, pred).value == 0.0
    assert span_f1(true, pred, labels="ignored").value == 1.0


def test_one_side_empty_is_zero_and_both_empty_is_undefined():
    nothing, one = make([[]]), make([[(4, 9)]])
    assert span_f1(nothing, one).value == span_f1(one, nothing).value == 0.0
    assert np.isnan(span_f1(nothing, one)["recall"])
    assert np.isnan(span_f1(nothing, nothing).value)


def test_scores_of_different_rules_do_not_add_up():
    one = make([[(4, 9)]])
    with pytest.raises(ValueError, match="other: want a score of"):
        span_f1(one, one) + span_f1(one, one, criterion=0.7)
