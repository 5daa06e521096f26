"""Purged splitters, what they share with nobody, and the audit that finds what others share."""

import json
import re
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.combinatorial_purged import CombinatorialPurgedCV
from moola_data.intervals import Intervals, as_intervals, merged, touching
from moola_data.leaky_random_split import LeakWarning, LeakyRandomSplit
from moola_data.purged_group_kfold import PurgedGroupKFold
from moola_data.purged_kfold import PurgedKFold
from moola_data.split_audit import audit_split, audit_splits
from moola_data.temporal_split import TemporalSplit
from moola_data.uniqueness import mean_uniqueness

PEERS = json.loads((Path(__file__).parent / "data" / "peer_splits.json").read_text())
FIRST = np.arange(PEERS["world"]["windows"]) * PEERS["world"]["stride"]
LAST = FIRST + PEERS["world"]["length"] - 1


def recorded(peer, splitter):
    """Train and test sample numbers that a peer's splitter gave."""
    for code in PEERS["peers"][peer]["splitters"][splitter]:
        letters = "".join(letter * int(n) for n, letter in re.findall(r"(\d+)([re-])", code))
        assert len(letters) == len(FIRST)
        yield tuple(np.array([i for i, c in enumerate(letters) if c == side]) for side in "re")


samples = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), min_size=6, max_size=40).map(
    lambda rows: Intervals(*(np.array(c) for c in zip(*((a, a + d) for a, d in rows), strict=True)))
)


