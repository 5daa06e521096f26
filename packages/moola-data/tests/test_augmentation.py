"""Mirrored, shifted, jittered and warped windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.expansion_rule import ExpansionRule, label_expansions
from moola_data.features import compute_features, feature_set
from moola_data.jitter import feature_range, feature_scale, jitter
from moola_data.magnitude_warp import magnitude_warp, spline_weights
from moola_data.mirror import mirror_bars, mirror_features, with_mirrored
from moola_data.schema import Bars, Spans, WindowSet
from moola_data.shifted_copies import add_shifted
from moola_data.window_set import build_window_set
from moola_data.window_split import split_windows, window_extents
from moola_data.windows import gather


def make_bars(seed, n=900, symbols=1):
    """A walk on ticks of 1/4: sums and differences of prices are exact."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(symbols, dtype=np.int32), n)
    close = 10_000 + np.cumsum(rng.integers(-9, 10, n * symbols)) / 4
    opened = close - rng.integers(-9, 10, n * symbols) / 4
    high = np.maximum(opened, close) + rng.integers(0, 5, n * symbols) / 4
    low = np.minimum(opened, close) - rng.integers(0, 5, n * symbols) / 4
    return Bars(
        time=np.tile(np.arange(n), symbols).astype("M8[m]").astype("M8[ns]"),
        open=opened,
        high=high,
        low=low,
        close=close,
        symbol=code,
        segment=code.astype(np.int64),
        symbols=("A", "B", "C")[:symbols],
    )


def make_spans(starts, size=6):
    starts = np.asarray(starts, np.int64)
    return Spans(
        start=starts,
        end=starts + size - 1,
        type=np.zeros(len(starts), np.int64),
        weight=np.ones(len(starts), np.float32),
        type_names=("consolidation", "retracement"),
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_the_mirror_of_the_mirror_is_the_market(seed):
    bars = make_bars(seed, n=60, symbols=2)
    once = mirror_bars(bars)
    twice = mirror_bars(once)
    assert all(np.array_equal(getattr(twice, n), getattr(bars, n)) for n in ("open", "high", "low", "close"))
    assert np.all((once.low <= np.minimum(once.open, once.close)) & (once.low > 0))
    assert np.all(once.high >= np.maximum(once.open, once.close))
    assert np.array_equal(np.diff(once.close[:60]), -np.diff(bars.close[:60]))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000))
def test_mirrored_features_are_the_features_of_mirrored_bars_once_warm(seed):
    bars = make_bars(seed, n=400)
    matrix = compute_features(bars, "origin")
    there = compute_features(mirror_bars(bars), "origin").values
    here = mirror_features(matrix.values, matrix.names, features="origin")
    sound = (np.arange(400) >= feature_set("origin").warmup) & (bars.high > bars.low)
    assert sound.sum() > 250
    # One unit in the last place of f4 at 1: 1 - x is rounded, and so is a quotient.
    assert np.abs(there[sound] - here[sound]).max() <= 2e-7


def test_labels_of_mirrored_bars_are_the_same_spans():
    rule = ExpansionRule(min_displacement=2.5)
    bars = make_bars(3)
    one, other = label_expansions(bars, rule), label_expansions(mirror_bars(bars), rule)
    assert len(one) > 5
    assert np.array_equal(one.start, other.start)
    assert np.array_equal(one.type, other.type)


def make_set(seed=0):
    bars = make_bars(seed)
    spans = make_spans(range(20, 880, 37))
    return build_window_set(bars, compute_features(bars), spans, length=50, stride=7, position=True)


def test_mirrored_copies_follow_with_the_targets_and_groups_of_their_training_windows():
    one = make_set()
    both = with_mirrored(one)
    n, train = len(one), np.flatnonzero(one.split == 0)
    assert len(both) == n + len(train)
    WindowSet.model_validate(both)
    for name in ("group", "split", "weight"):
        assert np.array_equal(getattr(both, name)[:n], getattr(one, name))
        assert np.array_equal(getattr(both, name)[n:], getattr(one, name)[train])
    for task, target in one.targets.items():
        assert np.array_equal(both.targets[task][n:], target[train])
    shown = gather(both.features, both.starts[n:], length=50)
    known = mirror_features(
        gather(one.features, one.starts[train], length=50), one.feature_names, features="origin"
    )
    assert np.array_equal(shown, known)
    assert np.array_equal(
        gather(both.features, both.starts[:n], length=50), gather(one.features, one.starts, length=50)
    )
    for new, old in zip(range(n, len(both)), train, strict=True):
        assert np.array_equal(
            both.spans.start[both.spans.window == new], one.spans.start[one.spans.window == old]
        )


