"""What a report comes to is told beside every result, and again when its run marks new bars."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from moola_eval import evaluate
from moola_eval.schema import EvalInput, Interval, MetricReport, Prediction, Report, Truth
from moola_train.recipes.bottom_line import bottom_line, verdict
from moola_train.recipes.predict_command import doubt
from moola_train.recipes.provenance import write_text

WINDOWS, LENGTH = 40, 30


def table(start: np.ndarray) -> dict[str, np.ndarray]:
    window = np.arange(WINDOWS)
    return {"window": window, "start": start, "end": start + 4, "type": np.zeros(WINDOWS, np.int64)}


def scored(*, found: bool) -> Report:
    """A report on 40 blocks of one span each, all found or all placed elsewhere."""
    start = np.random.default_rng(0).integers(0, 20, WINDOWS)
    where = {"starts": np.arange(WINDOWS) * LENGTH, "group": np.arange(WINDOWS)}
    truth = Truth(**where, length=LENGTH, spans=table(start), type_names=("surge",))
    marked = table(start if found else (start + 12) % 26)
    marked["score"] = np.ones(WINDOWS, np.float32)
    said = Prediction(
        **where,
        probability=np.full((WINDOWS, LENGTH), 0.1, np.float32),
        spans=marked,
        pointers=None,
        countdown=None,
        type_probability=None,
    )
    return evaluate(EvalInput(prediction=said, truth=truth), seed=0, resamples=50)


def with_skill(metric: MetricReport, low: float, high: float) -> MetricReport:
    interval = Interval(
        low=low, high=high, level=0.95, method="percentile", resamples=9, undefined=0, clusters=9
    )
    return metric.model_copy(update={"skill_interval": interval})


def test_a_network_that_finds_all_is_better_than_chance():
    words = bottom_line(scored(found=True))
    assert words.startswith("Span F1 1 on the test part; the strongest chance level, ")
    assert words.endswith("better than chance.")


def test_few_blocks_are_part_of_the_bottom_line():
    report = scored(found=True)
    few = report.model_copy(update={"notes": ("Intervals rest on 6 blocks only.", "The ceiling is unknown.")})
    assert bottom_line(few) == bottom_line(report) + " Intervals rest on 6 blocks only."


def test_the_verdict_is_the_side_of_0_on_which_the_interval_lies():
    metric = scored(found=True).metric("span_f1")
    assert verdict(with_skill(metric, 0.1, 0.2)) == "better than chance"
    assert verdict(with_skill(metric, 0.0, 0.2)) == "not told apart from chance"
    assert verdict(with_skill(metric, -0.1, 0.2)) == "not told apart from chance"
    assert verdict(with_skill(metric, -0.2, -0.1)) == "worse than chance"


def test_without_an_interval_there_is_no_verdict():
    metric = scored(found=True).metric("span_f1")
    assert verdict(metric.model_copy(update={"skill_interval": None})) == "undefined"
    assert verdict(with_skill(metric, math.nan, math.nan)) == "undefined"


@pytest.mark.parametrize("found", [True, False])
def test_marking_reminds_of_a_run_that_did_not_beat_chance(
    found: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = scored(found=found)
    write_text(tmp_path / "report.json", report.model_dump_json())
    doubt(tmp_path)
    said = capsys.readouterr().err
    assert said == ("" if found else f"moola: doubt these marks: {bottom_line(report)}\n")


def test_a_run_whose_report_was_not_kept_marks_without_a_reminder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doubt(tmp_path)
    assert capsys.readouterr().err == ""
