"""A finished run in use: whole files, bar by bar, streams, and files that are too long to do at once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moola_data.bars import make_bars, read_bars
from moola_data.features import compute_features, feature_set
from moola_data.spans_file import read_spans
from moola_data.window_subset import part
from moola_eval.decoding import decode
from moola_eval.detection import span_f1
from moola_eval.schema import Truth
from moola_eval.targets import Targets
from moola_train.recipes import chunk_store, detector, warm_features
from moola_train.recipes.commands import run
from moola_train.recipes.deciding import inner_probability
from moola_train.recipes.detector import Detector
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.marks_table import marks_table
from moola_train.recipes.settings import read_run_settings

K = 24
CONFIG = f"""
[data]
length = {K}
stride = 6
[fit]
epochs = 12
learning_rate = 0.01
selection = "span_loss"
[evaluation]
resamples = 50
"""


def table(n, seed=0, symbol="A", every="min"):
    """A walk with surges of 5 bars, which are there to be found, and their first bars."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.001, n)
    first = np.arange(6, n - 6, 19) + rng.integers(0, 6, len(np.arange(6, n - 6, 19)))
    first = first[first + 5 <= n]
    for at in first:
        moves[at : at + 5] += rng.choice([-1, 1]) * 0.0025
    close = 100 * np.exp(np.cumsum(moves))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0, 0.0005, (2, n)))
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=n, freq=every),
            "open": open_,
            "high": np.maximum(open_, close) * (1 + wick[0]),
            "low": np.minimum(open_, close) * (1 - wick[1]),
            "close": close,
            "symbol": symbol,
        }
    )
    return frame, first


def several(seed=3):
    """Three symbols; sessions of uneven length, one shorter than a window and one of a window exactly."""
    cuts = {"A": (0, 90, 100, 200), "B": (0, K, 150), "C": (0, 70)}
    frames = []
    for number, (symbol, session) in enumerate(cuts.items()):
        frame, _ = table({"A": 260, "B": 230, "C": 130}[symbol], seed + number, symbol)
        frames.append(frame.assign(session=np.searchsorted(session, np.arange(len(frame)), "right")))
    return make_bars(pd.concat(frames), segment_column="session")


