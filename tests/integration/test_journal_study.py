"""A trial of the study of the journal, and the ledger that it may draw."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from moola_train.recipes.catalogue_run import JournalSource
from moola_train.recipes.journal_source import INTERPRETER, GeneratorSource, LedgerSource
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


def test_entries_are_drawn_once_for_all_variants_of_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = GeneratorSource.draw

    def counted(source: GeneratorSource, seed: int) -> JournalSource:
        drawn.append(seed)
        return draw(source, seed)

    monkeypatch.setattr(GeneratorSource, "draw", counted)
    first = journal_trial(source={"entries": 70, "kind": "generator"}, run={"catalogue": SMALL}, seed=4)
    again = journal_trial(source={"kind": "generator", "entries": 70}, run={"catalogue": SMALL}, seed=4)
    assert (drawn, first) == ([4], again)


def test_an_interval_wholly_on_one_side_of_0_is_told_as_such() -> None:
    found = numbers()
    for other in ("lookup", "nearest"):
        for metric in ("exact", "f1"):
            low, high, above, below = (
                float(str(found[f"less_{other}/{metric}_{end}"])) for end in ("low", "high", "above", "below")
            )
            assert (above, below) == (low > 0, high < 0)


def test_every_fix_and_open_point_has_a_claim_on_both_data() -> None:
    wheres = {claim.where for claim in load_study("journal").claim}
    points = [f"fix {k}" for k in range(1, 7)] + [f"open {k}" for k in range(1, 5)]
    assert {*points, *(f"{point}, ledger" for point in points), "acceptance"} <= wheres


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
