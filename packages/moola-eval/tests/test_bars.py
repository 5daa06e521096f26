import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.bars import bar_f1

pairs = st.integers(1, 6).flatmap(
    lambda n: st.tuples(*[st.lists(st.booleans(), min_size=6 * n, max_size=6 * n)] * 2)
)


def masks(pair):
    return (np.array(side, dtype=bool).reshape(-1, 6) for side in pair)


@pytest.mark.parametrize(
    ("pred", "precision", "recall", "f1"),
    [((38, 62), 0.84, 1.0, 42 / 46), ((45, 65), 16 / 21, 16 / 21, 16 / 21)],
)
def test_known_pairs_of_spans(pred, precision, recall, f1):
    true, guess = np.zeros((2, 1, 105), dtype=bool)
    true[0, 40:61] = True
    guess[0, pred[0] : pred[1] + 1] = True
    score = bar_f1(true, guess)
    assert (score["precision"], score["recall"], score.value) == (precision, recall, f1)


@given(pairs, st.sampled_from([0.5, 1.0, 2.0]))
@settings(deadline=None, max_examples=80)
def test_swapping_sides_swaps_precision_and_recall(pair, beta):
    a, b = masks(pair)
    forth, back = bar_f1(a, b, beta=beta), bar_f1(b, a, beta=beta)
    assert np.array_equal([forth["precision"]], [back["recall"]], equal_nan=True)
    assert np.isnan(forth.value) or 0 <= forth.value <= 1


@given(pairs)
@settings(deadline=None, max_examples=60)
def test_window_mean_equals_a_loop_for_every_rule_of_empty_windows(pair):
    true, pred = masks(pair)
    values = [
        2 * (t & p).sum() / (t.sum() + p.sum()) if (t | p).any() else None
        for t, p in zip(true, pred, strict=True)
    ]
    for rule, default in (("one", 1.0), ("zero", 0.0)):
        expected = np.mean([default if v is None else v for v in values])
        assert bar_f1(true, pred, average="window", empty=rule).value == pytest.approx(expected)
    there = [v for v in values if v is not None]
    skipped = bar_f1(true, pred, average="window", empty="skip")
    assert skipped.counts["n_windows"] == len(there)
    assert np.isclose(skipped.value, np.mean(there) if there else np.nan, equal_nan=True)


def test_three_rules_for_empty_windows_give_three_numbers():
    true = np.array([[1, 1], [0, 0], [1, 1]], dtype=bool)
    pred = np.array([[1, 1], [0, 0], [0, 0]], dtype=bool)
    values = [bar_f1(true, pred, average="window", empty=rule).value for rule in ("skip", "one", "zero")]
    assert values == [1 / 2, 2 / 3, 1 / 3]


def test_bars_that_are_not_valid_do_not_count():
    true, pred = np.array([[1, 0, 1]], dtype=bool), np.array([[1, 1, 0]], dtype=bool)
    valid = np.array([[1, 0, 0]], dtype=bool)
    assert bar_f1(true, pred, valid=valid).counts == {"tp": 1.0, "n_pred": 1.0, "n_true": 1.0}


def test_nothing_anywhere_is_undefined():
    nothing = np.zeros((3, 4), dtype=bool)
    assert np.isnan(bar_f1(nothing, nothing).value)


def test_the_rule_for_empty_windows_must_be_said():
    nothing = np.zeros((3, 4), dtype=bool)
    with pytest.raises(ValueError, match='empty: want "skip", "one" or "zero"'):
        bar_f1(nothing, nothing, average="window")
    with pytest.raises(ValueError, match="empty: want None"):
        bar_f1(nothing, nothing, empty="one")


@pytest.mark.parametrize(
    ("pred", "message"),
    [
        (np.zeros((2, 5), dtype=bool), r"pred: want shape \(2, 4\), got \(2, 5\)"),
        (np.zeros((2, 4)), "pred: want bool, got float64"),
    ],
)
def test_masks_of_another_kind_are_refused(pred, message):
    with pytest.raises(ValueError, match=message):
        bar_f1(np.zeros((2, 4), dtype=bool), pred)