def cut(bars, rows):
    names = ("time", "open", "high", "low", "close", "symbol", "segment")
    return bars.model_copy(update={name: getattr(bars, name)[rows] for name in names})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("detector")
    frame, first = table(1500)
    frame.to_csv(folder / "bars.csv", index=False)
    kinds = np.array(["up", "down"])[
        (frame["close"][first + 4].to_numpy() < frame["open"][first]).astype(int)
    ]
    kinds = np.where(kinds == "up", "consolidation", "retracement")
    pd.DataFrame({"start": first, "end": first + 4, "type": kinds, "symbol": "A"}).to_csv(
        folder / "spans.csv", index=False
    )
    (folder / "run.toml").write_text(CONFIG)
    words = ["train", "--bars", str(folder / "bars.csv"), "--spans", str(folder / "spans.csv")]
    assert run([*words, "--config", str(folder / "run.toml"), "--run", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def loaded(trained) -> Detector:
    return Detector.load(trained, threads=1)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks and chunks so small that short files have many."""
    monkeypatch.setattr(warm_features, "BLOCK", 64)
    monkeypatch.setattr(warm_features, "RUN_UP", 1)
    monkeypatch.setattr(detector, "CHUNK", 5)


def slow_probability(loaded, bars, starts):
    """Bar by bar, window by window."""
    values = compute_features(bars, loaded.features).values
    said = [[] for _ in range(len(bars))]
    for start in starts:
        one = loaded.answer(values, np.array([start]))
        for bar in range(K):
            said[start + bar].append(one.probability[0, bar])
    return np.array([np.mean(x) if x else np.nan for x in said])


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


class StopError(Exception):
    """The user has had enough."""


def test_an_interrupted_prediction_goes_on_without_loss_and_without_doing_it_again(
    loaded, tmp_path, small_blocks, monkeypatch
):
    bars = several()
    whole = loaded.mark(bars)
    done = []

    def told(windows, _):
        done.append(windows)
        if len(done) == 3:
            raise StopError

    with pytest.raises(StopError):
        loaded.mark(bars, work=tmp_path / "work", told=told)
    asked = []
    answer = Detector.answer
    monkeypatch.setattr(Detector, "answer", lambda *a: asked.append(len(a[2])) or answer(*a))
    again = loaded.mark(bars, work=tmp_path / "work", told=lambda *_: None)
    np.testing.assert_array_equal(again.probability, whole.probability)
    np.testing.assert_array_equal(again.pointers, whole.pointers)
    np.testing.assert_array_equal(again.spans.type, whole.spans.type)
    total = len(detector.covering_starts(bars.segment, length=K, mode="both"))
    assert sum(asked) == total - done[2]


def test_work_of_other_bars_or_damaged_work_is_refused(loaded, tmp_path):
    bars = several()
    loaded.mark(bars, work=tmp_path / "work")
    other = bars.model_copy(update={"close": bars.close * 1.0000001})
    with pytest.raises(ValueError, match="work: want what is done of the same bars"):
        loaded.mark(other, work=tmp_path / "work")
    with pytest.raises(ValueError, match="work: want what is done of the same bars"):
        loaded.mark_causal(bars, work=tmp_path / "work")
    chunk = next((tmp_path / "work").glob("chunk-*"))
    chunk.write_bytes(chunk.read_bytes()[:-9])
    with pytest.raises(ValueError, match="work: want a readable"):
        loaded.mark(bars, work=tmp_path / "work")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="with other files"):
        loaded.mark(bars, work=tmp_path / "full")
    chunk_store.discard(tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").is_file()


def test_the_decision_says_what_causal_marks_lose(loaded):
    both, causal = loaded.decision.both, loaded.decision.causal
    for marking in (both, causal):
        assert 0 <= marking.threshold <= 1
        assert marking.false_alarms >= 0
        assert 0 < marking.detected <= 1
        assert marking.confidence.method == "platt"
        assert marking.confidence.spans >= marking.confidence.right > 0
    assert both.inner_value > causal.inner_value
    assert min(causal.delay, both.delay) >= 0


@pytest.mark.parametrize("mode", ["both", "causal"])
def test_thresholds_are_chosen_on_what_a_file_of_the_inner_bars_would_be_marked_with(mode, loaded, trained):
    bars = read_bars(trained.parent / "bars.csv")
    config = read_run_settings(trained.parent / "run.toml")
    windows, _ = expansion_windows(bars, read_spans(trained.parent / "spans.csv", bars), config)
    inner = part(windows, "inner")
    found = inner_probability(loaded.model, windows.features, inner, bars, config.data, mode)
    if mode == "causal":
        wanted = loaded.mark_causal(bars).probability
    else:
        first, last = inner.starts.min(), inner.starts.max() + K - 1
        assert len(inner) * K == last - first + 1
        starts = sorted({*range(first, last - K + 2, K // 2), last - K + 1})
        wanted = slow_probability(loaded, bars, starts)
    rows = inner.starts[:, None] + np.arange(K)
    np.testing.assert_allclose(found, wanted[rows], atol=1e-5)
    marking = getattr(loaded.decision, mode)
    truth = Truth.model_validate(inner)
    marked = decode(found, threshold=marking.threshold)
    assert span_f1(Targets.of(truth).spans, marked, labels="ignored").value == pytest.approx(
        marking.inner_value
    )


def test_a_run_of_version_1_is_read_and_marks_with_its_one_threshold(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "decision.json"
    old = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in old.items() if k not in ("both", "causal")}))
    with pytest.raises(ValueError, match="both"):
        Detector.load(tmp_path / "run")
    old |= {"schema_version": 1, "calibration": "none"}
    path.write_text(json.dumps({k: v for k, v in old.items() if k not in ("both", "causal")}))
    run_1 = Detector.load(tmp_path / "run")
    marks = run_1.mark(several())
    marked = marks.probability >= np.float32(old["threshold"])
    assert marked.sum() == (marks.spans.end - marks.spans.start + 1).sum()
    assert np.isnan(marks.confidence).all()
    with pytest.raises(ValueError, match="of version 2 for causal marks"):
        run_1.mark_causal(several())


def predict(trained, folder, out, *more):
    return run(["predict", str(folder / "bars.csv"), "--run", str(trained), "--out", str(out), *more])


def test_predict_writes_tables_and_label_studio_tasks_and_cleans_up(trained, tmp_path, capsys):
    frame, _ = table(300, seed=8)
    frame.to_csv(tmp_path / "bars.csv", index=False)
    bars = make_bars(frame)
    assert predict(trained, tmp_path, tmp_path / "a.csv", "--label-studio", str(tmp_path / "tasks")) == 0
    more = ["--details", str(tmp_path / "all.parquet")]
    assert predict(trained, tmp_path, tmp_path / "a.parquet", *more) == 0
    spans = [read_spans(tmp_path / name, bars) for name in ("a.csv", "a.parquet")]
    direct = Detector.load(trained).mark(bars)
    everything = pd.read_parquet(tmp_path / "all.parquet")
    np.testing.assert_array_equal(everything["confidence"], direct.confidence)
    np.testing.assert_array_equal(everything[["centre", "length"]], direct.pointers)
    np.testing.assert_array_equal(pd.read_parquet(tmp_path / "a.parquet")["score"], direct.confidence)
    for one in spans:
        np.testing.assert_array_equal(one.start, direct.spans.start)
        np.testing.assert_array_equal(one.end, direct.spans.end)
    tasks = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    drawn = [region for task in tasks for region in task["predictions"][0]["result"]]
    assert len({(r["value"]["start"], r["value"]["end"]) for r in drawn}) == len(direct.spans)
    assert not list(tmp_path.glob(".*"))
    assert predict(trained, tmp_path, tmp_path / "c.csv", "--causal") == 0
    said = capsys.readouterr().err
    assert "causal, span F1" in said
    assert "false alarms per 1,000 bars" in said
    assert "23 of 300 bars" in said


def test_barriers_of_the_file_are_given_by_flags(trained, tmp_path):
    frame, _ = table(120, seed=8)
    frame.loc[60:, "time"] += pd.Timedelta("3h")
    frame.assign(session=np.arange(120) // 60).to_csv(tmp_path / "bars.csv", index=False)
    for name, more in (("gap", ["--gap", "90"]), ("segment", ["--segment", "session"]), ("none", [])):
        assert predict(trained, tmp_path, tmp_path / f"{name}.csv", *more) == 0
    texts = {name: (tmp_path / f"{name}.csv").read_text() for name in ("gap", "segment", "none")}
    assert texts["gap"] == texts["segment"] != texts["none"]
