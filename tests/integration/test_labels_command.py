"""`moola labels`: what to label next, which labels look wrong, where two people differ."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from moola_data.bars import read_bars
from moola_data.label_studio import read_label_studio
from moola_data.spans_file import read_spans
from moola_train.recipes import labels_command
from moola_train.recipes.commands import run
from moola_train.recipes.detector import Detector
from moola_train.recipes.label_queue import next_windows
from moola_train.recipes.label_ranking import Work
from moola_train.recipes.label_tables import whole_windows
from moola_train.recipes.learning_curve import Worth

K = 20


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Bars that nobody has labelled, of two symbols."""
    folder = tmp_path_factory.mktemp("fresh")
    frames = []
    for number, symbol in enumerate("AB"):
        rng = np.random.default_rng(number)
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.002, 210)))
        open_ = np.concatenate([[100.0], close[:-1]])
        frames.append(
            pd.DataFrame(
                {
                    "time": pd.date_range("2024-03-01", periods=210, freq="min"),
                    "symbol": symbol,
                    "open": open_,
                    "high": np.maximum(open_, close) * 1.001,
                    "low": np.minimum(open_, close) * 0.999,
                    "close": close,
                }
            )
        )
    pd.concat(frames).to_csv(folder / "bars.csv", index=False)
    return folder / "bars.csv"


def next_of(finished, fresh, out, *more):
    return run(["labels", "next", str(finished), "--bars", str(fresh), "--out", str(out), *more])


@pytest.mark.parametrize("whose", ["own", "new"])
def test_next_says_so_where_the_bars_are_those_of_the_training(
    whose, finished, fresh, market, tmp_path, capsys, monkeypatch
):
    nothing = Worth(*[float("nan")] * 4, known=False, why="not asked here")
    monkeypatch.setattr(labels_command, "_worth", lambda *_, **__: nothing)
    bars = market / "bars.csv" if whose == "own" else fresh
    assert next_of(finished, bars, tmp_path / "todo", "--count", "2", "--passes", "1") == 0
    assert ("bars of the run's training" in capsys.readouterr().err) == (whose == "own")


def test_next_writes_a_ranked_table_marks_and_tasks(finished, fresh, tmp_path, capsys):
    out = tmp_path / "todo"
    assert next_of(finished, fresh, out, "--count", "6", "--curve", "0", "--passes", "2") == 0
    said = capsys.readouterr().out
    assert "6 of 40 windows" in said
    table = pd.read_parquet(out / "windows.parquet")
    bars = read_bars(fresh)
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["score"].is_monotonic_decreasing
    assert len(pd.read_csv(out / "windows.csv")) == 6
    for _, mine in table.groupby("symbol"):
        assert (np.diff(np.sort(mine["bar"])) >= K).all()
    hours = (20 + 10 * table["spans"]) / 3600
    np.testing.assert_allclose(table["hours"], hours)
    np.testing.assert_allclose(table["hours_so_far"], hours.cumsum())
    np.testing.assert_allclose(table["score"], table["value"] / hours * table["left"])
    tasks = json.loads((out / "tasks" / "tasks.json").read_text())
    assert [task["data"]["rank"] for task in tasks] == [1, 2, 3, 4, 5, 6]
    assert [task["data"]["first_bar"] for task in tasks] == table["bar"].tolist()
    assert [task["data"]["symbol"] for task in tasks] == table["symbol"].tolist()
    marks = read_spans(out / "spans.csv", bars)
    shown, _ = read_label_studio(out / "tasks" / "tasks.json", bars, wanted="predictions")
    assert sorted(zip(shown.start, shown.end, strict=True)) == sorted(
        zip(marks.start, marks.end, strict=True)
    )


def test_labelled_bars_are_left_out_and_the_same_seed_gives_the_same(finished, fresh, tmp_path):
    bars = read_bars(fresh)
    detector = Detector.load(finished)
    known = np.zeros(len(bars), bool)
    known[60:150] = True
    queue = next_windows(detector, bars, count=100, known=known, passes=2)
    assert not any(known[a : b + 1].any() for a, b in zip(queue.first, queue.last, strict=True))
    again = next_windows(detector, bars, count=100, known=known, passes=2)
    pd.testing.assert_frame_equal(queue.table, again.table)
    free = next_windows(detector, bars, count=100, work=Work(1, 0), passes=2)
    np.testing.assert_allclose(free.table["score"], free.table["value"] * 3600 * free.table["left"])
    with pytest.raises(ValueError, match="nobody has labelled"):
        next_windows(detector, bars, count=1, known=np.ones(len(bars), bool))
    labels = pd.DataFrame({"symbol": ["A", "A"], "start": [0, 200], "end": [3, 209]})
    labels.to_csv(tmp_path / "known.csv", index=False)
    out = tmp_path / "out"
    words = ["--labelled", str(tmp_path / "known.csv"), "--curve", "0", "--passes", "0"]
    assert next_of(finished, fresh, out, *words) == 0
    assert set(pd.read_csv(out / "windows.csv")["symbol"]) == {"B"}