def splitters(first, last, horizon, embargo):
    times = {"prediction_times": first, "evaluation_times": last, "purge_horizon": horizon}
    yield PurgedKFold(3, **times, embargo=embargo)
    yield PurgedGroupKFold(3, **times, embargo=embargo, groups=first // 7)
    yield CombinatorialPurgedCV(4, 2, **times, embargo=embargo)
    yield TemporalSplit(2, **times)


@settings(deadline=None, max_examples=80)
@given(samples, st.integers(0, 4), st.integers(0, 6))
def test_no_training_sample_touches_a_test_sample_and_no_other_is_lost(intervals, horizon, embargo):
    first, last = intervals
    for kind in range(4):
        try:
            splitter = list(splitters(first, last, horizon, embargo))[kind]
            for train, test in splitter.split(first):
                behind = 0 if kind == 3 else embargo
                near = {
                    i
                    for i in range(len(first))
                    for j in test
                    if first[i] <= last[j] + horizon + behind and last[i] >= first[j] - horizon
                }
                free = set(range(len(first))) - near - set(test.tolist())
                if kind == 3:
                    free = {i for i in free if last[i] < first[test].min()}
                assert set(train.tolist()) == free
        except ValueError as error:
            # Many samples at few times can leave a fold or a training set empty: that is refused, by name.
            if not re.search(r"want (at least|samples in each|a larger one|fewer than)", str(error)):
                raise


@settings(deadline=None, max_examples=60)
@given(samples)
def test_every_sample_is_tested_once_by_kfolds_and_equally_often_by_combinations(intervals):
    first, last = intervals
    times = {"prediction_times": first, "evaluation_times": last}
    try:
        folds = [PurgedKFold(3, **times), CombinatorialPurgedCV(3, 2, **times)]
    except ValueError as error:
        if "samples in each of 3 folds" not in str(error):
            raise
        return
    for splitter, often in zip(folds, (1, 2), strict=True):
        tests = list(splitter.test_sets())
        assert len(tests) == splitter.get_n_splits() == 3
        assert np.bincount(np.concatenate(tests)).tolist() == [often] * len(first)
    for a, b in combinations(folds[0].test_sets(), 2):
        assert set(first[a].tolist()).isdisjoint(first[b].tolist())


def test_groups_stay_whole_and_follow_time():
    first = np.array([30, 31, 0, 1, 10, 11, 20, 21])
    groups = ["d", "d", "a", "a", "b", "b", "c", "c"]
    folds = PurgedGroupKFold(2, prediction_times=first, evaluation_times=first)
    found = [(train.tolist(), test.tolist()) for train, test in folds.split(first, groups=groups)]
    assert found == [([0, 1, 6, 7], [2, 3, 4, 5]), ([2, 3, 4, 5], [0, 1, 6, 7])]
    with pytest.raises(ValueError, match="want one group a sample, got None"):
        next(folds.split(first))
    with pytest.raises(ValueError, match="at least 2 groups, got 1"):
        next(folds.split(first, groups=[0] * 8))


def test_paths_lead_once_through_every_tested_stretch():
    cv = CombinatorialPurgedCV(6, 2, prediction_times=FIRST, evaluation_times=LAST)
    paths = cv.paths()
    assert paths.shape == (comb(5, 1), 6)
    tested = {(split, s) for split, pair in enumerate(combinations(range(6), 2)) for s in pair}
    assert {(int(paths[p, s]), s) for p in range(5) for s in range(6)} == tested
    assert cv.get_n_splits() == 15


def test_without_overlap_the_folds_are_those_of_scikit_learn():
    points = {"prediction_times": FIRST, "evaluation_times": FIRST}
    pairs = [
        (PurgedKFold(5, **points), "KFold(5)"),
        (TemporalSplit(5, **points), "TimeSeriesSplit(5)"),
    ]
    for ours, theirs in pairs:
        for a, b in zip(ours.split(FIRST), recorded("scikit-learn", theirs), strict=True):
            assert np.array_equal(a[0], b[0])
            assert np.array_equal(a[1], b[1])


def test_half_open_intervals_give_the_folds_of_purgedcv():
    ours = PurgedKFold(5, prediction_times=FIRST, evaluation_times=LAST + 1, closed="left")
    for a, b in zip(ours.split(FIRST), recorded("purgedcv", "PurgedKFold(5)"), strict=True):
        assert np.array_equal(a[0], b[0])
        assert np.array_equal(a[1], b[1])


@pytest.mark.parametrize(
    ("peer", "splitter", "leaked"),
    [
        ("scikit-learn", "KFold(5)", [2, 4, 4, 4, 2]),
        ("scikit-learn", "TimeSeriesSplit(5)", [2] * 5),
        ("scikit-learn", "TimeSeriesSplit(5, gap=3)", [0] * 5),
        ("purgedcv", "PurgedKFold(5)", [0] * 5),
        ("skfolio", "CombinatorialPurgedCV(5, 2, purged_size=0)", [2, 6, 6, 4, 4, 8, 6, 4, 6, 2]),
        ("skfolio", "CombinatorialPurgedCV(5, 2, purged_size=2)", [0] * 10),
        ("timeseriescv", "CombPurgedKFoldCV(5, 1)", [0] * 5),
        ("timeseriescv", "CombPurgedKFoldCV(5, 2)", [0, 2, 0, 2, 0, 0, 0, 0, 0, 0]),
        ("mlfinpy", "PurgedKFold(5, pct_embargo=0.0)", [0, 2, 2, 2, 2]),
        ("mlfinpy", "PurgedKFold(5, pct_embargo=0.01)", [0, 2, 2, 2, 2]),
    ],
)
def test_the_audit_finds_the_leaks_of_recorded_splits(peer, splitter, leaked):
    table = audit_splits(recorded(peer, splitter), prediction_times=FIRST, evaluation_times=LAST)
    assert table["train_leaked"].tolist() == leaked
    assert ((table["shared"] == 0) == (table["train_leaked"] == 0)).all()


def test_the_audit_finds_more_than_half_of_a_shuffled_split_leaking():
    splits = list(recorded("scikit-learn", "KFold(5, shuffle=True, random_state=0)"))
    table = audit_splits(splits, prediction_times=FIRST, evaluation_times=LAST)
    assert (table["train"] == 2400).all()
    assert ((table["train_leaked"] > 1300) & (table["train_leaked"] < 1500)).all()


def test_ours_share_no_bar_on_the_windows_that_peers_leak_on():
    for splitter in splitters(FIRST, LAST, 0, 0):
        table = audit_splits(splitter.split(FIRST), prediction_times=FIRST, evaluation_times=LAST)
        assert not table[["train_leaked", "test_leaked", "shared"]].to_numpy().any()


@settings(deadline=None, max_examples=80)
@given(samples, st.data())
def test_the_audit_lists_every_shared_bar(intervals, data):
    first, last = intervals
    side = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(first), max_size=len(first))))
    train, test = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
    audit = audit_split(train, test, prediction_times=first, evaluation_times=last)
    bars = [{t for i in s for t in range(first[i], last[i] + 1)} for s in (train, test)]
    assert audit.shared_bars().tolist() == sorted(bars[0] & bars[1])
    for mine, theirs, found in ((train, bars[1], audit.train_leaked), (test, bars[0], audit.test_leaked)):
        assert found.tolist() == [i for i in mine if theirs & set(range(first[i], last[i] + 1))]