def test_features_without_their_counterpart_cannot_be_mirrored():
    values = np.zeros((3, 1), np.float32)
    with pytest.raises(ValueError, match="want 'lower_wick_pct' beside 'upper_wick_pct'"):
        mirror_features(values, ("upper_wick_pct",), features="origin")
    with pytest.raises(ValueError, match="want features of 'origin', got 'volume'"):
        mirror_features(values, ("volume",), features="origin")


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.integers(-60, 60).filter(bool), min_size=1, max_size=3, unique=True),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 5),
)
def test_shifted_copies_are_real_windows_that_show_their_sources_span_and_leak_nothing(
    offsets, share, warmup
):
    bars, spans = (
        make_bars(1, n=500, symbols=2),
        make_spans([*range(20, 480, 41), *range(520, 980, 41)], size=9),
    )
    split = split_windows(bars, spans, length=40, stride=11, warmup=warmup)
    more = add_shifted(split, bars, spans, offsets=offsets, min_visible=share, warmup=warmup)
    n = len(split)
    assert np.array_equal(more.starts[:n], split.starts)
    assert (more.split[n:] == 0).all()
    assert len(set(more.starts[more.split == 0].tolist())) == (more.split == 0).sum()
    for start, group in zip(more.starts[n:], more.group[n:], strict=True):
        assert bars.segment[start - warmup] == bars.segment[start + 39]
        sources = [
            s
            for s, g, p in zip(split.starts, split.group, split.split, strict=True)
            if p == 0 and g == group and start - s in offsets
        ]
        assert sources
        shown = [
            len(set(range(a, a + 9)) & set(range(start, start + 40))) / 9
            for s in sources
            for a in spans.start
            if a + 8 >= s and a < s + 40
        ]
        assert max(shown) >= max(share, 1 / 9)
    first, last = window_extents(spans, more.starts, length=40)
    times = [
        {t for a, b in zip(first[m], last[m], strict=True) for t in bars.time[a : b + 1].tolist()}
        for m in (more.split == 0, more.split != 0)
    ]
    assert not times[0] & times[1]
    assert more.purged["train"] >= split.purged["train"]


def test_shifts_that_say_nothing_are_refused():
    bars, spans = make_bars(1), make_spans([100, 300])
    split = split_windows(bars, spans, length=40)
    with pytest.raises(ValueError, match="offsets: want shifts other than 0"):
        add_shifted(split, bars, spans, offsets=(0, 52))
    with pytest.raises(ValueError, match="min_visible"):
        add_shifted(split, bars, spans, min_visible=1.5)


def test_jitter_has_the_scale_of_each_feature_and_spares_the_position():
    built = make_set()
    scale = feature_scale(built)
    used = np.zeros(len(built.features), bool)
    for s in built.starts[built.split == 0]:
        used[s : s + 50] = True
    assert scale == pytest.approx(built.features[used].std(axis=0), rel=1e-4)
    batch = gather(built.features, np.tile(built.starts, 20), length=50, position=True)
    noisy = jitter(batch, scale, seed=3, sigma=0.1)
    change = (noisy - batch)[..., :-1].reshape(-1, len(scale))
    assert change.std(axis=0) == pytest.approx(0.1 * scale, rel=0.05)
    assert np.abs(change.mean(axis=0)).max() < 0.01 * scale.max()
    assert np.array_equal(noisy[..., -1], batch[..., -1])
    assert np.array_equal(noisy, jitter(batch, scale, seed=3, sigma=0.1))
    assert not np.array_equal(noisy, jitter(batch, scale, seed=4, sigma=0.1))


def test_jitter_and_warp_stay_in_the_declared_range_when_told_to():
    built = make_set()
    low, high = feature_range(built.feature_names, features="origin")
    batch = gather(built.features, built.starts, length=50)
    for changed in (
        jitter(batch, np.ones(12, np.float32), seed=0, limits=(low, high)),
        magnitude_warp(batch, seed=0, sigma=1.0, limits=(low, high)),
    ):
        assert np.all((changed >= low) & (changed <= high))
        assert not np.array_equal(changed, batch)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 8), st.integers(2, 120), st.integers(0, 1000))
def test_the_spline_meets_its_knots_keeps_lines_and_is_smooth(knots, length, seed):
    weights = spline_weights(length, knots=knots)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights @ np.arange(knots) == pytest.approx(np.linspace(0, knots - 1, length), abs=1e-9)
    y = np.random.default_rng(seed).normal(size=knots)
    fine = spline_weights(200 * (knots - 1) + 1, knots=knots) @ y
    assert fine[::200] == pytest.approx(y)
    # A natural spline's second derivative is continuous and 0 at both ends.
    bend = np.diff(fine, 2) * 200**2
    assert abs(bend[0]) < 0.2 * (1 + np.abs(bend).max())
    assert np.abs(np.diff(bend)).max() < 0.05 * (1 + np.abs(bend).max())


def test_a_warp_without_spread_changes_nothing_and_spares_the_other_columns():
    batch = np.random.default_rng(0).normal(size=(5, 30, 4)).astype(np.float32)
    assert np.array_equal(magnitude_warp(batch, seed=1, sigma=0), batch)
    warped = magnitude_warp(batch, seed=1, features=3)
    assert np.array_equal(warped[..., 3], batch[..., 3])
    ratio = warped[..., :3] / batch[..., :3]
    assert np.abs(np.diff(ratio, axis=1)).max() < 0.2
    assert ratio[:, [0, 29]].std() == pytest.approx(0.2, rel=0.5)
    with pytest.raises(ValueError, match="knots: want 2 or more, got 1"):
        magnitude_warp(batch, seed=1, knots=1)
    with pytest.raises(ValueError, match=r"features: want 0..4 columns, got 5"):
        magnitude_warp(batch, seed=1, features=5)


def test_noise_that_is_no_noise_is_refused():
    batch, scale = np.ones((2, 5, 3), np.float32), np.ones(3, np.float32)
    for sigma in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"sigma: want a finite number, 0 or more, got"):
            jitter(batch, scale, seed=0, sigma=sigma)
        with pytest.raises(ValueError, match=r"sigma: want a finite number, 0 or more, got"):
            magnitude_warp(batch, seed=0, sigma=sigma)
    with pytest.raises(ValueError, match=r"scale: want finite numbers, 0 or more, got nan in column 1"):
        jitter(batch, np.array([1, np.nan, -1], np.float32), seed=0)
