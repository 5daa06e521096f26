"""A study decides claims by intervals over seeds, and nothing in it is chosen on what it reports."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from moola_train.recipes import trial as trials
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.study import Claim, Condition, Study, load_study, merged, parse_study, study_names
from moola_train.recipes.study_data import Material, material
from moola_train.recipes.study_page import table, trials_of
from moola_train.recipes.study_run import run_study
from moola_train.recipes.study_verdict import judge, mean_of, measure

SMALL = """
name = "small"
title = "A small study"
question = "Does it run?"
seeds = [0, 1]
columns = ["test/bar_f1", "inner/loss@last"]
source = { kind = "benchmark", windows = 20, fresh = 8, inner = 0.3 }
run = { fit = { epochs = 2, batch_size = 8 } }

[[variant]]
name = "plain"
run = { balancer = { kind = "static" } }

[[variant]]
name = "learned"

[[claim]]
id = "small.1"
where = "nowhere"
says = "Learning the weights helps."
expects = [{ metric = "test/bar_f1", of = "learned", less = "plain", want = "above" }]

[quick]
variants = ["plain"]
run = { fit = { epochs = 1 } }
"""


def test_every_study_of_the_package_is_sound_and_lists_different_trials() -> None:
    for name in study_names():
        study = load_study(name)
        assert study.name == name
        for quick in (False, True):
            jobs = study.jobs(quick=quick)
            assert len({(variant, seed) for variant, seed, _ in jobs}) == len(jobs)
        assert len(study.seeds) >= 5


def test_changes_are_laid_over_nested_tables_but_a_kind_replaces() -> None:
    base: dict[str, Any] = {
        "fit": {"epochs": 5, "seed": 1},
        "balancer": {"kind": "uncertainty", "log_sigma": {}},
    }
    changes = {"fit": {"epochs": 9}, "balancer": {"kind": "static"}}
    assert merged(base, changes) == {"fit": {"epochs": 9, "seed": 1}, "balancer": {"kind": "static"}}
    assert base["fit"]["epochs"] == 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('less = "plain"', 'less = "missing"', "want variants among"),
        ('kind = "benchmark", ', "", "variant 'plain': .*discriminator"),
        ("epochs = 2", "epochs = 0", "variant 'plain': fit.epochs"),
        ("question", "qestion", "qestion"),
        ('name = "learned"', 'name = "plain"', "different names"),
    ],
)
def test_a_study_that_is_not_sound_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_study(SMALL.replace(old, new))


def claim(
    want: str, *, number: float = 0.0, tolerance: float = 0.0, unless: tuple[Condition, ...] = ()
) -> Claim:
    condition = Condition(metric="m", of="a", want=want, number=number, tolerance=tolerance)  # type: ignore[arg-type]
    return Claim(id="x", where="y", says="z", expects=(condition,), unless=unless)


def one(values: list[float]) -> dict[str, dict[int, dict[str, float]]]:
    return {"a": {seed: {"m": value, "half": value / 2} for seed, value in enumerate(values)}}


def test_the_interval_is_that_of_the_t_distribution() -> None:
    values = [0.2, 0.5, 0.3, 0.9, 0.4]
    mean = mean_of(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean.low, mean.high) == pytest.approx((low, high), rel=1e-12)


def test_verdicts_follow_the_interval_and_need_five_seeds() -> None:
    clear = [1.0, 1.1, 0.9, 1.05, 0.95]
    assert judge(claim("above"), one(clear)).word == "reproduced"
    assert judge(claim("below"), one(clear)).word == "refuted"
    assert judge(claim("above", number=1.0), one(clear)).word == "undecided"
    assert judge(claim("near", number=1.0, tolerance=0.3), one(clear)).word == "reproduced"
    assert judge(claim("near", number=3.0, tolerance=0.3), one(clear)).word == "refuted"
    assert judge(claim("above"), one(clear[:4])).word == "no verdict"
    other = Condition(metric="half", of="a", want="above", number=0.1)
    assert judge(claim("above", unless=(other,)), one(clear)).word == "true for another reason"


def test_an_undefined_number_of_one_seed_decides_nothing() -> None:
    assert judge(claim("above"), one([1.0, math.nan, 1.0, 1.0, 1.0])).word == "undecided"


def test_differences_are_taken_seed_by_seed_and_ratios_run_by_run() -> None:
    both = {
        "a": {0: {"m": 5.0, "n": 2.0}, 1: {"m": 7.0, "n": 2.0}},
        "b": {1: {"m": 1.0}, 0: {"m": 2.0}, 2: {"m": 100.0}},
    }
    assert measure(Condition(metric="m", of="a", less="b", want="above"), both).mean.value == 4.5
    assert measure(Condition(metric="m", of="a", over="n", want="above"), both).mean.value == 3.0
    assert measure(Condition(metric="m", of="a", less_metric="n", want="above"), both).mean.value == 4.0


def test_a_study_runs_writes_its_files_and_does_nothing_twice(tmp_path: Path) -> None:
    study = parse_study(SMALL)
    first = run_study(study, work=tmp_path / "work", out=tmp_path / "out")
    assert first.failed == 0
    assert {file.name for file in first.files} == {"small.md", "small.csv", "small.svg", "small.claims.json"}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "small.csv").read_text())))
    assert [(row["variant"], row["seed"], row["status"]) for row in rows] == [
        ("plain", "0", "done"),
        ("plain", "1", "done"),
        ("learned", "0", "done"),
        ("learned", "1", "done"),
    ]
    assert "no verdict" in (tmp_path / "out" / "small.md").read_text()
    written = {file: file.read_bytes() for file in first.files}
    seen: list[str] = []
    again = run_study(
        study,
        work=tmp_path / "work",
        out=tmp_path / "out",
        announce=lambda row, done, all_: seen.append(row.key),
    )
    assert not seen
    assert [row.result for row in again.rows] == [row.result for row in first.rows]
    assert {file: file.read_bytes() for file in again.files} == written
    means = table(trials_of(study, again.rows, quick=False), ["test/bar_f1"])
    assert len(means) == 4


def test_nothing_is_chosen_on_what_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels of the reported part are written into its features, or all turned: no choice may move."""
    job = parse_study(SMALL).jobs(quick=False)[0][2]
    honest = trials.trial(**job)  # type: ignore[arg-type]

    def leaking(*arguments: Any, **options: Any) -> Material:
        drawn = material(*arguments, **options)
        windows = drawn.windows
        reported = np.flatnonzero(windows.split == 2)
        features = windows.features.copy()
        targets = {task: array.copy() for task, array in windows.targets.items()}
        for row in reported:
            bars = slice(windows.starts[row], windows.starts[row] + windows.length)
            features[bars, 0] = 1 - targets["span"][row]
            targets["span"][row] = 1 - targets["span"][row]
        return drawn._replace(windows=windows.model_copy(update={"features": features, "targets": targets}))

    monkeypatch.setattr(trials, "material", leaking)
    planted = trials.trial(**job)  # type: ignore[arg-type]
    reported = ("test/", "null/", "skill/", "ceiling/", "share/", "gap/", "positive_share")
    chosen = {name: value for name, value in honest.items() if not name.startswith(reported)}
    assert {name: planted[name] for name in chosen} == chosen
    assert (
        planted["test/half_bar_f1"] != honest["test/half_bar_f1"]
        or planted["test/bar_f1"] != honest["test/bar_f1"]
    )


def test_fresh_windows_are_another_draw_and_share_no_group_with_the_first() -> None:
    study: Study = parse_study(SMALL)
    source = trials.SOURCES.validate_python(study.jobs(quick=False)[0][2]["source"])
    section = RunConfig().data
    drawn = material(source, section, seed=3)
    reported = drawn.windows.split == 2
    assert not set(drawn.windows.group[reported]) & set(drawn.windows.group[~reported])
    other = material(source.model_copy(update={"windows": 30}), section, seed=3)
    last = other.windows.split == 2
    assert np.array_equal(drawn.windows.targets["span"][reported], other.windows.targets["span"][last])


def test_a_recipe_under_several_ranks_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    job = parse_study(SMALL).jobs(quick=False)[0][2]
    with pytest.raises(ValueError, match="want one process for a recipe, got 2"):
        trials.trial(**job)  # type: ignore[arg-type]
