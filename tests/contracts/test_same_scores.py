"""The small scorer inside moola-data, which its ceilings rest on, equals moola-eval's."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data import _score
from moola_eval import Spans, span_f1
from moola_eval.matching import IoU

K = 20


@st.composite
def windows(draw, n=3):
    """Spans by window that do not overlap, as (window, start, end) arrays."""
    rows = []
    for window in range(n):
        at = 0
        while (gap := draw(st.integers(0, 8))) + at < K and draw(st.booleans()):
            start = at + gap
            end = min(K - 1, start + draw(st.integers(0, 6)))
            rows.append((window, start, end))
            at = end + 1
    return np.array(rows, np.int64).reshape(-1, 3).T


def runs(rows):
    return SimpleNamespace(window=rows[0], start=rows[1], end=rows[2])


@settings(deadline=None, max_examples=200)
@given(windows(), windows())
def test_span_f1_is_the_same(predicted, true):
    def spans(rows):
        lists = [[(int(s), int(e)) for w, s, e in rows.T if w == window] for window in range(3)]
        return Spans.from_lists(lists, lengths=[K] * 3)

    ours = span_f1(spans(true), spans(predicted), criterion=IoU(0.5)).value
    theirs = _score.span_f1(runs(predicted), runs(true), iou=0.5)
    np.testing.assert_equal(np.float64(theirs), np.float64(ours))
