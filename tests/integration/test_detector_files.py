"""A finished run on files: interrupted work, damaged folders, thresholds, the command and its flags."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from surges import K, several, slow_probability, table, train_on_surges

from moola_data.bars import make_bars, read_bars
from moola_data.spans_file import read_spans
from moola_data.window_subset import part
from moola_eval.decoding import decode
from moola_eval.detection import span_f1
from moola_eval.schema import Truth
from moola_eval.targets import Targets
from moola_train.recipes import chunk_store, detector, warm_features
from moola_train.recipes.commands import run
from moola_train.recipes.deciding import marked_probability
from moola_train.recipes.detector import Detector
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.settings import read_run_settings


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
    found = marked_probability(loaded.model, windows.features, inner, bars, config.data, mode)
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


def test_what_the_report_says_of_predict_is_what_predict_marks_in_the_test_part(loaded, trained):
    bars = read_bars(trained.parent / "bars.csv")
    config = read_run_settings(trained.parent / "run.toml")
    windows, _ = expansion_windows(bars, read_spans(trained.parent / "spans.csv", bars), config)
    test = part(windows, "test")
    first, last = test.starts.min(), test.starts.max() + K - 1
    assert len(test) * K == last - first + 1
    starts = sorted({*range(first, last - K + 2, K // 2), last - K + 1})
    seen = slow_probability(loaded, bars, starts)[test.starts[:, None] + np.arange(K)]
    marked = decode(seen, threshold=loaded.decision.both.threshold)
    value = span_f1(Targets.of(Truth.model_validate(test)).spans, marked, labels="ignored").value
    assert loaded.decision.both.test_value == pytest.approx(value)
    assert loaded.decision.causal.test_value is None
    assert f"marked so, the test part has span F1 {value:.4g}." in (trained / "report.md").read_text()


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
