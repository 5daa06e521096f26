"""Sections of pages made from data alone: however large, however named."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest

from moola_data.card import dataset_card
from moola_data.schema import Bars, Spans
from moola_eval.html_page import page_html
from moola_train.recipes.card_section import card_section
from moola_train.recipes.commands import run
from moola_train.recipes.sweep_page import read_table, sweep_page
from moola_train.recipes.training_section import shares_of, training_section
from moola_train.schema import Record

NASTY = "</style><script>alert(1)</script>"
HEAD = (
    *("fit.learning_rate", "name", "seed", "status", "attempt", "seconds", "span_f1", "span_f1/low"),
    *("span_f1/high", "span_f1/null", "span_f1/skill", "best_epoch", "test_begin", "error"),
)


def table(jobs: int, *, seeds: int = 3, failed: int = 0, label: str = "a") -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    rng = np.random.default_rng(0)
    for job in range(jobs):
        f1 = rng.uniform(0.2, 0.6)
        lost = job < failed
        numbers = ["", "", "", "", "", ""] if lost else [f1, f1 - 0.1, f1 + 0.1, 0.15, f1 - 0.15, 7]
        labels = [0.001 * (job // seeds), label, job % seeds]
        error = f"ValueError: {label}" if lost else ""
        writer.writerow([*labels, "failed" if lost else "done", 1, 2.5, *numbers, "t", error])
    return text.getvalue()


def test_a_sweep_is_a_page_with_variants_jobs_luck_and_failures(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(table(12, failed=2))
    assert run(["report", str(tmp_path)]) == 0
    text = (tmp_path / "table.html").read_text()
    assert text == sweep_page(read_table(table(12, failed=2)), title=f"Sweep {tmp_path.name}")
    for words in (
        "12 jobs, 2 failed; 4 variants",
        "By luck alone the best of 10",
        "2 of 12 jobs failed",
        "±",
    ):
        assert words in text, words
    assert text.count("<circle") == 20  # a score and a chance level for every job that was done


def test_a_huge_sweep_with_hostile_labels_stays_small_and_harmless() -> None:
    text = sweep_page(read_table(table(1500, failed=50, label=NASTY + "x" * 500)), title=NASTY)
    assert len(text.encode()) < 2_000_000
    assert "<script" not in text
    assert text.count("</style>") == 1
    assert "more are in table.csv" in text


def test_a_table_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"table.csv: want a sweep's table .*, got \['a', 'b'\]"):
        read_table("a,b\n1,2\n")
    with pytest.raises(ValueError, match="want 14 cells, got 2 in row 1"):
        read_table("".join(table(1)) + "1,2\n")


def records(epochs: int, tasks: list[str]) -> list[Record]:
    made = []
    for epoch in range(1, epochs + 1):
        for task in tasks:
            for split in ("train", "inner"):
                made.append(
                    Record(step=epoch, epoch=epoch, split=split, task=task, name="loss", value=1 / epoch)
                )
            for i, name in enumerate(("weighted", "pull_shared", "weighted_pull_shared")):
                made.append(
                    Record(step=epoch, epoch=epoch, split="train", task=task, name=name, value=i + 1.0)
                )
        made.append(Record(step=epoch, epoch=epoch, split="inner", task="", name="loss", value=None))
    return made


@pytest.mark.parametrize(("epochs", "tasks"), [(1, 1), (900, 4), (4, 40)])
def test_losses_and_shares_of_any_length_are_drawn_small(epochs: int, tasks: int) -> None:
    names = [f"{NASTY}{i}" for i in range(tasks)]
    section = training_section(records(epochs, names), best_epoch=1, selection="loss")
    text = page_html([section], title="t")
    assert len(text.encode()) < 600_000
    assert "<script" not in text
    assert not re.search('"[^"]*nan[^"]*"', "".join(re.findall("<svg.*?</svg>", text)))
    drawn = [part.name for part in section.parts if part.kind == "drawing"]
    assert drawn[-3:] == [
        "Share of the gradient",
        "Share of the gradient before balancing",
        "Share of the loss",
    ]


def test_shares_add_up_and_are_undefined_where_nothing_pulls() -> None:
    shares = shares_of({"a": {1: 3.0, 2: 0.0}, "b": {1: 1.0, 2: 0.0}})
    assert shares["a"][1] + shares["b"][1] == 1
    assert np.isnan(shares["a"][2])


def test_no_epoch_is_said() -> None:
    assert "No epoch was finished." in page_html(
        [training_section([], best_epoch=None, selection="loss")], title="t"
    )


def test_a_card_of_many_symbols_without_a_span_is_short() -> None:
    price = np.full(30, 7.0)
    bars = Bars(
        time=np.full(30, np.datetime64("NaT", "ns")),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=np.zeros(30, np.int32),
        segment=np.zeros(30, np.int64),
        symbols=("S",),
    )
    none = np.zeros(0, np.int64)
    spans = Spans(
        start=none, end=none, type=none, weight=np.zeros(0, np.float32), type_names=(NASTY,), annotator=NASTY
    )
    card = dataset_card(bars, spans)
    many = card.model_copy(update={"bars_by_symbol": {f"S{i}": i for i in range(5000)}})
    text = page_html([card_section(many)], title="t")
    assert "and 4,976 more" in text
    assert "S4999" not in text
    assert "<script" not in text
    assert "0 spans" in text
    assert "without times" in text
