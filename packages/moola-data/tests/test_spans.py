"""What a window sees of spans."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans, longest_span, visible_pairs, visible_spans


def spans_of(pairs, types=None):
    start, end = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    kind = np.full(len(pairs), -1) if types is None else np.array(types)
    return Spans(
        start=start,
        end=end,
        type=kind.astype(np.int64),
        weight=np.ones(len(pairs), np.float32),
        type_names=("consolidation", "retracement"),
    )


def bars_of(segment):
    n = len(segment)
    price = np.full(n, 1.0)
    return Bars(
        time=np.arange(n).astype("M8[m]").astype("M8[ns]"),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=np.zeros(n, np.int32),
        segment=np.asarray(segment, np.int64),
        symbols=("A",),
    )


pairs = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 25)).map(lambda p: (p[0], p[0] + p[1])), max_size=8
)


@settings(deadline=None, max_examples=100)
@given(pairs, st.integers(1, 20), st.lists(st.integers(0, 60), max_size=6))
def test_a_window_sees_the_spans_that_share_a_bar_with_it(spans, length, starts):
    window, span = visible_pairs(spans_of(spans), np.array(starts, np.int64), length=length)
    seen = set(zip(window.tolist(), span.tolist(), strict=True))
    assert len(seen) == len(window)
    for i, first in enumerate(starts):
        for j, (s, e) in enumerate(spans):
            share = set(range(first, first + length)) & set(range(s, e + 1))
            assert ((i, j) in seen) == bool(share)


@settings(deadline=None, max_examples=100)
@given(pairs, st.integers(1, 20), st.lists(st.integers(0, 60), max_size=6))
def test_visible_parts_are_cut_at_the_edges_and_flagged(spans, length, starts):
    seen = visible_spans(spans_of(spans), np.array(starts, np.int64), length=length)
    pair = visible_pairs(spans_of(spans), np.array(starts, np.int64), length=length)
    for row, (i, j) in enumerate(zip(*pair, strict=True)):
        inside = [t - starts[i] for t in range(spans[j][0], spans[j][1] + 1) if 0 <= t - starts[i] < length]
        assert (seen.start[row], seen.end[row]) == (inside[0], inside[-1])
        assert seen.cut[row] == (len(inside) < spans[j][1] - spans[j][0] + 1)
    assert np.all(np.diff(seen.window) >= 0)


def test_the_longest_span_wins_and_of_equals_the_first():
    seen = visible_spans(spans_of([(0, 1), (3, 5), (7, 9), (20, 20)]), np.array([0, 20, 10]), length=10)
    assert longest_span(seen, windows=3).tolist() == [1, 3, -1]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((4, 3), "end >= start, got 4..3 in row 1"),
        ((-1, 3), r"bars in 0..9, got -1..3 in row 1"),
        ((8, 10), r"bars in 0..9, got 8..10 in row 1"),
        ((4, 5), "across a barrier in row 1"),
        ((0, 2), "each span once, got 0..2 again in row 1"),
    ],
)
def test_a_span_that_cannot_stand_is_refused_with_its_row(pair, message):
    bars = bars_of([0] * 5 + [1] * 5)
    check_spans(spans_of([(0, 2)]), bars)
    with pytest.raises(ValueError, match=message):
        check_spans(spans_of([(0, 2), pair]), bars)


def test_a_type_outside_the_names_and_a_negative_weight_are_refused():
    bars = bars_of([0] * 10)
    with pytest.raises(ValueError, match=r"type in -1..1, got 2 in row 0"):
        check_spans(spans_of([(0, 2)], [2]), bars)
    bad = spans_of([(0, 2)]).model_copy(update={"weight": np.array([-1], np.float32)})
    with pytest.raises(ValueError, match="weight"):
        check_spans(bad, bars)
