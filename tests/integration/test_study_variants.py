"""What a variant can ask for beside a run: noisy copies, averaged networks, a frozen encoder; and picks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moola_train.recipes import trial as trials
from moola_train.recipes.experiment import experiment
from moola_train.recipes.run_config import DataSection, RunConfig
from moola_train.recipes.study import Study, load_study, parse_study, study_names
from moola_train.recipes.study_data import BenchmarkSource, material
from moola_train.recipes.study_page import trials_of
from moola_train.recipes.study_run import run_study
from moola_train.recipes.trial import seeded, trial
from moola_train.schema import SweepRow

SOURCE = {"kind": "benchmark", "windows": 20, "fresh": 8, "inner": 0.3}
RUN = {"fit": {"epochs": 1, "batch_size": 8}}
PICKED = """
name = "picked"
title = "Picked"
question = "Which?"
seeds = [0, 1]
columns = ["test/bar_f1"]
source = { kind = "benchmark", windows = 20, fresh = 8 }

[[variant]]
name = "a"

[[variant]]
name = "b"
members = 2

[[pick]]
name = "best"
among = ["a", "b"]
by = "inner/bar_f1"
want = "highest"
"""


def row(inner: float, test: float) -> SweepRow:
    return SweepRow(
        key="0" * 16,
        parameters={},
        status="done",
        result={"inner/bar_f1": inner, "test/bar_f1": test},
        error=None,
        attempt=1,
        seconds=1.0,
        cpu_seconds=1.0,
    )


def test_a_pick_takes_for_every_seed_what_was_best_on_inner_data_whatever_the_test_says() -> None:
    study = parse_study(PICKED)
    rows = [row(0.5, 0.1), row(0.2, 0.9), row(0.4, 0.8), row(0.3, 0.2)]  # a: seeds 0, 1; b: seeds 0, 1
    found = trials_of(study, rows, quick=False)
    assert {seed: numbers["test/bar_f1"] for seed, numbers in found["best"].items()} == {0: 0.1, 1: 0.2}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('by = "inner/bar_f1"', 'by = "test/bar_f1"', "by"),
        ('among = ["a", "b"]', 'among = ["a", "c"]', "'c'"),
        ('name = "best"', 'name = "b"', "a name of its own"),
    ],
)
def test_a_pick_by_reported_data_or_of_strangers_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_study(PICKED.replace(old, new))


def test_only_an_ensemble_has_members_among_its_parameters() -> None:
    study: Study = parse_study(PICKED)
    assert [job.get("members") for _, _, job in study.jobs(quick=False)] == [None, None, 2, 2]


def test_an_ensemble_averages_the_probabilities_of_networks_that_differ_by_their_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []
    reported = trials.reported_numbers

    def spy(drawn: Any, found: Any, *rest: Any, **more: Any) -> Any:
        seen.append(found.probability)
        return reported(drawn, found, *rest, **more)

    monkeypatch.setattr(trials, "reported_numbers", spy)
    trial(source=SOURCE, run=RUN, seed=3, members=2)
    config = seeded(RunConfig.model_validate(RUN), 3)
    drawn = material(BenchmarkSource.model_validate(SOURCE), config.data, seed=3)
    alone = [
        trials._trained(drawn, seeded(config, seed)).found.probability for seed in (3, 3 + trials.MEMBER)
    ]
    assert not np.array_equal(*alone)
    np.testing.assert_allclose(seen[0], np.mean(alone, axis=0), atol=1e-6)


def test_an_ensemble_of_decided_spans_is_refused() -> None:
    run = {**RUN, "model": {"heads": {"span": {"kind": "span_crf"}}}, "decoding": {"kind": "best"}}
    with pytest.raises(ValueError, match="threshold"):
        trial(source=SOURCE, run=run, seed=0, members=2)


def test_noisy_copies_are_of_training_windows_alone_and_have_the_asked_size() -> None:
    section = RunConfig().data
    plain, noisy = (
        material(BenchmarkSource.model_validate(SOURCE | more), section, seed=1).windows
        for more in ({}, {"jitter": 0.25})
    )
    counts = [np.bincount(windows.split).tolist() for windows in (plain, noisy)]
    assert counts[1] == [3 * counts[0][0], *counts[0][1:]]
    of_first = [windows.starts[windows.split == 1] for windows in (plain, noisy)]
    assert np.array_equal(*of_first)
    training = np.flatnonzero(noisy.split == 0)
    n = counts[0][0]
    first, copy = (
        np.stack([noisy.features[s : s + noisy.length] for s in noisy.starts[rows]])
        for rows in (training[:n], training[n : 2 * n])
    )
    change = (copy - first).std(axis=(0, 1)) / np.maximum(first.std(axis=(0, 1)), 1e-9)
    assert np.median(change) == pytest.approx(0.25, rel=0.2)
    targets = noisy.targets["span"]
    np.testing.assert_array_equal(targets[training[:n]], targets[training[n : 2 * n]])


def test_a_frozen_encoder_keeps_its_pretrained_values_and_the_heads_train() -> None:
    pretrain = {"kind": "masked", "epochs": 1, "freeze": True}
    config = seeded(RunConfig.model_validate({**RUN, "pretrain": pretrain}), 0)
    drawn = material(BenchmarkSource.model_validate(SOURCE | {"unlabelled": 20}), config.data, seed=0)
    made = experiment(drawn.windows, config)
    assert not any(p.requires_grad for p in made.model.lstm.parameters())
    assert all(p.requires_grad for p in made.model.readouts.parameters())
    numbers = trial(source=SOURCE | {"unlabelled": 20}, run=config.model_dump(mode="json"), seed=0)
    assert numbers["train/span/pull_shared@1"] == 0
    assert json.dumps(numbers)


def test_freezing_what_was_not_pretrained_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pretrain\.freeze"):
        trial(source=SOURCE, run={**RUN, "pretrain": {"freeze": True}}, seed=0)


MIXED = """
name = "mixed"
alone = true
title = "Mixed"
question = "Which kind?"
columns = ["test/bar_f1", "share/bar_f1"]
recipe = "origin"
source = { kind = "benchmark", windows = 20, fresh = 8, inner = 0.3 }
run = { fit = { epochs = 1, batch_size = 8 } }

