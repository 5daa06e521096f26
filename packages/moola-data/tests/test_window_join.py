"""Joined window sets hold the windows of each, unchanged."""

import numpy as np
import pytest

from moola_data.features import compute_features
from moola_data.schema import WindowSet
from moola_data.synthetic import benchmark
from moola_data.window_join import join, renumber_groups
from moola_data.window_set import build_window_set
from moola_data.window_split import WindowSplit
from moola_data.window_subset import select
from moola_data.windows import gather


def windows(seed: int, n: int = 6) -> WindowSet:
    bench = benchmark(n, seed=seed)
    split = WindowSplit(
        starts=bench.starts,
        length=bench.length,
        group=bench.group,
        split=np.zeros(n, np.int8),
        purged={"train": seed},
    )
    return build_window_set(bench.bars, compute_features(bench.bars), bench.spans, split=split)


def test_each_window_keeps_its_bars_targets_and_spans() -> None:
    sets = [windows(1), windows(2, 4), windows(3)]
    joined = join(*sets)
    first = 0
    for one in sets:
        index = np.arange(first, first + len(one))
        back = select(joined, index)
        first += len(one)
        expected = gather(one.features, one.starts, length=one.length)
        assert np.array_equal(gather(back.features, back.starts, length=back.length), expected)
        for task in one.targets:
            assert np.array_equal(back.targets[task], one.targets[task])
            assert np.array_equal(back.masks[task], one.masks[task])
        for name in ("window", "start", "end", "type", "weight", "cut"):
            assert np.array_equal(getattr(back.spans, name), getattr(one.spans, name))
    assert first == len(joined)
    assert joined.purged == {"train": 6}


def test_one_set_joined_with_nothing_is_itself() -> None:
    one = windows(1)
    assert np.array_equal(join(one).features, one.features)


def test_sets_that_mean_different_things_are_refused() -> None:
    one = windows(1)
    with pytest.raises(
        ValueError, match="want feature_set 'origin' as in the first set, got 'jade' in set 1"
    ):
        join(one, one.model_copy(update={"feature_set": "jade"}))


def test_renumbered_groups_keep_who_is_with_whom() -> None:
    one = windows(1)
    twice = one.model_copy(update={"group": np.array([7, 3, 7, 9, 3, 9])})
    assert renumber_groups(twice, first=100).group.tolist() == [101, 100, 101, 102, 100, 102]
