"""`[evaluation] metrics`: what an installed package measures stands in a run's report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from moola_eval.schema import EvalInput, MetricReport, Report
from moola_train.recipes import reporting
from moola_train.recipes.commands import run
from moola_train.recipes.file_trial import file_trial
from moola_train.recipes.finished_run import finished_run
from moola_train.recipes.run_source import CONFIG, file_inputs
from moola_train.recipes.settings import read_run_settings

MODULE = """
import numpy as np
from moola_eval.score import mean

def onset(forecast, targets):
    window, first = targets.spans.sequence, targets.spans.start
    n = len(targets.mask)
    seen = np.bincount(window, weights=forecast.mask[window, first], minlength=n)
    return mean("onset", "first bars", seen, np.bincount(window, minlength=n).astype(float), unit="spans")

number = 3
"""
POINTS = "[moola_eval.metrics]\nmy_onset = my_onset_metric:onset\nmy_number = my_onset_metric:number\n"
METRIC = 'evaluation.metrics=["my_onset"]'


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A package with two entry points, one of which is no metric."""
    site = tmp_path_factory.mktemp("site")
    (site / "my_onset_metric.py").write_text(MODULE)
    about = site / "my_onset_metric-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-onset-metric\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield site


@pytest.fixture(scope="module")
def measured(
    installed: Path, market: Path, flags: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run whose configuration names the metric."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    words = ["--config", str(market / "quick.toml"), "--fit.epochs", "1", "--run", str(folder)]
    assert run(["train", *flags, *words, "--evaluation.metrics", '["my_onset"]']) == 0
    return folder


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1, error
    return error


def reported(folder: Path) -> MetricReport:
    return Report.model_validate_json((folder / "report.json").read_bytes()).metric("my_onset")


def test_the_metric_stands_in_the_report_with_chance_and_interval(measured: Path) -> None:
    found = reported(measured)
    assert found.interval is not None
    assert found.strongest_null is not None
    assert "my_onset" in (measured / "report.md").read_text()
    assert "my_onset" in (measured / "report.html").read_text()


def test_it_is_computed_of_the_decided_spans(measured: Path) -> None:
    data: EvalInput = finished_run(measured).decided("test")
    truth, marked = data.truth.spans, data.prediction.spans
    seen = [
        bool(((marked.window == window) & (marked.start <= start) & (marked.end >= start)).any())
        for window, start in zip(truth.window, truth.start, strict=True)
    ]
    assert reported(measured).value == pytest.approx(np.mean(seen))


def test_the_others_stay_as_they_are(measured: Path, market: Path, flags: list[str], tmp_path: Path) -> None:
    words = ["--config", str(market / "quick.toml"), "--fit.epochs", "1", "--run", str(tmp_path / "run")]
    assert run(["train", *flags, *words]) == 0
    without, with_it = (
        json.loads((folder / "report.json").read_text())["metrics"] for folder in (tmp_path / "run", measured)
    )
    assert [one for one in with_it if one["name"] != "my_onset"] == without


def test_a_job_of_a_sweep_tells_the_metric(installed: Path, market: Path) -> None:
    bars, spans = market / "bars.csv", market / "spans.csv"
    source = file_inputs(bars, spans).source
    numbers = file_trial(
        bars=str(bars),
        spans=str(spans),
        bars_fingerprint=source.bars_fingerprint,
        spans_fingerprint=source.spans_fingerprint,
        run=read_run_settings(market / "quick.toml", ["fit.epochs=1", METRIC]).model_dump(mode="json"),
        seed=0,
    )
    assert {"my_onset", "my_onset/low", "my_onset/null", "my_onset/skill"} <= set(numbers)


@pytest.mark.parametrize(
    ("metrics", "wanted"),
    [
        (
            '["my_onst"]',
            "--evaluation.metrics: want my_number, my_onset, got 'my_onst'; did you mean 'my_onset'?",
        ),
        ('["my_onset", "span_f1"]', "--evaluation.metrics: want my_number, my_onset, got 'span_f1'"),
        ('["my_onset", "my_onset"]', "--evaluation.metrics: want every name once, got 'my_onset' twice"),
        ('["my_number"]', "entry point moola_eval.metrics:my_number: want a function, got 3"),
        ("my_onset", "--evaluation.metrics: want a list, got 'my_onset'"),
    ],
)
def test_what_is_no_metric_is_said_before_the_work(
    metrics: str,
    wanted: str,
    installed: Path,
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(reporting, "evaluate", lambda *_, **__: pytest.fail("it was trained"))
    words = ["train", *flags, "--run", str(tmp_path / "run"), "--evaluation.metrics", metrics]
    assert run(words) == 2
    assert wanted in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_a_run_whose_metric_is_gone_says_which(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (CONFIG, "source.json"):
        (folder / name).write_text((measured / name).read_text().replace("my_onset", "my_lost"))
    assert run(["report", str(folder)]) == 2
    assert "evaluation.metrics: want my_number, my_onset, got 'my_lost'" in one_line(capsys)
