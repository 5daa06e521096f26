"""Spans whose types have names of the user's own, through every command that reads a spans file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from moola_data.bars import read_bars
from moola_data.spans_file import read_spans, type_names
from moola_train.recipes import file_jobs, sweep_command, walk_forward_command
from moola_train.recipes.commands import run
from moola_train.recipes.file_trial import file_trial
from moola_train.recipes.run_source import file_inputs
from moola_train.recipes.settings import read_run_settings

OWN = ("pullback", "breakout", "trend day")
TYPES = json.dumps(OWN)
BARS = "bars.csv"


@pytest.fixture(scope="module")
def place(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The market with typed spans, some of a misspelt type, and a configuration that lists the names."""
    folder = tmp_path_factory.mktemp("types")
    shutil.copy(market / BARS, folder / BARS)
    spans = pd.read_csv(market / "spans.csv")
    spans["type"] = [OWN[i % 3] for i in range(len(spans))]
    spans.to_csv(folder / "spans.csv", index=False)
    spans.assign(type=spans["type"].where(spans.index != 4, "brekout")).to_csv(
        folder / "misspelt.csv", index=False
    )
    quick = (market / "quick.toml").read_text()
    (folder / "types.toml").write_text(quick.replace("[data]\n", f"[data]\ntypes = {TYPES}\n"))
    return folder


def files(place: Path, spans: str = "spans.csv") -> list[str]:
    return ["--bars", str(place / BARS), "--spans", str(place / spans)]


@pytest.fixture(scope="module")
def typed(place: Path) -> Path:
    """A finished run; nobody writes into it."""
    words = ["--config", str(place / "types.toml"), "--fit.epochs", "1", "--run", str(place / "run")]
    assert run(["train", *files(place), *words]) == 0
    return place / "run"


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1, error
    return error


def test_the_network_tells_as_many_types_apart_as_are_listed(typed: Path) -> None:
    decision = json.loads((typed / "decision.json").read_text())
    assert tuple(decision["type_names"]) == OWN
    heads = json.loads((typed / "model" / "config.json").read_text())["model"]["heads"]
    assert {head["name"]: head.get("classes") for head in heads}["type"] == len(OWN)


def test_a_flag_lists_the_names_too() -> None:
    assert read_run_settings(None, [f"data.types={TYPES}"]).data.types == OWN


def test_marks_have_the_runs_names_and_are_read_again(typed: Path, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "marks.csv"
    assert run(["predict", str(place / BARS), "--run", str(typed), "--out", str(out)]) == 0
    written = pd.read_csv(out)
    assert len(written)
    assert set(written["type"]) <= set(OWN)
    again = read_spans(out, read_bars(place / BARS), types=OWN)
    assert [OWN[kind] for kind in again.type] == written["type"].tolist()


def test_a_run_is_resumed_reported_and_examined_with_its_names(
    typed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(typed, copy)
    (copy / "decision.json").unlink()
    assert run(["resume", str(copy)]) == 0
    assert json.loads((copy / "report.json").read_text()) == json.loads((typed / "report.json").read_text())
    assert run(["report", str(copy)]) == 0
    capsys.readouterr()
    assert run(["doctor", str(copy), "--steps", "1", "--json"]) in (0, 1)
    assert "type" in json.loads(capsys.readouterr().out)["tasks"]


READERS = {
    "train": ["train"],
    "doctor": ["doctor"],
    "sweep": ["sweep", "CONFIG", "--out", "OUT"],
    "walk-forward": ["walk-forward", "--out", "OUT"],
    "labels doubt": ["labels", "doubt", "--out", "OUT"],
}


@pytest.mark.parametrize("command", READERS)
def test_a_misspelt_type_is_told_with_its_row_and_the_key(
    command: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(place / "types.toml")
    words = [{"CONFIG": config, "OUT": str(tmp_path / "out")}.get(word, word) for word in READERS[command]]
    given = [] if "CONFIG" in READERS[command] else ["--config", config]
    assert run([*words, *files(place, "misspelt.csv"), *given]) == 2
    error = one_line(capsys)
    assert f"misspelt.csv: type: want one of {OWN}, got 'brekout' in row 4; set data.types" in error
    assert not (tmp_path / "out").exists()


def test_names_that_are_not_listed_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *files(place)]) == 2
    wanted = "want one of ('consolidation', 'retracement'), got 'pullback' in row 0; set data.types to names"
    assert wanted in one_line(capsys)


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        (["a"], "data.types: want two names or more, to be told apart, got ['a']"),
        ([], "data.types: want two names or more"),
        (["a", "b", "a"], "data.types: want every name once, got 'a' twice"),
        (["a", ""], "data.types: want printable names without outer spaces, got ''"),
        (["a", " b"], "data.types: want printable names without outer spaces, got ' b'"),
        ("a", "data.types: want a list, got 'a'"),
        (["a", 2], "want text in quotes"),
    ],
)
def test_a_list_that_names_nothing_is_refused(types: object, wanted: str) -> None:
    with pytest.raises(ValueError, match="want") as raised:
        read_run_settings(None, [f"data.types={json.dumps(types)}"])
    assert wanted in str(raised.value)


