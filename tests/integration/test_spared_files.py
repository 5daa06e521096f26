"""No command writes over the bars, the labels or the entries that it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from moola_train.recipes.commands import run
from moola_train.recipes.run_source import RunSource
from moola_train.recipes.spared_files import files_of_run, spare


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with bars, labels, new bars, and a run that says it was made of the first two."""
    for name in ("bars.csv", "labels.csv", "new.csv"):
        (tmp_path / name).write_text(f"the only copy of {name}\n")
    (tmp_path / "run").mkdir()
    source = RunSource(
        kind="files",
        bars=str(tmp_path / "bars.csv"),
        spans=str(tmp_path / "labels.csv"),
        bars_fingerprint="0",
        spans_fingerprint="0",
    )
    (tmp_path / "run" / "source.json").write_text(source.model_dump_json())
    return tmp_path


@pytest.mark.parametrize("flag", ["--out", "--details"])
@pytest.mark.parametrize("name", ["bars.csv", "labels.csv", "new.csv"])
def test_predict_does_not_write_over_what_it_or_its_run_read(
    flag: str, name: str, room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = room / "run" / ".." / name  # the same file by another name
    out = [flag, str(place)] if flag == "--out" else ["--out", str(room / "marks.csv"), flag, str(place)]
    assert run(["predict", str(room / "new.csv"), "--run", str(room / "run"), *out]) == 2
    said = capsys.readouterr().err
    assert f"{flag[2:]}: want another file than {room / name}, which it would write over" in said
    assert (room / name).read_text() == f"the only copy of {name}\n"


def test_details_do_not_replace_the_marks(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ["--out", str(room / "marks.csv"), "--details", str(room / "marks.csv")]
    assert run(["predict", str(room / "new.csv"), "--run", str(room / "run"), *both]) == 2
    assert "details: want another file than" in capsys.readouterr().err


def test_proposals_do_not_replace_the_entries(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(room / "new.csv")
    flags = ["--run", str(room / "run"), "--entries", place, "--out", place]
    assert run(["journal", "predict", *flags]) == 2
    assert "out: want another file than" in capsys.readouterr().err
    assert (room / "new.csv").read_text() == "the only copy of new.csv\n"


def test_another_file_is_written(room: Path) -> None:
    spare("out", room / "marks.csv", others=[room / "bars.csv", *files_of_run(room / "run")])


def test_a_run_without_a_source_has_no_files(tmp_path: Path) -> None:
    assert files_of_run(tmp_path) == ()


def test_a_damaged_source_is_named(room: Path) -> None:
    (room / "run" / "source.json").write_text("{")
    with pytest.raises(ValueError, match=r"run: want a readable source\.json in .*run, got Invalid JSON"):
        files_of_run(room / "run")
