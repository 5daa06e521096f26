"""A finished run in use: whole files, bar by bar, streams, and files that are too long to do at once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from surges import K, cut, several, slow_probability, table, train_on_surges

from moola_data.bars import make_bars
from moola_data.features import compute_features, feature_set
from moola_train.recipes import detector, warm_features
from moola_train.recipes.detector import Detector
from moola_train.recipes.marks_table import marks_table


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return train_on_surges(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def loaded(trained) -> Detector:
    return Detector.load(trained, threads=1)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks and chunks so small that short files have many."""
    monkeypatch.setattr(warm_features, "BLOCK", 64)
    monkeypatch.setattr(warm_features, "RUN_UP", 1)
    monkeypatch.setattr(detector, "CHUNK", 5)


def test_probabilities_are_means_over_the_windows_that_hold_a_bar(loaded):
    bars = several()
    starts = []
    for segment in np.unique(bars.segment):
        rows = np.flatnonzero(bars.segment == segment)
        if len(rows) >= K:
            starts += sorted({*range(rows[0], rows[-1] - K + 2, K // 2), rows[-1] - K + 1})
    wanted = slow_probability(loaded, bars, starts)
    np.testing.assert_allclose(loaded.mark(bars).probability, wanted, atol=1e-5)


def test_spans_are_runs_at_or_above_the_threshold_and_cross_no_barrier(loaded):
    bars = several()
    marks = loaded.mark(bars)
    inside = np.zeros(len(bars), bool)
    for start, end in zip(marks.spans.start, marks.spans.end, strict=True):
        inside[start : end + 1] = True
        assert bars.segment[start] == bars.segment[end]
    assert len(marks.spans) > 5
    np.testing.assert_array_equal(inside, marks.probability >= np.float32(loaded.decision.both.threshold))


def test_what_was_planted_is_found_and_pointers_lie_in_its_spans(loaded):
    frame, first = table(1200, seed=9)
    marks = loaded.mark(make_bars(frame))
    middle = (marks.spans.start + marks.spans.end) / 2
    right = np.array([np.abs(first + 2 - m).min() <= 2 for m in middle])
    assert right.mean() > 0.5
    assert ((marks.confidence > 0) & (marks.confidence < 1)).all()
    known = ~np.isnan(marks.pointers[:, 0])
    assert known.mean() > 0.2
    size = marks.spans.end - marks.spans.start
    assert (marks.pointers[known, 0] >= -0.5).all()
    assert (marks.pointers[known, 0] <= size[known] + 0.5).all()
    assert set(np.unique(marks.spans.type)) <= {0, 1}


def test_several_symbols_are_marked_as_each_alone(loaded):
    bars = several()
    whole = marks_table(loaded.mark(bars), bars)
    for symbol in bars.symbols:
        alone = cut(bars, bars.symbol == bars.symbols.index(symbol))
        found = marks_table(loaded.mark(alone), alone)
        mine = whole[whole["symbol"] == symbol].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, mine, rtol=1e-4, atol=1e-5)


def test_blocks_and_chunks_leave_the_spans_of_the_whole(loaded, monkeypatch):
    bars = several()
    whole = loaded.mark(bars)
    monkeypatch.setattr(detector, "CHUNK", 3)
    np.testing.assert_allclose(loaded.mark(bars).probability, whole.probability, atol=1e-6)


def test_threads_change_nothing(loaded, monkeypatch, tmp_path):
    bars = several()
    monkeypatch.setattr(detector, "CHUNK", 5)
    told = {1: [], 3: []}
    one, three = (
        loaded._replace(threads=n).mark(bars, work=tmp_path / str(n), told=lambda *a, n=n: told[n].append(a))
        for n in (1, 3)
    )
    np.testing.assert_array_equal(one.probability, three.probability)
    np.testing.assert_array_equal(one.pointers, three.pointers)
    assert told[1] == told[3]
    assert len(told[1]) > 4


@pytest.mark.parametrize("name", ["origin", "jade"])
def test_features_of_any_stretch_are_those_of_the_whole_file_once_warm(name, monkeypatch):
    bars = make_bars(table(900)[0])
    features = feature_set(name)
    whole = compute_features(bars, features).values
    part = warm_features.warm_features(bars, features, 700, 800)
    np.testing.assert_array_equal(part, whole[700:800])
    monkeypatch.setattr(warm_features, "BLOCK", 64)
    monkeypatch.setattr(warm_features, "RUN_UP", 4)
    again = warm_features.warm_features(bars, features, 0, 900)
    assert (np.abs(again - whole).max(axis=1) > 1e-3).mean() < 0.02


def test_features_of_a_forgotten_past_are_refused_or_the_same(small_blocks):
    bars = make_bars(table(900)[0])
    features = feature_set("origin")
    whole = warm_features.warm_features(bars, features, 600, 900)
    need = warm_features.first_needed(600, features)
    tail = cut(bars, slice(need, None))
    np.testing.assert_array_equal(
        warm_features.warm_features(tail, features, 600 - need, 900 - need, offset=need), whole
    )
    late = cut(bars, slice(need + 1, None))
    with pytest.raises(ValueError, match="offset: want the bars from"):
        warm_features.warm_features(late, features, 599 - need, 899 - need, offset=need + 1)


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_in_any_pieces_settles_the_spans_of_the_whole_file(seed, loaded, small_blocks):
    bars = several()
    rng = np.random.default_rng(seed)
    # Symbols advance side by side, each in its own order of time.
    order = rng.permutation(bars.symbol) if seed % 2 else bars.symbol
    rows = np.empty(len(bars), np.int64)
    for symbol in range(3):
        rows[order == symbol] = np.flatnonzero(bars.symbol == symbol)
    pieces = np.sort(rng.choice(len(bars), rng.integers(1, 12), replace=False))
    stream = loaded.stream(borders="segment")
    settled, seen = [], np.empty(0, np.int64)
    for piece in np.split(rows, pieces):
        if not len(piece):
            continue
        said = stream.append(cut(bars, np.sort(piece)))
        settled.append(said.settled)
        seen = np.sort(np.concatenate([seen, piece]))
        for symbol, until in said.settled_until.items():
            mine = said.provisional[said.provisional["symbol"] == symbol]
            assert (mine["end"] >= until - pd.Timedelta("1min")).all()
    so_far = cut(bars, seen)
    wanted = marks_table(loaded.mark(so_far), so_far)
    same(pd.concat([*settled, said.provisional]), wanted)
    same(pd.concat([*settled, stream.close().settled]), wanted)


def same(found, wanted):
    by = ["symbol", "start"]
    found, wanted = (t.sort_values(by).reset_index(drop=True) for t in (found, wanted))
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-3, atol=1e-4)


def test_at_every_bar_settled_and_provisional_spans_are_those_of_the_file_so_far(loaded, small_blocks):
    bars = make_bars(table(150, seed=4)[0])
    stream, settled = loaded.stream(), []
    for bar in range(len(bars)):
        said = stream.append(cut(bars, slice(bar, bar + 1)))
        settled.append(said.settled)
        if bar + 1 >= K and bar % 7 == 0:
            so_far = cut(bars, slice(0, bar + 1))
            same(pd.concat([*settled, said.provisional]), marks_table(loaded.mark(so_far), so_far))
        if bar >= K:
            assert said.settled_until["A"] == bars.time[bar - K]


def test_a_stream_forgets_what_is_settled(loaded, small_blocks):
    stream = loaded.stream()
    frame, _ = table(3000, seed=4)
    bars = make_bars(frame)
    for first in range(0, 3000, 100):
        stream.append(cut(bars, slice(first, first + 100)))
        assert len(stream._stretches["A"]._bars()) < 600
        assert len(stream._stretches["A"]._starts) < 30


def test_a_long_gap_between_calls_ends_a_stretch(loaded):
    bars = make_bars(table(120, seed=4)[0])
    late = make_bars(table(120, seed=5)[0])
    late = late.model_copy(update={"time": late.time + np.timedelta64(1, "D")})
    stream = loaded.stream(gap=pd.Timedelta("1h").to_pytimedelta())
    first = stream.append(bars)
    second = stream.append(late)
    told = pd.concat([first.settled, second.settled])
    same(told[told["start"] < late.time[0]], marks_table(loaded.mark(bars), bars))
    with pytest.raises(ValueError, match="want bars of 'A' after"):
        stream.append(bars)


def test_causal_marks_use_no_bar_that_had_not_come(loaded):
    bars = several()
    before = loaded.mark_causal(bars)
    assert np.isnan(before.probability).sum() == before.unmarked
    for seed, at in enumerate((60, 140, 300, 420)):
        rng = np.random.default_rng(seed)
        factor = np.ones(len(bars))
        factor[at:] = rng.uniform(0.8, 1.25, len(bars) - at)
        changed = bars.model_copy(
            update={name: getattr(bars, name) * factor for name in ("open", "high", "low", "close")}
        )
        after = loaded.mark_causal(changed)
        np.testing.assert_array_equal(after.probability[:at], before.probability[:at])
        for marks in (before, after):
            assert len(marks.spans)
        done = [s.spans.end < at - 1 for s in (before, after)]
        for name in ("start", "end", "type"):
            np.testing.assert_array_equal(
                getattr(after.spans, name)[done[1]], getattr(before.spans, name)[done[0]]
            )
        np.testing.assert_array_equal(after.confidence[done[1]], before.confidence[done[0]])
    assert not np.array_equal(after.probability, before.probability)


def test_a_causal_probability_is_the_last_bars_of_its_window(loaded):
    bars = make_bars(table(70, seed=2)[0])
    values = compute_features(bars, loaded.features).values
    wanted = [loaded.answer(values, np.array([t - K + 1])).probability[0, -1] for t in range(K - 1, 70)]
    found = loaded.mark_causal(bars).probability
    np.testing.assert_allclose(found[K - 1 :], wanted, atol=1e-6)
    assert np.isnan(found[: K - 1]).all()
