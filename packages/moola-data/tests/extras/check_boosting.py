"""Run by name where scikit-learn is installed: pytest tests/extras/check_boosting.py."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.boosting import boosted_baseline
from moola_data.schema import Bars, FeatureMatrix, Spans

N = 1500


def make_bars(n=N, symbols=1, segments=1):
    size = n * symbols
    code = np.repeat(np.arange(symbols, dtype=np.int32), n)
    price = np.ones(size)
    return Bars(
        time=np.tile(np.arange(n) * 60 * 10**9, symbols).astype("M8[ns]"),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=code,
        segment=(np.arange(size) * segments // size if segments > 1 else code).astype(np.int64),
        symbols=("NQ", "ES")[:symbols],
    )


def spans_at(starts, length=6):
    return Spans(
        start=np.array(starts, np.int64),
        end=np.array(starts, np.int64) + length - 1,
        type=np.full(len(starts), -1),
        weight=np.ones(len(starts), np.float32),
        type_names=(),
    )


def random_starts(n=N, seed=0):
    return np.sort(np.random.default_rng(seed).choice(n // 20, n // 40, replace=False)) * 20 + 5


def matrix(*columns):
    values = np.ascontiguousarray(np.stack(columns, axis=1), np.float32)
    return FeatureMatrix(values=values, names=tuple(f"x{i}" for i in range(len(columns))), feature_set="own")


def mask_of(spans, n=N):
    mask = np.zeros(n, bool)
    for s, e in zip(spans.start, spans.end, strict=True):
        mask[s : e + 1] = True
    return mask


def noise(n=N, seed=1):
    return np.random.default_rng(seed).normal(size=n)


FAST = {"folds": 3, "block_size": 50, "purge": 20, "rounds": 15, "seed": 0}


def test_what_the_features_say_is_learned():
    spans = spans_at(random_starts())
    found = boosted_baseline(
        matrix(mask_of(spans) + 0.1 * noise(), noise(seed=2)), make_bars(), spans, lags=[0], **FAST
    )
    assert found.f1 > 0.97
    assert not np.isnan(found.probability).any()
    np.testing.assert_array_equal(found.marked.sum() > 0, True)


def test_a_lag_reaches_what_lies_before_and_a_lead_what_lies_behind():
    spans = spans_at(random_starts())
    mask = mask_of(spans)
    late, early = np.roll(mask, 2).astype(float), np.roll(mask, -2).astype(float)
    f1 = {}
    for name, signal in (("late", late), ("early", early)):
        for steps in ({"lags": [0, 2]}, {"lags": [0], "leads": [2]}):
            found = boosted_baseline(matrix(signal), make_bars(), spans, **steps, **FAST)
            f1[name, "leads" in steps] = found.f1
    assert f1["late", True] > 0.98
    assert f1["early", False] > 0.98
    assert f1["late", False] < 0.9
    assert f1["early", True] < 0.9
    assert found.columns == ("x0", "x0[+2]")


def test_noise_does_not_beat_marking_everything_by_much():
    spans = spans_at(random_starts())
    found = boosted_baseline(matrix(noise(), noise(seed=2)), make_bars(), spans, lags=[0, 1], **FAST)
    assert found.f1 < found.f1_of_marking_all + 0.05


def test_a_feature_that_names_the_time_gives_nothing_away():
    """A shuffled split would let the trees look up the labels beside each held-out bar."""
    spans = spans_at(random_starts())
    found = boosted_baseline(matrix(np.arange(N, dtype=float)), make_bars(), spans, lags=[0], **FAST)
    assert found.f1 < found.f1_of_marking_all + 0.05


@settings(deadline=None, max_examples=6)
@given(st.integers(2, 5), st.integers(2, 40), st.integers(1, 2))
def test_folds_are_stretches_of_time_and_purged_bars_are_counted(folds, purge, symbols):
    bars = make_bars(600, symbols)
    spans = spans_at(np.arange(10, 600 * symbols - 10, 20))
    how = {"folds": folds, "block_size": 30, "purge": purge, "rounds": 2, "seed": 0}
    found = boosted_baseline(matrix(noise(600 * symbols)), bars, spans, lags=[0, 1], **how)
    by_time = found.fold.reshape(symbols, 600)
    assert (by_time == by_time[0]).all()
    assert (np.diff(by_time[0]) >= 0).all()
    assert sorted(set(by_time[0])) == list(range(folds))
    for number, fold in enumerate(found.folds):
        inner_edges = 1 if number in (0, folds - 1) else 2
        assert fold.purged_bars == inner_edges * purge * symbols
        assert fold.train_bars + fold.purged_bars + fold.test_bars == 600 * symbols


def test_held_out_labels_change_nothing_about_their_own_prediction():
    spans, feature = spans_at(random_starts()), matrix(noise(), noise(seed=2))
    first = boosted_baseline(feature, make_bars(), spans, lags=[0], **FAST)
    last = first.fold == 2
    kept = spans.start[~last[spans.start] | ~last[spans.end]]
    other = spans_at(np.concatenate([kept, [np.flatnonzero(last)[30]]]))
    second = boosted_baseline(feature, make_bars(), other, lags=[0], **FAST)
    np.testing.assert_array_equal(first.probability[last], second.probability[last])
    np.testing.assert_array_equal(first.marked[last], second.marked[last])
    assert not np.array_equal(first.probability[~last], second.probability[~last])


def test_bars_that_nobody_looked_at_are_left_out():
    labelled = np.ones(N, bool)
    labelled[400:700] = False
    found = boosted_baseline(
        matrix(noise()), make_bars(), spans_at(random_starts()), lags=[0], labelled=labelled, **FAST
    )
    np.testing.assert_array_equal(np.isnan(found.probability), ~labelled)
    np.testing.assert_array_equal(found.fold == -1, ~labelled)
    assert sum(fold.test_bars for fold in found.folds) == labelled.sum()


def test_lags_do_not_cross_a_barrier():
    """The signal lies one bar before each segment's first bar: only a lag over the barrier would see it."""
    bars = make_bars(segments=150)
    heads = np.arange(10, N, 10)
    signal = np.zeros(N)
    chosen = heads[np.random.default_rng(3).random(len(heads)) < 0.5]
    signal[chosen - 1] = 1
    found = boosted_baseline(matrix(signal), bars, spans_at(chosen, 1), lags=[0, 1], **FAST)
    free = boosted_baseline(matrix(signal), make_bars(), spans_at(chosen, 1), lags=[0, 1], **FAST)
    assert found.f1 < 0.85
    assert free.f1 > 0.95


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lags": []}, "lags, leads: want some, 0 or more each"),
        ({"lags": [-1]}, "lags, leads: want some, 0 or more each"),
        ({"lags": [30]}, "purge: want at least the furthest lag or lead, 30, got 20"),
        ({"folds": 1}, "folds, rounds: want 2 or more and 1 or more, got 1 and 15"),
        ({"folds": 31}, "folds: want at most one for each of 30 blocks, got 31"),
        ({"labelled": np.ones(3, bool)}, r"labelled: want bool \(1500,\), got bool \(3,\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        boosted_baseline(
            matrix(noise()), make_bars(), spans_at(random_starts()), **FAST | {"lags": [0]} | change
        )
    with pytest.raises(ValueError, match="features: want 1500 rows, got 3"):
        boosted_baseline(matrix(noise(3)), make_bars(), spans_at(random_starts()), **FAST)
    with pytest.raises(ValueError, match="want train bars inside and outside expansions, got 0 inside"):
        boosted_baseline(matrix(noise()), make_bars(), spans_at([700]), lags=[0], **FAST)


def test_the_package_itself_does_not_load_scikit_learn():
    code = "import sys, moola_data; assert not {'sklearn', 'moola_data.boosting'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