def test_times_with_zones_and_time_spans_work_like_bars():
    clock = pd.Timestamp("2024-01-01", tz="America/New_York") + pd.to_timedelta(FIRST[:50], unit="min")
    end = clock + pd.Timedelta(minutes=104)
    bars = {"prediction_times": FIRST[:50], "evaluation_times": FIRST[:50] + 104}
    a = PurgedKFold(4, **bars, embargo=70, purge_horizon=10)
    b = PurgedKFold(4, prediction_times=clock, evaluation_times=end, embargo="70min", purge_horizon="10min")
    for (x, _), (y, _) in zip(a.split(), b.split(), strict=True):
        assert np.array_equal(x, y)


def test_the_random_split_is_scikit_learns_and_counts_its_leaks():
    splitter = LeakyRandomSplit(prediction_times=FIRST, evaluation_times=LAST, seed=42)
    with pytest.warns(
        LeakWarning, match=r"of 600 test samples share time with training samples .*leaks"
    ) as told:
        ((train, test),) = splitter.split(FIRST)
    ((known_train, known_test),) = recorded(
        "scikit-learn", "train_test_split(test_size=0.2, random_state=42)"
    )
    assert np.array_equal(np.sort(train), known_train)
    assert np.array_equal(np.sort(test), known_test)
    audit = audit_split(train, test, prediction_times=FIRST, evaluation_times=LAST)
    assert str(told[0].message).startswith(f"{len(audit.test_leaked)} of 600")


def test_a_random_split_that_happens_to_be_clean_does_not_warn():
    apart = np.arange(10) * 10
    ((train, test),) = LeakyRandomSplit(prediction_times=apart, evaluation_times=apart + 5).split()
    assert sorted([*train, *test]) == list(range(10))


@settings(deadline=None, max_examples=60)
@given(samples)
def test_uniqueness_is_the_mean_share_of_each_bar(intervals):
    first, last = intervals
    held = [sum(a <= t <= b for a, b in zip(first, last, strict=True)) for t in range(80)]
    slow = [np.mean([1 / held[t] for t in range(a, b + 1)]) for a, b in zip(first, last, strict=True)]
    assert mean_uniqueness(first, last) == pytest.approx(slow)


def test_copies_of_a_sample_share_its_weight():
    assert mean_uniqueness([5] * 4, [9] * 4) == pytest.approx([0.25] * 4)
    assert mean_uniqueness([0, 10], [9, 19]) == pytest.approx([1, 1])


@settings(deadline=None, max_examples=60)
@given(samples, samples)
def test_intervals_touch_when_they_share_a_time(some, others):
    sets = [{t for a, b in zip(*x, strict=True) for t in range(a, b + 1)} for x in (others, merged(others))]
    assert sets[0] == sets[1]
    assert np.all(np.diff(merged(others).first) > 1)
    wanted = [bool(sets[0] & set(range(a, b + 1))) for a, b in zip(*some, strict=True)]
    assert touching(some, others).tolist() == wanted


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (([0, 5], [4, 4]), "want at least 5, got 4 in row 1"),
        (([0, 5], [4]), "want 2 values, got 1"),
        (([0.5, 5], [4, 9]), "want whole numbers or times, got float64"),
        ((pd.to_datetime(["2024-01-01", None]), [4, 9]), "a time in every row, got none in row 1"),
        ((pd.to_datetime(["2024-01-01", "2024-01-02"]), [4, 9]), "want times, got whole numbers"),
    ],
)
def test_times_that_make_no_interval_are_refused(times, message):
    with pytest.raises(ValueError, match=message):
        as_intervals(*times)


def test_what_cannot_be_split_is_refused():
    times = {"prediction_times": [0, 1, 2], "evaluation_times": [9, 9, 9]}
    with pytest.raises(ValueError, match="0 left after purging in split 0"):
        next(PurgedKFold(3, **times).split())
    with pytest.raises(ValueError, match="2 or more folds, got 1"):
        PurgedKFold(1, **times)
    with pytest.raises(ValueError, match=r"got none in fold 3: there are 3 samples at 3 times"):
        PurgedKFold(4, **times)
    with pytest.raises(ValueError, match=r"n_test_groups: want 1..2, got 3"):
        CombinatorialPurgedCV(3, 3, **times)
    with pytest.raises(ValueError, match="fewer than 3 samples to test"):
        TemporalSplit(3, **times, test_size=1)
    with pytest.raises(ValueError, match="want 3 samples, one a prediction time, got 2"):
        next(PurgedKFold(3, **times).split([0, 0]))
    with pytest.raises(ValueError, match="embargo: want 0 or more, got -1"):
        PurgedKFold(3, **times, embargo=-1)
    with pytest.raises(ValueError, match=r"train: want sample numbers in 0..2, got 3 in row 1"):
        audit_split([0, 3], [1], **times)
    with pytest.raises(ValueError, match="test_size"):
        LeakyRandomSplit(**times, test_size=1.0)
