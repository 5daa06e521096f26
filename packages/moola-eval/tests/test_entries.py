from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.bootstrap import interval
from moola_eval.entries import Lines, both_sides, entry_f1, entry_length_error, exact_entry

line = st.tuples(st.integers(0, 4), st.integers(0, 1))
entry = st.lists(line, max_size=6)
pairs = st.lists(st.tuples(entry, entry), min_size=1, max_size=6)
quick = settings(deadline=None, max_examples=60)


@quick
@given(pairs)
def test_counts_equal_those_of_counters(both):
    score = entry_f1(Lines.from_lists([t for t, _ in both]), Lines.from_lists([p for _, p in both]))
    wanted = [(sum((Counter(t) & Counter(p)).values()), len(p), len(t)) for t, p in both]
    assert score.sums.tolist() == [list(map(float, row)) for row in wanted]


@quick
@given(pairs, st.randoms())
def test_the_order_of_lines_changes_nothing(both, rng):
    true, pred = [t for t, _ in both], [p for _, p in both]
    before = entry_f1(Lines.from_lists(true), Lines.from_lists(pred)).sums
    mixed = [rng.sample(p, len(p)) for p in pred]
    assert entry_f1(Lines.from_lists(true), Lines.from_lists(mixed)).sums.tolist() == before.tolist()


@quick
@given(pairs)
def test_exact_means_equal_counters(both):
    score = exact_entry(Lines.from_lists([t for t, _ in both]), Lines.from_lists([p for _, p in both]))
    assert score.sums[:, 0].tolist() == [float(Counter(t) == Counter(p)) for t, p in both]


@quick
@given(pairs)
def test_swapping_the_sides_swaps_precision_and_recall(both):
    true, pred = Lines.from_lists([t for t, _ in both]), Lines.from_lists([p for _, p in both])
    ahead, back = entry_f1(true, pred), entry_f1(pred, true)
    assert (ahead["precision"], ahead["recall"]) == pytest.approx(
        (back["recall"], back["precision"]), nan_ok=True
    )


D, C = 0, 1


@pytest.mark.parametrize(
    ("true", "pred", "counts"),
    [
        ([(1, D), (1, D), (2, C)], [(1, D), (1, D), (2, C), (5, C)], (3, 4, 3)),  # an over-long tail costs
        ([(1, D), (1, D), (2, C)], [(1, D), (2, C), (2, C)], (2, 3, 3)),  # as sets they would be equal
        ([], [], (0, 0, 0)),
        ([], [(1, D)], (0, 1, 0)),
    ],
)
def test_what_a_cut_by_the_label_or_a_set_would_forgive_is_counted(true, pred, counts):
    score = entry_f1(Lines.from_lists([true]), Lines.from_lists([pred]))
    assert tuple(score.sums[0]) == counts
    assert np.isnan(score.value) == (counts[1] + counts[2] == 0)


@quick
@given(st.lists(st.lists(line, min_size=1, max_size=5), min_size=1, max_size=5), st.integers(0, 3))
def test_a_decoder_that_stops_at_the_right_slot_is_perfect(rows, spare):
    slots = max(map(len, rows)) + spare
    account = np.full((len(rows), slots), 77)
    side, stop = np.zeros_like(account), np.zeros(account.shape, dtype=bool)
    for i, row in enumerate(rows):
        account[i, : len(row)], side[i, : len(row)] = zip(*row, strict=True)
        stop[i, len(row) - 1 :] = True
    pred = Lines.until_stop(account, side, stop)
    score = entry_f1(Lines.from_lists(rows), pred)
    assert score.value == 1.0
    assert score.counts["n_unstopped"] == 0
    assert exact_entry(Lines.from_lists(rows), pred).value == 1.0


def test_the_two_meanings_of_stop_differ_by_the_line_of_its_slot():
    account, side = np.array([[3, 7, 9]]), np.array([[D, C, C]])
    stop = np.array([[False, True, True]])
    assert Lines.until_stop(account, side, stop).account.tolist() == [3, 7]
    assert Lines.until_stop(account, side, stop, stop_means="no_line").account.tolist() == [3]
    at_once = np.array([[True, False, False]])
    assert len(Lines.until_stop(account, side, at_once, stop_means="no_line")) == 0


def test_what_never_stops_counts_as_given():
    true = Lines.from_lists([[(3, D), (7, C)], [(3, D), (7, C)]])
    stop = np.array([[False, True, False], [False, False, False]])
    pred = Lines.until_stop([[3, 7, 7]] * 2, [[D, C, C]] * 2, stop)
    score = entry_f1(true, pred)
    assert score.sums.tolist() == [[2, 2, 2, 0], [2, 3, 2, 1]]
    assert score.value == pytest.approx(8 / 9)
    assert exact_entry(true, pred).sums.tolist() == [[1, 1, 0], [0, 1, 1]]
    assert entry_length_error(true, pred).counts["n_long"] == 1


def test_what_stands_after_the_stop_is_not_looked_at():
    stop = np.array([[True, False]])
    assert Lines.until_stop([[3, -1]], [[D, -1]], stop).account.tolist() == [3]


@quick
@given(pairs)
def test_batches_add_up_to_the_whole(both):
    true, pred = [t for t, _ in both], [p for _, p in both]
    whole = entry_f1(Lines.from_lists(true), Lines.from_lists(pred))
    parts = entry_f1(Lines.from_lists(true[:1]), Lines.from_lists(pred[:1]))
    if len(both) > 1:
        parts += entry_f1(Lines.from_lists(true[1:]), Lines.from_lists(pred[1:]))
    assert parts.sums.tolist() == whole.sums.tolist()


def test_an_entry_has_both_sides_or_not():
    pred = Lines.from_lists([[(1, D), (2, C)], [(1, D), (2, D)], []])
    assert both_sides(pred).sums[:, 0].tolist() == [1, 0, 0]


def test_length_error_has_a_sign_beside_its_size():
    true = Lines.from_lists([[(1, D)] * 3, [(1, D)]])
    pred = Lines.from_lists([[(1, D)], [(1, D)] * 2])
    score = entry_length_error(true, pred)
    assert (score.value, score["bias"]) == (1.5, -0.5)


def test_entries_have_intervals_like_any_score():
    rows = [[(1, D), (2, C)], [(1, D)]] * 30
    score = entry_f1(Lines.from_lists(rows), Lines.from_lists(rows[1:] + rows[:1]))
    found = interval(score, groups=np.arange(60), seed=0, resamples=200)
    assert found.low <= score.value <= found.high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 2], [1, 1], [0, 0]), r"entry: want 0..1, got 2 in row 1"),
        (([0, 1], [1, -1], [0, 0]), r"account: want 0 or more, got -1 in row 1"),
        (([0, 1], [1, 1], [0, 2]), r"side: want 0..1, got 2 in row 1"),
        (([0, 1], [1], [0, 0]), r"account: want 2 values, got 1"),
    ],
)
def test_a_bad_line_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Lines.of(*arguments, n_entries=2)


def test_a_stop_that_is_no_bool_is_refused():
    with pytest.raises(ValueError, match="stop: want bool, got int64"):
        Lines.until_stop([[1]], [[0]], np.array([[1]]))


def test_other_entries_are_refused():
    with pytest.raises(ValueError, match="pred: want 1 entries, got 2"):
        entry_f1(Lines.from_lists([[]]), Lines.from_lists([[], []]))
