import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.spans import Spans

masks = st.integers(1, 5).flatmap(
    lambda n: st.integers(1, 12).flatmap(
        lambda k: st.lists(st.lists(st.booleans(), min_size=k, max_size=k), min_size=n, max_size=n)
    )
)


@given(masks)
@settings(deadline=None, max_examples=60)
def test_mask_to_spans_and_back_is_the_mask(rows):
    mask = np.array(rows, dtype=bool)
    assert np.array_equal(Spans.from_mask(mask).mask().reshape(mask.shape), mask)


@given(masks)
@settings(deadline=None, max_examples=60)
def test_runs_of_a_mask_neither_touch_nor_cross_sequences(rows):
    spans = Spans.from_mask(np.array(rows, dtype=bool))
    same = np.diff(spans.sequence) == 0
    assert np.all((spans.start[1:] - spans.end[:-1])[same] >= 2)
    assert np.all(spans.end < spans.lengths[spans.sequence])


def test_flat_mask_of_unequal_sequences_splits_a_run_at_the_border():
    spans = Spans.from_mask(np.ones(7, dtype=bool), lengths=[3, 0, 4])
    assert spans.sequence.tolist() == [0, 2]
    assert spans.end.tolist() == [2, 3]


def test_closed_left_is_one_bar_shorter_and_round_trips():
    spans = Spans.of([0], [4], [9], lengths=[20], closed="left")
    assert spans.end.tolist() == [8]
    assert spans.edges(closed="left")[1].tolist() == [9]


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    start = rng.integers(0, 50, 40)
    columns = (rng.integers(0, 3, 40), start, start + rng.integers(0, 5, 40))
    extra = {"label": rng.integers(0, 2, 40), "score": rng.random(40)}
    whole = Spans.of(*columns, lengths=[60] * 3, **extra)
    order = rng.permutation(40)
    mixed = Spans.of(
        *(c[order] for c in columns), lengths=[60] * 3, **{name: c[order] for name, c in extra.items()}
    )
    for name in ("sequence", "start", "end", "label", "score"):
        assert np.array_equal(getattr(whole, name), getattr(mixed, name))


def test_take_repeats_and_reorders_sequences():
    spans = Spans.from_lists([[(1, 2)], [], [(3, 4), (6, 7)]], lengths=[8, 9, 10])
    taken = spans.take([2, 0, 2])
    assert taken.sequence.tolist() == [0, 0, 1, 2, 2]
    assert taken.start.tolist() == [3, 6, 1, 3, 6]
    assert taken.lengths.tolist() == [10, 8, 10]


@pytest.mark.parametrize(
    ("sequence", "start", "end", "message"),
    [
        ([0, 0], [5, 9], [6, 8], "end: want a bar at or after the start 9, got 8 .inclusive. in row 1"),
        ([0], [0], [105], "spans: want bars in 0..104, got 0..105"),
        ([0], [-1], [3], "spans: want bars in 0..104, got -1..3"),
        ([2], [0], [3], "sequence: want 0..0, got 2 in row 0"),
        ([0], [0.5], [3], "start: want whole numbers, got float64"),
        ([0, 0], [1], [3, 4], "start: want 2 values, got 1"),
    ],
)
def test_impossible_spans_are_refused_with_their_row(sequence, start, end, message):
    with pytest.raises(ValueError, match=message):
        Spans.of(sequence, start, end, lengths=[105])


def test_a_span_that_is_empty_when_half_open_is_refused():
    with pytest.raises(ValueError, match="end: want a bar at or after the start 4"):
        Spans.of([0], [4], [4], lengths=[9], closed="left")


def test_scores_must_be_finite():
    with pytest.raises(ValueError, match="score: want finite numbers, got nan in row 1"):
        Spans.of([0, 0], [1, 3], [2, 4], lengths=[9], score=[0.5, np.nan])


def test_no_sequences_and_no_spans_are_fine():
    assert len(Spans.from_lists([], lengths=[])) == 0
    assert Spans.from_mask(np.zeros((0, 105), dtype=bool)).mask().shape == (0,)