[[variant]]
name = "network"

[[variant]]
name = "trees"
function = "proxy_trial"
run = { method = "tree" }

[[cross]]
name = ""

[[cross]]
name = "louder"
source = { snr = 2.0 }

[quick]
variants = ["network", "trees louder"]
"""


def test_a_crossing_lengthens_names_and_is_laid_over_every_variant() -> None:
    study = parse_study(MIXED)
    assert [v.name for v in study.variants()] == ["network", "trees", "network louder", "trees louder"]
    sources = [job["source"] for _, seed, job in study.jobs(quick=False) if seed == 0]
    assert [source.get("snr") for source in sources] == [None, None, 2.0, 2.0]


def test_trials_of_two_kinds_run_in_one_study_and_tell_their_share_of_the_ceiling(tmp_path: Path) -> None:
    study = parse_study(MIXED)
    finished = run_study(study, work=tmp_path / "work", out=tmp_path / "out", quick=True, workers=1)
    assert finished.failed == 0
    for row in finished.rows:
        assert row.result is not None
        share = float(row.result["test/bar_f1"]) / float(row.result["ceiling/bar_f1"])
        assert row.result["share/bar_f1"] == pytest.approx(share)


def test_a_networks_settings_for_a_trial_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match=r"variant .trees"):
        parse_study(MIXED.replace('run = { method = "tree" }', "run = { fit = { epochs = 1 } }"))


def test_what_stands_alone_is_not_among_all() -> None:
    alone = {name for name in study_names() if load_study(name).alone}
    assert {"journal", "curve"} <= alone
    assert "stall" not in alone


def test_marks_of_the_same_person_are_reported_on_with_a_ceiling_of_their_own() -> None:
    true, marked = (
        material(
            BenchmarkSource(windows=20, fresh=60, noise="hasty", noise_reported=noisy), DataSection(), seed=3
        )
        for noisy in (False, True)
    )
    assert np.array_equal(true.windows.features, marked.windows.features)
    reported = true.windows.split == 2
    inside, seen = (drawn.windows.targets["span"] for drawn in (true, marked))
    assert np.array_equal(inside[~reported], seen[~reported])
    assert not np.array_equal(inside[reported], seen[reported])
    assert true.span_ceiling is not None
    assert marked.span_ceiling is not None
    assert marked.span_ceiling < true.span_ceiling


def test_the_gap_and_the_recall_are_told_beside_the_score() -> None:
    source = {"kind": "benchmark", "windows": 10, "fresh": 10}
    found = trial(source=source, run={"fit": {"epochs": 1}}, seed=0)
    assert found["gap/span_f1"] == pytest.approx(found["ceiling/span_f1"] - found["test/span_f1"])
    assert 0 <= found["test/span_recall"] <= 1
    if found["test/span_f1"] > 0:
        assert found["test/span_recall"] > 0
