"""The command `moola`, end to end on files made here, and everything that can be wrong with them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moola_data.bars import read_bars
from moola_data.spans_file import read_spans
from moola_train.recipes.commands import run

QUICK = """
base = "plain"
[data]
length = 40
stride = 8
[fit]
epochs = 5
learning_rate = 0.001
selection = "span_loss"
[evaluation]
resamples = 100
"""


def make_bars(n=1600, seed=0, symbol=None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.002, n)))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0, 0.001, (2, n)))
    table = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=n, freq="min"),
            "open": open_,
            "high": np.maximum(open_, close) * (1 + wick[0]),
            "low": np.minimum(open_, close) * (1 - wick[1]),
            "close": close,
        }
    )
    return table if symbol is None else table.assign(symbol=symbol)


def make_spans(n=1600, every=16, length=5) -> pd.DataFrame:
    """Two or three spans in every window of 40 bars, and no column ``type``."""
    start = np.arange(3, n - length, every)
    return pd.DataFrame({"start": start, "end": start + length - 1})


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    make_bars().to_csv(folder / "bars.csv", index=False)
    make_spans().to_csv(folder / "spans.csv", index=False)
    (folder / "quick.toml").write_text(QUICK)
    return folder


@pytest.fixture(scope="module")
def trained(files) -> Path:
    """A finished run on several spans per window without types."""
    assert run(train(files, files / "run")) == 0
    return files / "run"


def train(files: Path, folder: Path, **other: Path) -> list[str]:
    given = {"bars": files / "bars.csv", "spans": files / "spans.csv", "config": files / "quick.toml"} | other
    flags = [text for name, path in given.items() for text in (f"--{name}", str(path))]
    return ["train", *flags, "--run", str(folder)]


def one_line(capsys) -> str:
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1, error
    assert error.startswith("moola: ")
    return error


def test_a_run_leaves_its_tables_checkpoints_decision_and_report(trained):
    names = {p.name for p in trained.iterdir()}
    tables = ("epoch_metrics", "loss_components", "uncertainty_params", "probability_stats", "feature_stats")
    assert {f"{name}.csv" for name in tables} <= names
    assert {"config.json", "metadata.json", "records.jsonl", "checkpoints", "model"} <= names
    assert {"decision.json", "report.json", "report.md"} <= names
    assert not [name for name in names if name.endswith(".part")]


def test_tables_have_the_columns_and_cadence_of_the_first_system(trained):
    rows = {path.stem: pd.read_csv(path) for path in trained.glob("*.csv")}
    assert list(rows["epoch_metrics"]) == [
        *("epoch", "train_loss", "val_loss", "span_f1", "span_precision", "span_recall", "epoch_time")
    ]
    assert rows["epoch_metrics"]["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert rows["epoch_metrics"].notna().all(axis=None)
    assert rows["loss_components"]["phase"].tolist() == ["train", "val"] * 5
    parts = rows["loss_components"][["loss_ptr", "loss_span", "loss_countdown"]]
    assert np.allclose(parts.sum(axis=1), rows["loss_components"]["total_loss"])
    assert rows["uncertainty_params"]["epoch"].tolist() == [5]
    weights = rows["uncertainty_params"].filter(like="weight_").iloc[0]
    assert weights.dropna().sum() == pytest.approx(1)
    assert len(rows["feature_stats"]) == 2 * 12
    stats = rows["probability_stats"]
    assert np.allclose(stats["in_span_mean"] - stats["out_span_mean"], stats["separation"], atol=1e-6)


def test_without_types_the_type_task_is_absent(trained):
    config = json.loads((trained / "model" / "config.json").read_text())
    assert [head["name"] for head in config["model"]["heads"]] == ["pointers", "span", "countdown"]
    tasks = {json.loads(line)["task"] for line in (trained / "records.jsonl").read_text().splitlines()}
    assert tasks == {"", "pointers", "span", "countdown"}


def test_the_report_puts_chance_beside_the_model(trained):
    report = json.loads((trained / "report.json").read_text())
    metric = next(m for m in report["metrics"] if m["name"] == "span_f1")
    assert {"five_bar_move"} < set(metric["nulls"])
    assert metric["interval"] is not None
    assert metric["definition"]
    assert not report["in_sample"]
    assert "five_bar_move" in (trained / "report.md").read_text()


@pytest.mark.parametrize("n", [40, 41, 333])
def test_predict_marks_a_file_of_any_length(trained, tmp_path, n):
    make_bars(n, seed=5).to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "spans.csv"
    assert run(["predict", str(tmp_path / "new.csv"), "--run", str(trained), "--out", str(out)]) == 0
    spans = pd.read_csv(out, parse_dates=["start", "end"])
    assert {"start", "end", "symbol", "score"} <= set(spans)
    assert (spans["end"] >= spans["start"]).all()
    assert spans["score"].between(0, 1).all()


def test_what_predict_writes_train_reads(trained, files, tmp_path):
    out = tmp_path / "marks.parquet"
    assert run(["predict", str(files / "bars.csv"), "--run", str(trained), "--out", str(out)]) == 0
    assert len(read_spans(out, read_bars(files / "bars.csv"))) == len(pd.read_parquet(out))


def test_two_symbols_are_never_mixed(trained, tmp_path):
    both = pd.concat([make_bars(90, seed=1, symbol="A"), make_bars(70, seed=2, symbol="B")])
    both.to_csv(tmp_path / "both.csv", index=False)
    make_bars(70, seed=2, symbol="B").to_csv(tmp_path / "b.csv", index=False)
    found = {}
    for name in ("both", "b"):
        out = tmp_path / f"{name}_spans.csv"
        assert run(["predict", str(tmp_path / f"{name}.csv"), "--run", str(trained), "--out", str(out)]) == 0
        table = pd.read_csv(out)
        found[name] = table[table["symbol"] == "B"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found["both"], found["b"])


def broken(column, row, value):
    table = make_bars()
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    return table


BAD_BARS = {
    "missing column": (make_bars().drop(columns="low"), "low"),
    "NaN": (broken("close", 7, np.nan), "row 7"),
    "high below low": (broken("high", 8, 1.0), "row 8"),
    "price of 0": (broken("low", 9, 0.0), "row 9"),
    "unsorted time": (make_bars().iloc[[1, 0, *range(2, 1600)]], "row 1"),
    "duplicate time": (make_bars().iloc[[0, 1, 1, *range(2, 1600)]], "row 2"),
    "fewer bars than a window": (make_bars(30), "30"),
}
BAD_SPANS = {
    "outside the bars": (pd.DataFrame({"start": [5, 1599], "end": [9, 1600]}), "row 1"),
    "end before start": (pd.DataFrame({"start": [5, 30], "end": [9, 29]}), "row 1"),
    "type not in the map": (pd.DataFrame({"start": [5], "end": [9], "type": ["other"]}), "'other'"),
    "no column end": (pd.DataFrame({"start": [5]}), "end"),
    "an empty part": (pd.DataFrame({"start": [5], "end": [9]}), "part"),
}


@pytest.mark.parametrize("case", BAD_BARS)
def test_bad_bars_are_one_line_and_nothing_is_written(case, files, tmp_path, capsys):
    table, wanted = BAD_BARS[case]
    table.to_csv(tmp_path / "bars.csv", index=False)
    spans = pd.DataFrame({"start": [1], "end": [4]}) if len(table) < 40 else make_spans()
    spans.to_csv(tmp_path / "spans.csv", index=False)
    command = train(files, tmp_path / "run", bars=tmp_path / "bars.csv", spans=tmp_path / "spans.csv")
    assert run(command) == 2
    assert wanted in one_line(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("case", BAD_SPANS)
def test_bad_spans_are_one_line_and_nothing_is_written(case, files, tmp_path, capsys):
    table, wanted = BAD_SPANS[case]
    table.to_csv(tmp_path / "spans.csv", index=False)
    assert run(train(files, tmp_path / "run", spans=tmp_path / "spans.csv")) == 2
    assert wanted in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused(files, trained, capsys):
    before = (trained / "decision.json").read_bytes()
    assert run(train(files, trained)) == 2
    assert "new or empty folder" in one_line(capsys)
    assert (trained / "decision.json").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("[fit]\nepoch = 3\n", "fit.epoch"), ("[balancer]\nkind = 'magic'\n", "magic"), ("fit = [", "TOML")],
)
def test_bad_configuration_names_the_key(text, wanted, files, tmp_path, capsys):
    (tmp_path / "bad.toml").write_text(text)
    assert run(train(files, tmp_path / "run", config=tmp_path / "bad.toml")) == 2
    assert wanted in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_missing_files_are_named(files, trained, tmp_path, capsys):
    assert run(train(files, tmp_path / "run", bars=tmp_path / "none.csv")) == 2
    assert "none.csv" in one_line(capsys)
    command = ["predict", str(files / "bars.csv"), "--run", str(tmp_path), "--out", str(tmp_path / "x.csv")]
    assert run(command) == 2
    assert "decision.json" in one_line(capsys)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "decision"])
def test_damaged_runs_are_refused(damage, files, trained, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    weights = copy / "model" / "model.safetensors"
    content = weights.read_bytes()
    if damage == "truncated":
        weights.write_bytes(content[:-40])
    elif damage == "flipped":
        weights.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
    elif damage == "foreign":
        weights.write_bytes(b"not weights at all")
    else:
        (copy / "decision.json").write_text("{}")
    out = tmp_path / "spans.csv"
    assert run(["predict", str(files / "bars.csv"), "--run", str(copy), "--out", str(out)]) == 2
    one_line(capsys)
    assert not out.exists()


def test_a_file_shorter_than_a_window_is_refused(trained, tmp_path, capsys):
    make_bars(39).to_csv(tmp_path / "short.csv", index=False)
    out = tmp_path / "spans.csv"
    assert run(["predict", str(tmp_path / "short.csv"), "--run", str(trained), "--out", str(out)]) == 2
    assert "40 bars or more, got 39" in one_line(capsys)
    assert not out.exists()


def test_an_unknown_flag_exits_with_2(capsys):
    assert run(["demo", "--epoch", "3"]) == 2
    assert "--epoch" in one_line(capsys)


def test_a_killed_run_leaves_readable_tables_and_the_next_one_works(files, tmp_path):
    (tmp_path / "long.toml").write_text(QUICK.replace("epochs = 5", "epochs = 2000"))
    folder = tmp_path / "run"
    command = train(files, folder, config=tmp_path / "long.toml")
    code = "import sys; from moola_train.recipes.commands import run; sys.exit(run(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *command], env={**os.environ})
    table = folder / "epoch_metrics.csv"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not table.exists() or table.read_text().count("\n") < 8):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    epochs = pd.read_csv(table)["epoch"].tolist()
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) >= 7
    losses = pd.read_csv(folder / "loss_components.csv")["epoch"]
    assert losses.max() >= len(epochs) - 1
    assert not (folder / "decision.json").exists()
    assert run(train(files, tmp_path / "second")) == 0


def test_few_labels_are_enough_for_a_report(files, tmp_path):
    """A chance level that draws no span at all once broke the report of sparse labels."""
    sparse = pd.DataFrame({"start": [163, 1043, 1443], "end": [167, 1047, 1447]})
    sparse.to_csv(tmp_path / "spans.csv", index=False)
    assert run(train(files, tmp_path / "run", spans=tmp_path / "spans.csv")) == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[fit]\nselection = "nope"\n[data]\nlength = 40\n', "fit.selection"),
        ('[fit]\nprecision = "fp16"\n[data]\nlength = 40\n', "fit.precision"),
        ("[data]\nlength = 40\nblock = 320\n", "2 time blocks"),
        ('[fit]\ngroups = [{pattern = "zzz*"}]\n[data]\nlength = 40\n', "zzz"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_written(
    text, wanted, files, tmp_path, capsys
):
    (tmp_path / "bad.toml").write_text(text)
    assert run(train(files, tmp_path / "run", config=tmp_path / "bad.toml")) == 2
    assert wanted in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_predict_refuses_a_model_that_the_decision_is_not_for(files, trained, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    decision = json.loads((copy / "decision.json").read_text())
    for key, value in (("weights", "0" * 64), ("length", 41), ("position", True)):
        (copy / "decision.json").write_text(json.dumps(decision | {key: value}))
        out = tmp_path / "spans.csv"
        assert run(["predict", str(files / "bars.csv"), "--run", str(copy), "--out", str(out)]) == 2
        assert "decision.json is for" in one_line(capsys)
        assert not out.exists()


def test_a_place_that_cannot_be_written_is_named_and_left_clean(files, trained, tmp_path, capsys):
    for out in (tmp_path / "none" / "x.csv", tmp_path / "folder.csv"):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        assert run(["predict", str(files / "bars.csv"), "--run", str(trained), "--out", str(out)]) == 2
        assert "out: want" in one_line(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.csv"]


def test_times_with_and_without_a_zone_are_not_mixed(files, tmp_path, capsys):
    time = make_bars()["time"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    start = [time[3] + "Z", time[900], time[1500]]
    pd.DataFrame({"start": start, "end": [time[9], time[905], time[1505]]}).to_csv(
        tmp_path / "spans.csv", index=False
    )
    assert run(train(files, tmp_path / "run", spans=tmp_path / "spans.csv")) == 2
    assert "zone" in one_line(capsys)


def test_an_empty_symbol_is_missing(files, tmp_path, capsys):
    bars = make_bars(symbol="A")
    bars.loc[5, "symbol"] = ""
    bars.to_csv(tmp_path / "bars.csv", index=False)
    assert run(train(files, tmp_path / "run", bars=tmp_path / "bars.csv")) == 2
    assert "symbol" in one_line(capsys)


def test_ctrl_c_is_one_line_and_130(files, tmp_path):
    (tmp_path / "long.toml").write_text(QUICK.replace("epochs = 5", "epochs = 2000"))
    command = train(files, tmp_path / "run", config=tmp_path / "long.toml")
    code = "import sys; from moola_train.recipes.commands import run; sys.exit(run(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *command], stderr=subprocess.PIPE, text=True)
    table = tmp_path / "run" / "epoch_metrics.csv"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not table.exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(error.strip().splitlines()) == 1
    assert error.startswith("moola: interrupted")


def test_evaluate_passes_its_words_on(capsys):
    assert run(["evaluate", "--truth", "nowhere.json", "--threshold", "0.5"]) == 2
    assert "want predictions, got neither" in capsys.readouterr().err
