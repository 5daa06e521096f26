"""`moola sweep` and `moola walk-forward`: every job once, one table, nothing tested that was trained on."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moola_data.bars import read_bars
from moola_data.spans_file import read_spans
from moola_train.recipes import file_jobs
from moola_train.recipes.bar_range import bars_between
from moola_train.recipes.commands import run
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.file_trial import file_trial
from moola_train.recipes.overrides import nested, parse_choices, parse_setting
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.variants import variants
from moola_train.recipes.walk_forward import period_config, walk
from moola_train.schema import SweepRow
from moola_train.sweep import job_key


@pytest.fixture
def here(monkeypatch):
    """Runs the jobs of a sweep in this process, for workers have tests of their own; lists the calls."""
    calls = []

    def in_process(function, jobs, folder, *, workers, announce):
        rows = []
        for number, parameters in enumerate(jobs, start=1):
            calls.append(parameters)
            result, error = None, None
            try:
                result = file_trial(**parameters)
            except ValueError as raised:
                error = f"ValueError: {raised}\n\ntraceback"
            row = SweepRow(
                key=job_key(parameters),
                parameters=parameters,
                status="failed" if error else "done",
                result=result,
                error=error,
                attempt=1,
                seconds=0.5,
                cpu_seconds=0.5,
            )
            announce(row, number, len(jobs))
            rows.append(row)
        folder.mkdir(parents=True, exist_ok=True)
        return rows

    monkeypatch.setattr(file_jobs, "sweep", in_process)
    return calls


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "table.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_combination_of_settings_and_seeds_is_a_row(here, market, flags, tmp_path, capsys):
    out = tmp_path / "sweep"
    words = ["--set", "fit.epochs=2", "--grid", "balancer.kind=static,uncertainty", "--seeds", "0", "1"]
    assert run(["sweep", str(market / "quick.toml"), *flags, *words, "--out", str(out)]) == 0
    found = rows(out)
    pairs = [(r["balancer.kind"], r["seed"]) for r in found]
    assert pairs == [("static", "0"), ("static", "1"), ("uncertainty", "0"), ("uncertainty", "1")]
    assert {r["epochs"] for r in found} == {"2"}
    assert all(0 <= float(r["span_f1"]) <= 1 and float(r["span_f1/null"]) >= 0 for r in found)
    assert len({r["best_value"] for r in found}) == 4
    page = (out / "table.md").read_text()
    assert "<h2>Every job</h2>" in (out / "table.html").read_text()
    assert page.count("\n| ") == 4
    assert "chance" in page
    assert [job["run"]["fit"]["learning_rate"] for job in here] == [0.003] * 4
    assert "4/4 balancer.kind=uncertainty, seed=1: done" in capsys.readouterr().err


def test_a_failed_job_is_a_row_with_its_error_and_the_exit_code_is_1(here, market, flags, tmp_path):
    out = tmp_path / "sweep"
    words = ["--grid", "data.length=20,590", "--set", "fit.epochs=1"]
    assert run(["sweep", str(market / "quick.toml"), *flags, *words, "--out", str(out)]) == 1
    good, bad = rows(out)
    assert (good["status"], bad["status"]) == ("done", "failed")
    assert bad["span_f1"] == ""
    assert bad["data.length"] == "590"
    assert bad["error"].startswith("ValueError: bars: want at least 1 block")
    assert "1 of 2 failed" in (out / "table.md").read_text()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--set", "fit.epoch=2"], "fit.epoch"),
        (["--set", "fit"], "want NAME=VALUE"),
        (["--grid", "fit.epochs=1,1"], "different values"),
        (["--grid", "fit.epochs=1,2", "--set", "fit.epochs=3"], "every setting once"),
        (["--seeds", "1", "1"], "seeds: want different"),
        (["--grid", "balancer.kind=magic"], "magic"),
    ],
)
def test_bad_settings_are_one_line_before_any_job(words, wanted, here, market, flags, tmp_path, capsys):
    out = tmp_path / "sweep"
    assert run(["sweep", str(market / "quick.toml"), *flags, *words, "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip()
    assert wanted in error
    assert len(error.splitlines()) == 1
    assert not out.exists()
    assert not here


def test_ctrl_c_is_one_line_130_and_says_how_to_go_on(monkeypatch, market, flags, tmp_path, capsys):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(file_jobs, "sweep", interrupted)
    assert run(["sweep", str(market / "quick.toml"), *flags, "--out", str(tmp_path / "s")]) == 130
    error = capsys.readouterr().err.strip()
    assert error.startswith("moola: interrupted: finished jobs are kept in")
    assert len(error.splitlines()) == 1


def test_settings_lie_over_the_configuration_and_leave_the_rest():
    base = RunConfig()
    [(chosen, config)] = variants(base, ["fit.epochs=3", "balancer.kind=static"], [])
    assert chosen == {}
    assert config.fit == base.fit.model_copy(update={"epochs": 3})
    assert config.balancer.kind == "static"
    assert config.data == base.data


def test_values_are_toml_and_bare_words_are_text():
    values = [parse_setting(f"a.b={text}")[1] for text in ("3", "0.5", "true", "word", '"3"', "[1, 2]")]
    assert values == [3, 0.5, True, "word", "3", [1, 2]]
    assert parse_choices("a=[[1, 2], [3]]") == ("a", [[1, 2], [3]])
    with pytest.raises(ValueError, match="want a table at 'a'"):
        nested({"a": 1, "a.b": 2})


def test_a_job_whose_files_have_changed_is_refused(here, market, flags, tmp_path):
    out = tmp_path / "sweep"
    run(["sweep", str(market / "quick.toml"), *flags, "--set", "fit.epochs=1", "--out", str(out)])
    with pytest.raises(ValueError, match="bars: want those the job was listed for"):
        file_trial(**{**here[0], "bars_fingerprint": "0" * 64})


def test_periods_follow_each_other_and_test_all_times_after_the_first_share(market):
    bars = read_bars(market / "bars.csv")
    plan = walk(bars, periods=4, first=0.4, inner=0.25, memory=None)
    times = [str(t) for t in bars.time]
    assert plan[0].test_begin == times[240]
    assert plan[-1].end == times[-1]
    for before, after in pairwise(plan):
        assert times.index(after.test_begin) == times.index(before.end) + 1
        assert after.begin == before.begin == times[0]
    for period in plan:
        assert sum(period.fractions) == pytest.approx(1)
        assert times.index(period.test_begin) == times.index(period.train_end) + 1
    short = walk(bars, periods=4, first=0.4, inner=0.25, memory=0.2)
    assert [times.index(p.test_begin) - times.index(p.begin) for p in short] == [120] * 4


def test_no_window_of_a_period_sees_beyond_its_part(market):
    bars = read_bars(market / "bars.csv")
    spans = read_spans(market / "spans.csv", bars)
    config = read_run_settings(market / "quick.toml")
    for period in walk(bars, periods=2, first=0.5, inner=0.25, memory=None):
        used, labels = bars_between(bars, spans, begin=period.begin, end=period.end)
        windows, _ = expansion_windows(used, labels, period_config(config, period))
        first, last = used.time[windows.starts], used.time[windows.starts + windows.length - 1]
        tested = windows.split == 2
        # A block of time belongs to one part whole, so the border may lie half a block off.
        border = np.datetime64(period.test_begin)
        slack = np.timedelta64(windows.length, "m")
        assert last[~tested].max() < first[tested].min()
        assert abs(first[tested].min() - border) <= 2 * slack
        assert last.max() <= np.datetime64(period.end)


def test_walk_forward_tells_window_period_scores_and_chance(here, market, flags, tmp_path):
    out = tmp_path / "walk"
    words = ["--periods", "2", "--config", str(market / "quick.toml"), "--out", str(out)]
    assert run(["walk-forward", *flags, *words]) == 0
    one, two = rows(out)
    assert (one["period"], two["period"]) == ("1", "2")
    assert one["test to"] < two["test from"]
    for row in (one, two):
        assert row["train_end"] < row["test_begin"]
        assert int(row["test_windows"]) > 0
        assert row["span_f1/null"]
        assert np.isfinite(float(row["span_f1"]))
    page = (out / "table.md").read_text()
    assert "<h2>Every job</h2>" in (out / "table.html").read_text()
    assert "train from" in page
    assert "chance" in page


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["--periods", "0"], "periods"), (["--first", "1.5"], "first"), (["--memory", "0"], "memory")],
)
def test_impossible_periods_are_one_line(words, wanted, market, flags, tmp_path, capsys):
    assert run(["walk-forward", *flags, *words, "--out", str(tmp_path / "walk")]) == 2
    error = capsys.readouterr().err.strip()
    assert f"{wanted}: want" in error
    assert len(error.splitlines()) == 1


def test_bars_between_two_times_keep_whole_spans_alone(market):
    bars = read_bars(market / "bars.csv")
    spans = read_spans(market / "spans.csv", bars)
    begin, end = str(bars.time[spans.start[2] + 1]), str(bars.time[spans.end[9]])
    used, labels = bars_between(bars, spans, begin=begin, end=end)
    assert len(labels) == 7  # number 2 is cut
    offset = spans.start[2] + 1
    assert (labels.start + offset).tolist() == spans.start[3:10].tolist()
    assert used.close.tolist() == bars.close[offset : spans.end[9] + 1].tolist()
    with pytest.raises(ValueError, match="begin: want a time"):
        bars_between(bars, spans, begin="yesterday", end=None)
    with pytest.raises(ValueError, match="want some from"):
        bars_between(bars, spans, begin="2030-01-01", end=None)


@pytest.mark.slow
def test_the_same_command_goes_on_with_worker_processes(market, flags, tmp_path):
    out = tmp_path / "sweep"
    words = ["sweep", str(market / "quick.toml"), *flags, "--set", "fit.epochs=1", "--out", str(out)]
    assert run([*words, "--seeds", "0", "1", "--workers", "2"]) == 0
    first = pd.read_csv(out / "table.csv")
    kept = {p: p.stat().st_mtime_ns for p in (out / "jobs" / "rows").glob("*.json")}
    assert len(kept) == 2
    assert run([*words, "--seeds", "0", "1", "2"]) == 0
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())
    pd.testing.assert_frame_equal(pd.read_csv(out / "table.csv")[:2], first)
    assert json.loads((out / "jobs" / "sweep.json").read_text())["function"].endswith("file_trial:file_trial")
