from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data._score import bar_f1, match_count, span_f1


class Marks(NamedTuple):
    window: np.ndarray
    start: np.ndarray
    end: np.ndarray


def marks(*rows):
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Marks(*table.T)


rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(0, 6)).map(
        lambda x: (x[0], x[1], x[1] + x[2])
    ),
    max_size=5,
)


def fits(a, b, iou):
    one, two = set(range(a[1], a[2] + 1)), set(range(b[1], b[2] + 1))
    return a[0] == b[0] and bool(one & two) and len(one & two) >= iou * len(one | two)


def brute(predicted, true, iou):
    """Largest one-to-one matching, by trying all."""
    for size in range(min(len(predicted), len(true)), 0, -1):
        for some in combinations(predicted, size):
            for others in permutations(true, size):
                if all(fits(a, b, iou) for a, b in zip(some, others, strict=True)):
                    return size
    return 0


@settings(deadline=None, max_examples=150)
@given(rows, rows, st.sampled_from([0.2, 0.5, 0.75, 1.0]))
def test_the_matching_is_the_largest_there_is(predicted, true, iou):
    assert match_count(marks(*predicted), marks(*true), iou=iou) == brute(predicted, true, iou)


def test_an_overlap_of_exactly_half_matches():
    assert span_f1(marks((0, 0, 4)), marks((0, 0, 9))) == 1.0
    assert span_f1(marks((0, 0, 3)), marks((0, 0, 9))) == 0.0


def test_two_halves_of_a_span_match_it_once():
    assert span_f1(marks((0, 0, 4), (0, 5, 9)), marks((0, 0, 9))) == 2 / 3


def test_spans_of_other_windows_do_not_match():
    assert span_f1(marks((0, 3, 9)), marks((1, 3, 9))) == 0.0


def test_nothing_predicted_of_nothing_true_is_undefined():
    assert np.isnan(span_f1(marks(), marks()))
    assert np.isnan(bar_f1(np.zeros(5, bool), np.zeros(5, bool)))


def test_bar_f1_counts_bars():
    assert bar_f1(np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 1], bool)) == 2 / 5