def test_next_says_what_more_labels_are_worth(finished, fresh, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("moola_train.recipes.labels_command.SHARES", (0.5, 1.0))
    out = tmp_path / "out"
    assert next_of(finished, fresh, out, "--count", "3", "--curve", "1", "--passes", "0", "--json") == 0
    worth = json.loads(capsys.readouterr().out)["worth"]
    assert worth["known"] is False
    assert "too little was measured: 2 scores at 2" in worth["why"]
    assert worth["gain"] is None


def test_doubt_ranks_the_labels_of_a_run(finished, market, tmp_path, capsys):
    out = tmp_path / "doubts"
    assert run(["labels", "doubt", str(finished), "--out", str(out), "--folds", "3", "--count", "4"]) == 0
    said = capsys.readouterr().out
    assert "4 tasks" in said
    table = pd.read_parquet(out / "doubts.parquet")
    assert table["odds"].is_monotonic_decreasing
    bars = read_bars(market / "bars.csv")
    spans = read_spans(market / "spans.csv", bars)
    labelled = table[table["kind"] != "missing"]
    assert set(labelled["start"]) == set(bars.time[spans.start])
    assert len(labelled) == len(spans)
    tasks = json.loads((out / "tasks" / "tasks.json").read_text())
    back, _ = read_label_studio(out / "tasks" / "tasks.json", bars)
    whole = set(zip(spans.start.tolist(), spans.end.tolist(), strict=True))
    assert set(zip(back.start.tolist(), back.end.tolist(), strict=True)) <= whole  # none is cut
    assert tasks[0]["data"]["odds"] == pytest.approx(table["odds"][0], abs=1e-3)


def test_windows_are_widened_until_they_cut_no_span(market):
    bars = read_bars(market / "bars.csv")
    spans = read_spans(market / "spans.csv", bars)
    which, low, high = whole_windows(np.array([6, 300, 5, 18]), spans, bars, length=K)
    assert which.tolist() == [0, 1]
    assert (low[0], high[0]) == (3, 25)
    for a, b in zip(low, high, strict=True):
        touching = (spans.start <= b) & (spans.end >= a)
        assert ((spans.start >= a) & (spans.end <= b))[touching].all()


@pytest.mark.parametrize("files", [1, 2])
def test_compare_lists_the_differences_of_two_people(market, tmp_path, capsys, files):
    one = pd.DataFrame({"start": [3, 50, 100], "end": [7, 54, 104], "annotator": "ann"})
    two = pd.DataFrame({"start": [3, 51, 80, 100], "end": [7, 58, 82, 104], "annotator": "bob"})
    paths = [tmp_path / "one.csv", tmp_path / "two.csv"][:files]
    for path, frame in zip(paths, [pd.concat([one, two])] if files == 1 else [one, two], strict=True):
        frame.to_csv(path, index=False)
    out = tmp_path / "differences.csv"
    words = ["labels", "compare", *map(str, paths), "--bars", str(market / "bars.csv"), "--out", str(out)]
    assert run(words) == 0
    said = capsys.readouterr().out
    assert "ann: 3 spans, bob: 4" in said
    assert "2 differences" in said
    table = pd.read_csv(out)
    assert table["kind"].tolist() == ["edges", "only second"]
    assert table["bars"].tolist() == [5, 3]
    assert table["first_start"].tolist()[0] == "2024-01-01 00:50:00"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["next", "RUN", "--bars", "BARS", "--out", "FULL"], "out: want a new or empty folder"),
        (["next", "RUN", "--bars", "BARS", "--out", "NEW", "--curve", "-1"], "curve: want 0 or more"),
        (["next", "RUN", "--bars", "BARS", "--out", "NEW", "--count", "0", "--curve", "0"], "count: want 1"),
        (["next", "nowhere", "--bars", "BARS", "--out", "NEW"], "run: want a finished run"),
        (["doubt", "--out", "NEW"], "spans: want a run, or bars and spans"),
        (["doubt", "RUN", "--bars", "BARS", "--out", "NEW"], "run: want a run or bars"),
        (["doubt", "RUN", "--out", "NEW", "--count", "0"], "count: want 1 or more tasks"),
        (["doubt", "RUN", "--out", "NEW", "--folds", "2"], "folds: want 3 or more"),
        (["compare", "SPANS", "--bars", "BARS", "--out", "NEW"], "out: want a .csv or .parquet"),
        (["compare", "SPANS", "--bars", "BARS", "--out", "SPANS"], "out: want another file than"),
        (
            ["compare", "SPANS", "--bars", "BARS", "--out", "NEW.csv"],
            "first: want the spans of two annotators",
        ),
    ],
)
def test_bad_input_is_one_line(words, wanted, finished, market, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    places = {
        "RUN": str(finished),
        "BARS": str(market / "bars.csv"),
        "SPANS": str(market / "spans.csv"),
        "FULL": str(tmp_path / "full"),
        "NEW": str(tmp_path / "new"),
        "NEW.csv": str(tmp_path / "new.csv"),
    }
    assert run(["labels", *(places.get(word, word) for word in words)]) == 2
    error = capsys.readouterr().err.strip()
    assert wanted in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "new").exists()
