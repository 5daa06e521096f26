"""Bad entries end to end: refused with one line and exit code 2, or dealt with and counted; never lost."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from moola_data.catalogue import write_catalogue
from moola_data.journal_table import table_of_entries
from moola_data.uk_chart import uk_chart
from moola_data.uk_journal import uk_journal
from moola_train.recipes.commands import run

TOML = """
[entries]
max_lines = 8
[text]
buckets = 256
dimension = 8
[model]
hidden = 8
[memory]
neighbours = 0
[fit]
epochs = 1
[decoding]
method = "greedy"
[evaluation]
resamples = 10
permutations = 10
svm = false
"""
HEAD = {"date": "2023-05-05", "currency": "GBP", "type": "invoice"}
GOOD = [("7100", 900.0, None), ("1200", None, 900.0)]
LONG = [("7100", 1.0 + i, None) for i in range(9)] + [("1200", None, 45.0)]
BAD: dict[str, tuple[str | None, list[tuple[str | None, float | None, float | None]], str]] = {
    "unknown_account": ("Rent", [("9x9x", 900.0, None), ("1200", None, 900.0)], "dropped"),
    "no_text": (None, GOOD, "kept"),
    "negative_amount": ("Rent", [("7100", None, -900.0), ("1200", None, 900.0)], "flipped"),
    "both_sided_line": ("Rent", [("7100", 900.0, 50.0), ("1200", None, 850.0)], "divided"),
    "empty_entry": ("Rent", [(None, None, None)], "dropped"),
    "one_sided": ("Rent", [("7100", 900.0, None)], "dropped"),
    "over_long": ("Rent", LONG, "truncated"),
    "no_amount": ("Rent", [*GOOD, ("7200", None, None)], "line_left_out"),
}


def good() -> pd.DataFrame:
    return table_of_entries(uk_journal(60, seed=5).entries)


def bad(problem: str) -> pd.DataFrame:
    text, lines, _ = BAD[problem]
    rows = [
        {"entry": f"bad-{problem}", "text": text, "account": a, "debit": d, "credit": c, **HEAD}
        for a, d, c in lines
    ]
    return pd.DataFrame(rows)


def train(folder: Path, table: pd.DataFrame, *words: str) -> int:
    table.to_csv(folder / "entries.csv", index=False)
    (folder / "quick.toml").write_text(TOML)
    told = ["--entries", str(folder / "entries.csv"), "--config", str(folder / "quick.toml")]
    return run(["journal", "train", *told, "--run", str(folder / "run"), *words])


@pytest.mark.parametrize("problem", BAD)
def test_strictly_the_first_entry_that_does_not_fit_ends_it_with_its_row(
    problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = good()
    assert train(tmp_path, pd.concat([first, bad(problem)]), "--catalogue", "uk") == 2
    said = capsys.readouterr().err
    assert problem in said
    assert f"bad-{problem}" in said
    assert f"row {len(first)}" in said or f"row {len(first) + 2}" in said
    assert not (tmp_path / "run").exists()


def test_leniently_everything_is_dealt_with_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.concat([good(), *map(bad, BAD)])
    assert train(tmp_path, table, "--catalogue", "uk", "--policy", "lenient") == 0
    said = capsys.readouterr()
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    dropped = sum(action == "dropped" for _, _, action in BAD.values())
    whole = 60 + len(BAD)
    assert f"{whole - dropped} of {whole} entries kept" in report["reading"]
    for problem, (_, _, action) in BAD.items():
        assert f"1 {problem} {action}" in report["reading"]
        assert problem in said.err
    # What was kept is in one part and no other.
    assert sum(report["entries"].values()) == whole - dropped


def test_accounts_with_one_number_twice_are_refused_with_both_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_catalogue(tmp_path / "accounts.json", uk_chart())
    content = json.loads((tmp_path / "accounts.json").read_text())
    content["accounts"][7]["code"] = content["accounts"][2]["code"]
    (tmp_path / "accounts.json").write_text(json.dumps(content))
    assert train(tmp_path, good(), "--catalogue", str(tmp_path / "accounts.json")) == 2
    assert "rows 2 and 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "catalogue: want a JSON file or `uk`"),
        (("--catalogue", "nowhere.json"), "want a file, got nowhere.json"),
        (("--catalogue", "uk", "--config", "nowhere.toml"), "config: want a TOML file"),
    ],
)
def test_a_missing_argument_is_one_line_and_2(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good().to_csv(tmp_path / "entries.csv", index=False)
    assert run(["journal", "train", "--entries", str(tmp_path / "entries.csv"), *words]) == 2
    assert said in capsys.readouterr().err


def test_entries_to_book_need_an_id_and_a_text_or_the_word_to_do_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, good(), "--catalogue", "uk") == 0
    out = tmp_path / "out.csv"
    told = ["journal", "predict", "--run", str(tmp_path / "run"), "--out", str(out)]

    def predict(rows: list[dict[str, object]], *words: str) -> int:
        pd.DataFrame(rows).to_csv(tmp_path / "new.csv", index=False)
        capsys.readouterr()
        return run([*told, "--entries", str(tmp_path / "new.csv"), *words])

    assert predict([{"entry": "1", "text": "Rent"}, {"entry": "2", "text": None}]) == 2
    assert "got none in entry '2', row 1" in capsys.readouterr().err
    assert not out.exists()
    assert predict([{"entry": "1", "text": "Rent"}, {"entry": "2", "text": None}], "--policy", "lenient") == 0
    assert "2 entries" in (said := capsys.readouterr().out)
    assert "1 without a text" in said
    booked = pd.read_csv(out, dtype=str)
    assert set(booked.entry) == {"1", "2"}
    assert predict([{"entry": "1", "text": "Rent"}, {"entry": "1", "text": "Tea"}]) == 2
    assert "rows 0, 1" in capsys.readouterr().err
    assert predict([{"entry": "1", "text": "Rent", "date": "yesterdayish"}]) == 2
    assert "date: want a day" in capsys.readouterr().err
    assert predict([{"entry": "1", "words": "Rent"}]) == 2
    assert "none named 'text'" in capsys.readouterr().err


def test_a_configuration_that_says_clipping_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good().to_csv(tmp_path / "entries.csv", index=False)
    words = ["--entries", str(tmp_path / "entries.csv"), "--catalogue", "uk"]
    for text, said in (
        ("[fit]\nclip_norm = 1.0\n", "which come from `clipping`"),
        ("[model.pointer]\nscale = 10.0\ntemperature = 0.1\n", "a scale or a temperature"),
        ("[model]\nwidth = 3\n", "model.width: no such key"),
    ):
        (tmp_path / "bad.toml").write_text(text)
        assert run(["journal", "train", *words, "--config", str(tmp_path / "bad.toml")]) == 2
        assert said in capsys.readouterr().err