@pytest.mark.parametrize("command", ["demo", "doctor"])
def test_the_demos_rule_gives_its_own_types(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--data.types", TYPES]) == 2
    assert "data.types: want ['consolidation', 'retracement'] for the demo's bars" in one_line(capsys)


def test_a_job_of_a_sweep_reads_the_names(place: Path) -> None:
    config = read_run_settings(place / "types.toml", ["fit.epochs=1"])
    source = file_inputs(place / BARS, place / "spans.csv", types=OWN).source
    numbers = file_trial(
        bars=str(place / BARS),
        spans=str(place / "spans.csv"),
        bars_fingerprint=source.bars_fingerprint,
        spans_fingerprint=source.spans_fingerprint,
        run=config.model_dump(mode="json"),
        seed=0,
    )
    assert isinstance(numbers["type_accuracy"], float)


@pytest.mark.parametrize("command", ["sweep", "walk-forward"])
def test_jobs_are_listed_for_the_spans_as_they_were_read(
    command: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[file_jobs.FileJob] = []
    sources = []

    def work_off(jobs, source, out, **options):  # type: ignore[no-untyped-def]
        listed.extend(jobs)
        sources.append(source)
        return 0

    for module in (sweep_command, walk_forward_command):
        monkeypatch.setattr(module, "work_off", work_off)
    config = str(place / "types.toml")
    words = {"sweep": ["sweep", config], "walk-forward": ["walk-forward", "--config", config]}[command]
    assert run([*words, *files(place), "--out", str(tmp_path / "out")]) == 0
    assert {job.config.data.types for job in listed} == {OWN}
    assert sources == [file_inputs(place / BARS, place / "spans.csv", types=OWN).source]


def test_a_sweep_has_one_list_of_types(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = f"data.types={json.dumps([OWN, ('a', 'b')])}"
    words = ["sweep", str(place / "types.toml"), "--grid", grid, "--out", str(tmp_path / "out")]
    assert run([*words, *files(place)]) == 2
    assert "grid: want the same data.types in every job, got 2 lists" in one_line(capsys)


def test_what_to_label_next_takes_labels_of_the_runs_names(
    typed: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = pd.read_csv(place / "spans.csv").head(10)
    words = ["labels", "next", str(typed), "--bars", str(place / BARS), "--curve", "0", "--passes", "0"]
    for name, spans, code in (
        ("right", known, 0),
        ("wrong", pd.read_csv(place / "misspelt.csv").head(10), 2),
    ):
        spans.to_csv(tmp_path / f"{name}.csv", index=False)
        more = ["--labelled", str(tmp_path / f"{name}.csv"), "--out", str(tmp_path / name), "--count", "2"]
        assert run([*words, *more]) == code
    assert f"type: want one of {OWN}, got 'brekout' in row 4" in capsys.readouterr().err
    table = pd.read_csv(tmp_path / "right" / "windows.csv")
    assert (table["bar"] > known["end"].max()).all()


def test_doubts_are_looked_for_among_spans_of_own_types(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(place / "types.toml"), "--out", str(tmp_path / "out"), "--folds", "2"]
    assert run(["labels", "doubt", *files(place), *words]) == 2
    assert "folds: want 3 or more" in one_line(capsys)  # the spans were read


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_two_people_are_compared_whatever_their_types_are_called(
    place: Path, tmp_path: Path, ending: str
) -> None:
    for name in ("spans", "misspelt"):
        table = pd.read_csv(place / f"{name}.csv").assign(annotator=name)
        table.loc[7, "type"] = None  # no type is no name
        if ending == ".parquet":
            table.to_parquet(tmp_path / f"{name}{ending}")
        else:
            table.to_csv(tmp_path / f"{name}{ending}", index=False)
    both = [tmp_path / f"{name}{ending}" for name in ("spans", "misspelt")]
    assert type_names(*both) == (*OWN, "brekout")
    out = tmp_path / "differences.csv"
    words = ["labels", "compare", *map(str, both), "--bars", str(place / BARS), "--out", str(out)]
    assert run(words) == 0
    found = pd.read_csv(out)
    assert found[["kind", "first_type", "second_type"]].values.tolist() == [["type", "breakout", "brekout"]]


def test_one_file_of_two_people_may_have_types_of_any_name(place: Path, tmp_path: Path) -> None:
    tables = [pd.read_csv(place / f"{name}.csv").assign(annotator=name) for name in ("spans", "misspelt")]
    pd.concat(tables).to_csv(tmp_path / "both.csv", index=False)
    out = tmp_path / "differences.csv"
    words = ["labels", "compare", str(tmp_path / "both.csv"), "--bars", str(place / BARS), "--out", str(out)]
    assert run(words) == 0
    assert pd.read_csv(out)["second_type"].tolist() == ["brekout"]


@pytest.mark.parametrize("content", [b"", b"PAR1 no table"])
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_damaged_file_of_spans_is_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str, content: bytes
) -> None:
    bad = tmp_path / f"bad{ending}"
    bad.write_bytes(content)
    words = [str(bad), str(place / "spans.csv"), "--bars", str(place / BARS)]
    assert run(["labels", "compare", *words, "--out", str(tmp_path / "out.csv")]) == 2
    assert "spans: want" in one_line(capsys)
