"""Two packages that name the same thing mean the same: targets of data against truth of eval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.pointers import pointers_in_bars
from moola_data.schema import Bars, Spans
from moola_data.spans import visible_spans
from moola_data.window_set import window_targets
from moola_eval.schema import TrueSpans, Truth
from moola_eval.targets import Targets

K = 24


@st.composite
def spans_on_a_line(draw):
    gaps = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 12)), max_size=12))
    start, end, at = [], [], 0
    for gap, length in gaps:
        start.append(at + gap)
        at = start[-1] + length + 1
        end.append(at - 2)
    kind = draw(st.lists(st.integers(-1, 1), min_size=len(start), max_size=len(start)))
    return Spans(
        start=np.array(start, np.int64),
        end=np.array(end, np.int64),
        type=np.array(kind, np.int64),
        weight=np.ones(len(start), np.float32),
        type_names=("a", "b"),
    )


@settings(deadline=None, max_examples=150)
@given(spans_on_a_line())
def test_the_targets_of_data_are_the_truth_of_eval(spans):
    starts = np.arange(0, 240, K, dtype=np.int64)
    seen = visible_spans(spans, starts, length=K)
    targets, masks = window_targets(seen, windows=len(starts), length=K, countdown_form="raw")
    truth = Targets.of(
        Truth(
            starts=starts,
            length=K,
            group=np.arange(len(starts)),
            spans=TrueSpans(window=seen.window, start=seen.start, end=seen.end, type=seen.type),
            type_names=("a", "b"),
        )
    )
    np.testing.assert_array_equal(targets["span"] > 0.5, truth.mask)
    known = masks["pointers"]
    np.testing.assert_array_equal(known, truth.has_span)
    in_bars = pointers_in_bars(targets["pointers"], length=K, encoding="origin")[known]
    np.testing.assert_allclose(in_bars[:, 0], (truth.start + truth.end)[known] / 2, atol=1e-5)
    np.testing.assert_allclose(in_bars[:, 1], (truth.end - truth.start + 1)[known], atol=1e-5)
    typed = masks["type"]
    np.testing.assert_array_equal(typed, truth.type >= 0)
    np.testing.assert_array_equal(targets["type"][typed], truth.type[typed])
    np.testing.assert_array_equal(targets["countdown"][known], truth.countdown[known])
    assert np.isnan(truth.countdown[~known]).all()


def test_bars_refuse_columns_of_different_length():
    column = np.ones(3)
    with pytest.raises(ValueError, match="dim 'N' is 3 in time but 2 in"):
        Bars(
            time=np.arange(3).astype("M8[ns]"),
            open=column,
            high=column,
            low=column,
            close=column[:2],
            symbol=np.zeros(3, np.int32),
            segment=np.zeros(3, np.int64),
            symbols=("A",),
        )
