"""Parts of time share no bar, no label and no block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.blocks import block_parts, time_blocks
from moola_data.intervals import window_intervals
from moola_data.purged_kfold import PurgedKFold
from moola_data.schema import Bars, Spans
from moola_data.window_split import split_windows, window_extents
from moola_data.windows import window_starts


def make_bars(sizes, barriers=()):
    """Bars of several symbols that end at one time and began at different ones."""
    code = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    clock = np.concatenate([np.arange(max(sizes) - n, max(sizes)) for n in sizes])
    price = np.full(len(code), 1.0)
    changes = np.diff(code, prepend=0) != 0
    changes[[b for b in barriers if b < len(code)]] = True
    return Bars(
        time=clock.astype("M8[m]").astype("M8[ns]"),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=code,
        segment=np.cumsum(changes).astype(np.int64),
        symbols=tuple(f"S{i}" for i in range(len(sizes))),
    )


def spans_every(bars, gap, size):
    start = np.arange(5, len(bars) - size, gap, dtype=np.int64)
    start = start[bars.segment[start] == bars.segment[start + size - 1]]
    return Spans(
        start=start,
        end=start + size - 1,
        type=np.full(len(start), -1, np.int64),
        weight=np.ones(len(start), np.float32),
        type_names=(),
    )


worlds = st.tuples(
    st.lists(st.integers(150, 400), min_size=1, max_size=3),
    st.lists(st.integers(0, 900), max_size=3),
    st.integers(5, 25),
    st.integers(1, 30),
)


@settings(deadline=None, max_examples=40)
@given(worlds, st.integers(1, 7), st.integers(0, 6), st.integers(0, 6))
def test_no_bar_no_label_and_no_block_is_in_two_parts(world, stride, warmup, embargo):
    sizes, barriers, length, span = world
    bars = make_bars(sizes, barriers)
    spans = spans_every(bars, 37, span)
    try:
        split = split_windows(bars, spans, length=length, stride=stride, warmup=warmup, embargo=embargo)
    except ValueError as error:
        if "at least 1" not in str(error):
            raise
        return
    first, last = window_extents(spans, split.starts, length=length)
    used = [set(), set(), set()]
    for p, s, a, b in zip(split.split, split.starts, first, last, strict=True):
        assert bars.segment[s] == bars.segment[s + length - 1]
        used[p].update(range(min(a, s - warmup), b + 1))
    assert not used[0] & used[1]
    assert not used[1] & used[2]
    assert not used[0] & used[2]
    block = time_blocks(bars, size=length)
    times = [set(bars.time[sorted(u)].tolist()) for u in used]
    assert max(times[0]) < min(times[1])
    assert max(times[1]) < min(times[2])
    groups = [set(split.group[split.split == p].tolist()) for p in range(3)]
    assert not groups[0] & groups[1]
    assert not groups[1] & groups[2]
    assert set(split.group.tolist()) <= set(block.tolist())


@settings(deadline=None, max_examples=30)
@given(worlds)
def test_evaluated_windows_do_not_overlap(world):
    sizes, barriers, length, span = world
    bars = make_bars(sizes, barriers)
    try:
        split = split_windows(bars, spans_every(bars, 37, span), length=length, stride=1)
    except ValueError as error:
        if "at least 1" not in str(error):
            raise
        return
    starts = np.sort(split.starts[split.split > 0])
    assert np.all(np.diff(starts) >= length)


def test_windows_that_reach_over_the_border_are_counted():
    bars = make_bars([1000])
    none = spans_every(bars, 2000, 1)
    plain = split_windows(bars, none, length=100, stride=10)
    # Train is bars 0..599; of the starts 0, 10, ..., 590 those beyond 500 reach over its border.
    assert plain.purged == {"train": 9, "inner": 0, "test": 0}
    assert np.bincount(plain.split).tolist() == [51, 2, 2]
    late = split_windows(bars, none, length=100, stride=10, embargo=25)
    # Starts up to 475 keep 25 bars free; the last window of inner, 700..799, does not.
    assert late.purged == {"train": 12, "inner": 1, "test": 0}


def test_a_label_over_the_border_purges_the_windows_that_see_it():
    bars = make_bars([1000])
    span = Spans(
        start=np.array([590]),
        end=np.array([605]),
        type=np.array([-1]),
        weight=np.ones(1, np.float32),
        type_names=(),
    )
    split = split_windows(bars, span, length=100, stride=10)
    assert split.starts[split.split == 0].max() == 490
    assert split.starts[split.split == 1].tolist() == [700]
    assert split.purged == {"train": 10, "inner": 1, "test": 0}


def test_a_block_holds_the_same_times_of_every_symbol():
    bars = make_bars([300, 250])
    block = time_blocks(bars, size=50)
    assert np.bincount(block).tolist() == [50, 100, 100, 100, 100, 100]
    for b in range(6):
        times = bars.time[block == b]
        assert times.min() == np.datetime64(50 * b, "m")
        assert times.max() == np.datetime64(50 * b + 49, "m")


def test_a_rest_joins_the_last_block():
    assert np.bincount(time_blocks(make_bars([130]), size=50)).tolist() == [50, 80]


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 300))
def test_parts_follow_each_other_and_none_is_empty(blocks):
    part = block_parts(np.arange(blocks))
    assert np.all(np.diff(part) >= 0)
    assert np.unique(part).tolist() == [0, 1, 2]
    assert np.abs(np.bincount(part) - blocks * np.array([0.6, 0.2, 0.2])).max() <= 1


def test_too_little_time_is_one_clear_error():
    with pytest.raises(
        ValueError, match="at least 1 block of time for each of train, inner, test, got 2 in all"
    ):
        split_windows(make_bars([250]), spans_every(make_bars([250]), 50, 3), length=100)
    barred = make_bars([600], barriers=range(0, 600, 50))
    with pytest.raises(
        ValueError, match="at least 1 window of 100 bars for train, got 0: it has 400 of the 600"
    ):
        split_windows(barred, spans_every(barred, 50, 3), length=100)


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5, 0.1), (1.0, 0.0, 0.0), (0.6, 0.4), (float("nan"), 0.5, 0.5)]
)
def test_fractions_that_are_no_division_are_refused(fractions):
    with pytest.raises(ValueError, match="three positive numbers of sum 1"):
        block_parts(np.arange(10), fractions=fractions)


@settings(deadline=None, max_examples=30)
@given(worlds, st.integers(0, 9))
def test_intervals_of_windows_reach_over_warmup_and_hidden_labels_in_the_time_of_all_symbols(world, warmup):
    sizes, barriers, length, size = world
    bars = make_bars(sizes, barriers)
    spans = spans_every(bars, 37, size)
    starts = window_starts(bars.segment, length=length, stride=11)
    found = window_intervals(bars, spans, starts, length=length, warmup=warmup)
    minute = bars.time.astype("M8[m]").astype(np.int64)
    for row, a in enumerate(starts):
        held = set(range(a, a + length))
        for s, e in zip(spans.start, spans.end, strict=True):
            if held & set(range(s, e + 1)) and s < a + length and e >= a:
                held |= set(range(s, e + 1))
        held |= {b for b in range(max(a - warmup, 0), a) if bars.segment[b] == bars.segment[a]}
        assert (found.first[row], found.last[row]) == (minute[min(held)], minute[max(held)])


def test_windows_of_two_symbols_at_one_time_are_never_on_both_sides():
    bars = make_bars([300, 300])
    starts = window_starts(bars.segment, length=20, stride=7)
    first, last = window_intervals(bars, spans_every(bars, 37, 5), starts, length=20)
    for train, test in PurgedKFold(4, prediction_times=first, evaluation_times=last).split(starts):
        times = [{t for s in starts[side] for t in bars.time[s : s + 20].tolist()} for side in (train, test)]
        assert not times[0] & times[1]
        assert set(bars.symbol[starts[test]].tolist()) == {0, 1}
