"""Types, pointers, countdown, joint success, calibration, separation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.calibration import brier, expected_calibration_error
from moola_eval.countdown import countdown_error
from moola_eval.joint import joint_success
from moola_eval.pattern_type import type_accuracy, type_macro_f1
from moola_eval.pointers import pointer_error, pointer_hit
from moola_eval.schema import TrueSpans, Truth
from moola_eval.separation import separation
from moola_eval.targets import Targets


def targets(rows, length=20, names=("a", "b")):
    flat = [(i, *span) for i, row in enumerate(rows) for span in row]
    table = np.array(flat, dtype=np.int64).reshape(-1, 4)
    n = len(rows)
    return Targets.of(
        Truth(
            starts=np.arange(n) * length,
            length=length,
            group=np.arange(n),
            spans=TrueSpans(window=table[:, 0], start=table[:, 1], end=table[:, 2], type=table[:, 3]),
            type_names=names,
        )
    )


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 5)), max_size=4), min_size=1, max_size=4)
)
@settings(deadline=None, max_examples=100)
def test_targets_equal_a_bar_by_bar_reference(windows):
    rows = [[(s, s + d, -1) for s, d in row] for row in windows]
    found = targets(rows)
    for i, row in enumerate(rows):
        for t in range(20):
            assert found.mask[i, t] == any(s <= t <= e for s, e, _ in row)
            near = min(((abs(s - t), t - s, s - t) for s, _, _ in row), default=(0, 0, np.nan))
            assert np.array_equal([found.countdown[i, t]], [near[2]], equal_nan=True)
        if row:
            longest = max(row, key=lambda s: (s[1] - s[0], -s[0]))
            assert (found.start[i], found.end[i]) == longest[:2]


def test_a_type_outside_the_names_is_refused():
    with pytest.raises(ValueError, match=r"truth.spans.type: want -1..1, got 2 in row 0"):
        targets([[(3, 4, 2)]])


def test_type_scores_leave_untyped_windows_out_and_count_them():
    true = np.array([0, 1, -1, 1])
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.6, 0.4]])
    score = type_accuracy(true, p)
    assert (score.value, score.counts["n_windows"]) == (2 / 3, 3)
    assert type_macro_f1(true, p).value == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_type_that_is_never_found_counts_zero_in_the_mean():
    p = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert type_macro_f1(np.array([0, 1]), p).value == pytest.approx((2 / 3) / 2)


def test_a_type_that_does_not_occur_counts_only_when_asked_for():
    p = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert type_macro_f1(np.array([0, 0]), p).value == 1.0
    assert type_macro_f1(np.array([0, 0]), p, classes=(0, 1)).value == 0.5


def test_macro_f1_of_no_typed_window_is_undefined():
    assert np.isnan(type_macro_f1(np.array([-1]), np.array([[0.5, 0.5]]), classes=(0, 1)).value)


def test_pointer_errors_are_in_bars_with_inclusive_length():
    start, end = np.array([40, 10, 0]), np.array([49, 10, 0])
    pointers = np.array([[44.5, 10.0], [12.0, 3.0], [99.0, 99.0]])
    valid = np.array([True, True, False])
    assert pointer_error(start, end, pointers, of="centre", valid=valid).value == 1.0
    assert pointer_error(start, end, pointers, of="length", valid=valid).value == 1.0


@pytest.mark.parametrize(
    ("side", "k", "hit"),
    [("both", 3, 1.0), ("both", 1, 0.0), ("centre", 0, 1.0), ("onset", 2, 1.0), ("offset", 1.5, 0.0)],
)
def test_hits_of_38_to_62_against_40_to_60(side, k, hit):
    pointers = np.array([[50.0, 25.0]])
    assert pointer_hit(np.array([40]), np.array([60]), pointers, k=k, side=side).value == hit


def test_countdown_is_cut_on_both_sides_and_masked():
    true = np.array([[30.0, 2.0, np.nan], [np.nan] * 3])
    pred = np.array([[100.0, -1.0, 5.0], [0.0] * 3])
    score = countdown_error(true, pred)
    assert (score.value, score.counts["n_bars"]) == (1.5, 2)
    assert countdown_error(true, pred, clip=None).value == (70 + 3) / 2
    assert countdown_error(true, pred, clip_pred=False).value == (80 + 3) / 2


def test_joint_success_asks_for_type_and_place_in_the_same_window():
    found = targets([[(4, 6, 0)], [(4, 6, 1)], [(4, 6, 1)], [], [(4, 6, -1)]])
    pointers = np.array([[5.0, 3.0], [5.0, 3.0], [9.0, 3.0], [5.0, 3.0], [5.0, 3.0]])
    kinds = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.5, 0.5], [0.5, 0.5]])
    score = joint_success(found, pointers, kinds)
    assert (score.value, score.counts["n_windows"]) == (1 / 3, 3)


TEN = [0.0, 0.1, 0.2, 0.3, 0.5, 0.5, 0.7, 0.9, 1.0, 1.0]
CAME = [0, 0, 1, 0, 1, 0, 1, 1, 1, 0]


@pytest.mark.parametrize("bins", [5, 10, 15])
def test_ece_equals_a_loop_over_bins(bins):
    p, y = np.array(TEN), np.array(CAME, dtype=bool)
    where = [min(int(np.float64(x) * bins), bins - 1) for x in TEN]
    expected = sum(abs(sum(y[i] - p[i] for i in range(10) if where[i] == b)) for b in range(bins))
    assert expected_calibration_error(p, y, bins=bins).value == pytest.approx(expected / 10)


def test_probabilities_of_one_share_the_last_bin():
    assert expected_calibration_error(np.array([1.0, 0.95]), np.array([False, True]), bins=10).value == (
        pytest.approx(0.475)
    )


def test_ece_of_batches_adds_up():
    rng = np.random.default_rng(0)
    p = rng.random((20, 7))
    y = rng.random((20, 7)) < p
    whole = expected_calibration_error(p, y)
    parts = expected_calibration_error(p[:3], y[:3]) + expected_calibration_error(p[3:], y[3:])
    assert parts.value == pytest.approx(whole.value)


def test_a_calibrated_forecast_has_brier_p_times_q():
    p, y = np.full(10, 0.3), np.arange(10) < 3
    assert brier(p, y).value == pytest.approx(0.21)
    assert expected_calibration_error(p, y).value == pytest.approx(0.0)


def test_separation_pools_bars_and_is_undefined_without_a_span():
    p = np.array([[0.9, 0.1], [0.5, 0.3]])
    mask = np.array([[True, False], [False, False]])
    assert separation(p, mask).value == pytest.approx(0.9 - (0.1 + 0.5 + 0.3) / 3)
    assert np.isnan(separation(p, np.zeros_like(mask)).value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.0001])
def test_probabilities_outside_zero_to_one_are_refused(bad):
    p = np.array([[0.5, bad]])
    mask = np.array([[True, False]])
    for metric in (separation, brier, expected_calibration_error):
        with pytest.raises(ValueError, match=r"probability: want numbers in \[0, 1\], got .* in row"):
            metric(p, mask)
    with pytest.raises(ValueError, match=r"probability: want numbers in \[0, 1\]"):
        type_accuracy(np.array([0]), p)
