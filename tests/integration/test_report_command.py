"""The pages of a run, of two runs and of many: whole, safe, small, the same every time."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from moola_train.recipes.commands import run
from moola_train.recipes.finished_run import finished_run
from moola_train.recipes.run_importance import measure_importance

NASTY = "</style><script>alert(1)</script> & \"x\" <img src=x onerror='y'>"
SECTIONS = (
    *("Criteria", "Metrics", "What became of the spans", "Best, median and worst windows", "Curves"),
    *("Chance levels", "Training", "Doctor", "Data card", "Trials on these test windows", "How it was made"),
    *("Every metric in full", "Where thresholds come from"),
)


class Page(HTMLParser):
    """Fails on a tag that is not closed, on anything that loads or runs, and collects words."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        text = path.read_text(encoding="utf-8")
        assert len(text.encode()) < 2_000_000
        assert "http" not in text
        assert "url(" not in text
        assert not re.search('"[^"]*nan[^"]*"', "".join(re.findall("<svg.*?</svg>", text)))
        self.open: list[str] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self.drawings = self.titles = 0
        self.feed(text)
        assert self.open == []
        assert self.titles >= self.drawings

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "img", "iframe", "object", "image", "use"}
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "style"}
            assert name != "href" or (value or "").startswith("#")
        self.drawings += tag == "svg"
        self.titles += tag == "title" and self.open[-1] == "svg"
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def others(market: Path, flags: list[str], finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the finished run, one of a larger network, and one of longer windows."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(finished, folder / "run")
    quick = (market / "quick.toml").read_text()
    for name, old, new in (
        ("larger", "hidden = 8", "hidden = 12"),
        ("longer", "length = 20", "length = 30"),
    ):
        (folder / f"{name}.toml").write_text(
            quick.replace(old, new).replace("epochs = 3", "epochs = 2\nseed = 1") + "[doctor]\nevery = 5\n"
        )
        command = ["train", *flags, "--config", str(folder / f"{name}.toml"), "--run", str(folder / name)]
        assert run(command) == 0
    return folder


def refused(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    capsys.readouterr()
    assert run(command) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1, error
    return error


def test_a_run_leaves_a_page_with_every_section(finished: Path) -> None:
    page = Page(finished / "report.html")
    assert tuple(page.headings) == SECTIONS
    assert page.text.count("prices, true and predicted spans, probability") == 6
    for words in ("Share of the gradient", "Loss: span", "Share of the loss", "five_bar_move", "fit.epochs"):
        assert words in page.text, words
    card = json.loads((finished / "metadata.json").read_text())["data_card"]
    assert card["fingerprint"] in page.text
    assert "The doctor did not watch this run" in page.text


def test_the_same_folder_gives_the_same_page_without_training(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / finished.name
    shutil.copytree(finished, copy)
    (copy / "report.html").unlink()
    before = {path.name for path in copy.iterdir()}
    assert run(["report", str(copy)]) == 0
    assert (copy / "report.html").read_bytes() == (finished / "report.html").read_bytes()
    assert {path.name for path in copy.iterdir()} == before | {"report.html"}


def test_words_from_outside_are_escaped(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    source = json.loads((copy / "source.json").read_text())
    (copy / "source.json").write_text(json.dumps(source | {"notes": [NASTY]}))
    metadata = json.loads((copy / "metadata.json").read_text())
    (copy / "metadata.json").write_text(json.dumps(metadata | {"versions": {NASTY: NASTY}}))
    assert run(["report", str(copy), "--out", str(tmp_path / "page.html")]) == 0
    page = Page(tmp_path / "page.html")
    assert page.text.count(NASTY) == 1
    assert json.dumps({NASTY: NASTY}) in page.text


def test_the_doctor_and_the_trials_beside_a_run_are_told(others: Path) -> None:
    assert run(["report", str(others / "larger")]) == 0
    page = Page(others / "larger" / "report.html")
    assert "Prescription:" in page.text
    told = page.text[page.text.index("configurations (every seed is one)") - 2 :]
    assert told[:60].split()[:2] == ["2", "configurations"]
    assert "remains" in told
    assert "longer" not in told  # other test windows


def test_two_runs_are_compared_on_the_same_windows(others: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(others / "run"), str(others / "larger")]) == 0
    said = capsys.readouterr().out
    assert "| metric | run | larger | difference |" in said
    assert "| span_f1 |" in said
    page = Page(others / "run" / "against_larger.html")
    assert page.headings == [
        *("Differences", "What differs between them", "Windows in which one is ahead the most")
    ]
    assert "model.hidden" in page.text
    reports = [json.loads((others / name / "report.json").read_text()) for name in ("run", "larger")]
    values = [
        next(metric["value"] for metric in one["metrics"] if metric["name"] == "bar_brier") for one in reports
    ]
    row = next(line for line in said.splitlines() if line.startswith("| bar_brier "))
    assert [cell.strip() for cell in row.split("|")[2:4]] == [f"{value:.4g}" for value in values]
    first = (others / "run" / "against_larger.html").read_bytes()
    assert run(["report", str(others / "run"), str(others / "larger")]) == 0
    assert (others / "run" / "against_larger.html").read_bytes() == first


def test_a_run_is_no_better_than_itself(others: Path, tmp_path: Path) -> None:
    out = tmp_path / "itself.html"
    assert run(["report", str(others / "run"), str(others / "run"), "--out", str(out)]) == 0
    page = Page(out)
    assert "1 run is better by nothing; 2 run is better by nothing" in page.text
    assert "Both have the same settings." in page.text
    assert "They mark all windows equally well." in page.text


def test_other_windows_are_refused_in_words(others: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, ["report", str(others / "run"), str(others / "longer")])
    assert "second: want a run with the test windows of" in error
    assert "20 bars a window, got 30" in error


def test_importance_is_measured_once_and_kept(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    assert run(["report", str(copy), "--importance", "inner"]) == 0
    assert "every feature" in capsys.readouterr().out
    kept = json.loads((copy / "importance.json").read_text())
    groups = kept["importance"]["groups"]
    columns = sorted(c for group in groups if group["group"] != "every feature" for c in group["columns"])
    assert columns == list(range(12))
    page = (copy / "report.html").read_bytes()
    assert "What features are worth" in Page(copy / "report.html").headings
    assert run(["report", str(copy)]) == 0
    assert (copy / "report.html").read_bytes() == page


def test_a_group_that_the_network_does_not_see_is_worth_nothing(finished: Path) -> None:
    opened = finished_run(finished)
    before = measure_importance(opened, "inner", repeats=1).importance
    ignored = before.groups[-1].columns
    for name, weight in opened.model.named_parameters():
        if "weight_ih" in name:
            weight.data[:, list(ignored)] = 0
    after = measure_importance(opened, "inner", repeats=1).importance
    one = next(group for group in after.groups if group.columns == ignored)
    assert one.drop == 0
    assert one.interval.low <= 0 <= one.interval.high
    assert one.p_value == 1


def test_what_a_stored_run_decides_is_what_was_reported(finished: Path) -> None:
    opened = finished_run(finished)
    decided = opened.decided("test")
    assert len(decided.prediction.spans.window) == opened.report.data.n_pred
    rows = opened.windows.starts[opened.windows.split == 2][:, None] + np.arange(opened.windows.length)
    spans = opened.spans(opened.windows.features[rows])
    assert np.array_equal(spans.start, decided.prediction.spans.start)


def test_a_folder_of_runs_is_one_page(others: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(others)]) == 0
    page = Page(others / "runs.html")
    assert page.headings[:2] == ["Span F1", "By variant"]
    for words in ("larger", "longer", "model.hidden", "different test windows"):
        assert words in page.text, words


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["{run}", "--out", "{run}/no/page.html"], "out: want a file in an existing folder"),
        (["{run}", "{run}", "--importance", "inner"], "importance: want the folder of one run, got"),
        (["{empty}"], "first: want a folder with config.json, table.csv or finished runs"),
        (["{empty}/none"], "first: want the folder of a run, a sweep or several runs"),
        (["{unfinished}"], "want a finished run with decision.json"),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(
    arguments: list[str],
    wanted: str,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(finished, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "decision.json").unlink()
    places = {"run": finished, "empty": tmp_path / "empty", "unfinished": tmp_path / "unfinished"}
    assert wanted in refused(capsys, ["report", *(word.format(**places) for word in arguments)])
