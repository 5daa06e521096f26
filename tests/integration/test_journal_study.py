"""A trial of the study of the journal, and the ledger that it may draw."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from moola_train.recipes.journal_source import INTERPRETER, LedgerSource
from moola_train.recipes.journal_trial import JournalRun, journal_trial
from moola_train.recipes.study import load_study

SMALL: dict[str, JsonValue] = {
    "text": {"buckets": 256, "dimension": 8},
    "model": {"hidden": 8},
    "fit": {"epochs": 2},
    "evaluation": {"resamples": 10, "permutations": 10, "svm": False},
}


def numbers(**run: JsonValue) -> dict[str, JsonValue]:
    source: dict[str, JsonValue] = {"kind": "generator", "entries": 80}
    return journal_trial(source=source, run={"catalogue": SMALL, **run}, seed=3)


def test_a_trial_tells_numbers_and_the_same_ones_again() -> None:
    first = numbers()
    assert first == numbers()
    assert all(value is None or math.isfinite(float(str(value))) for value in first.values())
    asked = {column for column in load_study("journal").columns if not column.startswith("svm/")}
    assert asked <= first.keys()
    assert first["share/exact"] == pytest.approx(
        float(str(first["test/exact"])) / float(str(first["ceiling/exact"]))
    )


def test_redrawn_rows_are_trained_alike_and_used_otherwise() -> None:
    loaded, redrawn = numbers(), numbers(table="redrawn")
    assert loaded["train/account_loss"] == redrawn["train/account_loss"]
    assert loaded["inner/best"] == redrawn["inner/best"]
    assert loaded["test/calibration_error_raw"] != redrawn["test/calibration_error_raw"]


def test_every_seed_of_the_run_is_the_trials() -> None:
    config = JournalRun().config(7)
    assert (config.entries.seed, config.model.seed, config.fit.seed) == (7, 7, 7)


def test_an_unsound_variant_is_refused_before_any_trial() -> None:
    with pytest.raises(ValidationError, match="scale"):
        JournalRun.model_validate(
            {"catalogue": {"model": {"pointer": {"scale": 2.0, "temperature": 0.5}}}}
        ).config(0)


def test_a_ledger_without_beancount_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no beancount here >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv(INTERPRETER, str(python))
    with pytest.raises(ImportError, match=r"want beancount .* got: no beancount here"):
        LedgerSource().draw(0)
