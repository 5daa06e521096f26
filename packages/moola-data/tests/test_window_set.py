"""Windows with targets, and parts of them."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.pointers import decode_pointers
from moola_data.schema import Bars, Spans
from moola_data.window_set import build_window_set
from moola_data.window_split import WindowSplit, split_windows
from moola_data.window_subset import part, select
from moola_data.windows import gather

N, K = 600, 30


class Matrix(NamedTuple):
    values: np.ndarray
    names: tuple[str, ...] = ("a", "b")
    feature_set: str = "test"


def make_bars():
    price = np.full(N, 1.0)
    return Bars(
        time=np.arange(N).astype("M8[m]").astype("M8[ns]"),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=np.zeros(N, np.int32),
        segment=np.zeros(N, np.int64),
        symbols=("A",),
    )


def make_spans(rows):
    start, end, kind = (np.array([r[i] for r in rows], np.int64) for i in range(3))
    weight = np.linspace(0.5, 1.5, len(rows), dtype=np.float32)
    return Spans(start=start, end=end, type=kind, weight=weight, type_names=("consolidation", "retracement"))


def matrix(seed=0):
    return Matrix(np.random.default_rng(seed).normal(size=(N, 2)).astype(np.float32))


@st.composite
def span_rows(draw):
    starts = draw(st.lists(st.integers(0, N - 20), unique=True, min_size=1, max_size=40))
    return [(s, s + draw(st.integers(0, 19)), draw(st.integers(-1, 1))) for s in starts]


def whole(starts):
    n = len(starts)
    return WindowSplit(
        starts=np.asarray(starts, np.int64),
        length=K,
        group=np.arange(n),
        split=np.zeros(n, np.int8),
        purged={},
    )


@settings(deadline=None, max_examples=40)
@given(span_rows(), st.lists(st.integers(0, N - K), min_size=1, max_size=12))
def test_targets_equal_those_of_one_window_after_the_other(rows, starts):
    built = build_window_set(
        make_bars(), matrix(), make_spans(rows), length=K, countdown_form="raw", split=whole(starts)
    )
    weights = make_spans(rows).weight
    for i, a in enumerate(starts):
        seen = [
            (max(s - a, 0), min(e - a, K - 1), t, w)
            for (s, e, t), w in zip(rows, weights, strict=True)
            if e >= a and s < a + K
        ]
        mask = [any(s <= t <= e for s, e, _, _ in seen) for t in range(K)]
        assert np.array_equal(built.targets["span"][i], mask)
        assert built.masks["span"][i]
        assert built.masks["countdown"][i] == built.masks["pointers"][i] == bool(seen)
        if not seen:
            assert built.weight[i] == 1
            assert not built.masks["type"][i]
            assert not built.targets["countdown"][i].any()
            continue
        longest = max(seen, key=lambda r: (r[1] - r[0], -r[0]))
        ties = [r for r in seen if r[:2] == longest[:2]]
        kinds = {r[2] for r in ties}
        kind = built.targets["type"][i] if built.masks["type"][i] else -1
        assert kind in kinds
        found = decode_pointers(built.targets["pointers"][i], length=K, encoding="origin")
        assert np.rint(found).tolist() == list(longest[:2])
        nearest = [max((s - t for s, *_ in seen), key=lambda c: (-abs(c), c)) for t in range(K)]
        assert built.targets["countdown"][i].tolist() == nearest
        assert built.weight[i] == pytest.approx(np.mean([r[3] for r in seen]))


def test_a_window_with_two_spans_points_at_the_longer_and_counts_to_both():
    rows = [(105, 107, 0), (120, 124, -1)]
    built = build_window_set(
        make_bars(), matrix(), make_spans(rows), length=K, countdown_form="raw", split=whole([100])
    )
    assert not built.masks["type"][0]
    assert np.rint(decode_pointers(built.targets["pointers"][0], length=K, encoding="origin")).tolist() == [
        20,
        24,
    ]
    # Bar 12 lies 7 after the first start and 8 before the second; bar 13 the other way round.
    assert built.targets["countdown"][0, [4, 5, 12, 13, 20, 29]].tolist() == [1, 0, -7, 7, 0, -9]


def test_a_band_masks_the_countdown_bar_by_bar():
    built = build_window_set(
        make_bars(),
        matrix(),
        make_spans([(110, 112, 0)]),
        length=K,
        countdown_band=3,
        split=whole([100, 300]),
    )
    assert np.flatnonzero(built.masks["countdown"][0]).tolist() == [7, 8, 9, 10, 11, 12, 13]
    assert not built.masks["countdown"][1].any()
    assert built.targets["countdown"].dtype == np.float32


def test_the_set_says_how_its_targets_are_encoded_and_holds_the_features_by_reference():
    features = matrix()
    rows = [(s, s + 6, 1) for s in range(20, 560, 50)]
    built = build_window_set(
        make_bars(), features, make_spans(rows), length=K, pointer_encoding="exact", span_form="soft"
    )
    assert built.encoding == {"span": "soft", "pointers": "exact", "countdown": "clipped"}
    assert built.features is features.values
    assert set(np.unique(built.targets["span"])) == {0, np.float32(0.25), 1}
    assert built.purged == split_windows(make_bars(), make_spans(rows), length=K).purged


@settings(deadline=None, max_examples=30)
@given(span_rows(), st.data())
def test_chosen_windows_keep_their_targets_and_spans(rows, data):
    built = build_window_set(
        make_bars(), matrix(), make_spans(rows), length=K, split=whole(range(0, N - K, 17))
    )
    index = data.draw(st.lists(st.integers(0, len(built) - 1), max_size=10))
    chosen = select(built, index)
    assert chosen.features is built.features
    assert len(chosen) == len(index)
    for new, old in enumerate(index):
        assert np.array_equal(chosen.targets["span"][new], built.targets["span"][old])
        mine, theirs = chosen.spans.window == new, built.spans.window == old
        for name in ("start", "end", "type", "weight", "cut"):
            assert np.array_equal(getattr(chosen.spans, name)[mine], getattr(built.spans, name)[theirs])
    type(built).model_validate(chosen)


def test_the_parts_make_up_the_set():
    rows = [(s, s + 6, 1) for s in range(20, 560, 50)]
    built = build_window_set(make_bars(), matrix(), make_spans(rows), length=K, stride=3)
    parts = [part(built, name) for name in ("train", "inner", "test")]
    assert sum(map(len, parts)) == len(built)
    assert [set(p.split.tolist()) for p in parts] == [{0}, {1}, {2}]
    with pytest.raises(ValueError, match="at least 1 window of test, got 0"):
        part(parts[0], "test")
    with pytest.raises(ValueError, match=r"want one of .*'validation'"):
        part(built, "validation")


def test_features_that_are_not_finite_in_a_window_are_refused():
    features = matrix()
    features.values[2, 1] = np.nan
    rows = [(s, s + 6, 1) for s in range(20, 560, 50)]
    with pytest.raises(ValueError, match=r"longer warmup.*got b = nan in row 2"):
        build_window_set(make_bars(), features, make_spans(rows), length=K)
    split = split_windows(make_bars(), make_spans(rows), length=K, warmup=3)
    built = build_window_set(make_bars(), features, make_spans(rows), length=K, split=split)
    assert np.isfinite(gather(built.features, built.starts, length=K)).all()


def test_what_does_not_belong_together_is_refused():
    rows = make_spans([(20, 30, 0)])
    with pytest.raises(ValueError, match="want 600 rows, one a bar, got 599"):
        build_window_set(make_bars(), Matrix(matrix().values[1:]), rows, length=K)
    with pytest.raises(ValueError, match="windows of 20 bars, got 30"):
        build_window_set(make_bars(), matrix(), rows, length=20, split=whole([0]))
    built = build_window_set(make_bars(), matrix(), rows, length=K, split=whole([0, 50]))
    with pytest.raises(ValueError, match=r"index: want 0..1, got 2 in row 1"):
        select(built, [0, 2])
    with pytest.raises(ValueError, match="want 2 bools"):
        select(built, np.ones(3, bool))
