"""Trains the journal's system and reports on it: entries and a catalogue in, a folder out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moola_data.catalogue import Catalogue
from moola_data.journal_ceiling import journal_ceiling
from moola_data.journal_entry import JournalEntry
from moola_data.journal_policy import JournalReport
from moola_data.journal_split import text_key
from moola_data.journal_world import JournalWorld, LineKey
from moola_eval.entries import Lines
from moola_models.entry_model import EntryModel
from moola_train import FitResult, fit
from moola_train.protocols import Callback
from moola_train.recipes.catalogue_baselines import baseline_lines
from moola_train.recipes.catalogue_config import CatalogueConfig
from moola_train.recipes.catalogue_data import (
    PARTS,
    JournalMaterial,
    examples,
    journal_material,
    lines_of,
    packed,
)
from moola_train.recipes.catalogue_decoding import Booked, Selecting, write
from moola_train.recipes.catalogue_folder import CatalogueDecision, save_catalogue
from moola_train.recipes.catalogue_losses import learning
from moola_train.recipes.catalogue_network import build_model, empty_memory, fill_memory, fit_config
from moola_train.recipes.catalogue_report import (
    CatalogueReport,
    Scores,
    calibration,
    comparisons,
    exactly,
    reading,
    report_page,
    scores_of,
)
from moola_train.recipes.journal_given import NAME, JournalGiven
from moola_train.recipes.provenance import write_text

CONFIG = "run.json"
REPORT = "report.md"
"""Written last: a run that has it is finished."""


@dataclass(frozen=True)
class JournalSource:
    """What a run learns from.

    Attributes:
        entries: n entries.
        catalogue: The accounts there are.
        report: What reading them did; None where they were given as objects.
        world: Where they come from, if their chances are known: the ceiling is then told.
        source: (n,) the same number for texts that are one text in truth; see `journal_material`.
        given: Where entries and accounts can be read again; without it a run cannot be gone on with.
    """

    entries: Sequence[JournalEntry]
    catalogue: Catalogue
    report: JournalReport | None = None
    world: JournalWorld | None = None
    source: npt.NDArray[np.int64] | None = None
    given: JournalGiven | None = None


@dataclass(frozen=True)
class CatalogueOutcome:
    """A finished run."""

    model: EntryModel
    material: JournalMaterial
    report: CatalogueReport
    trained: FitResult
    folder: Path | None


def run_catalogue(
    source: JournalSource,
    config: CatalogueConfig,
    *,
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
) -> CatalogueOutcome:
    """Splits, trains, selects on inner entries, and reports on test entries.

    Args:
        source: Entries and catalogue.
        config: Everything else.
        folder: New or empty, or with `resume` that of the interrupted run; None writes nothing.
        callbacks: Of the loop.
        resume: Go on from the latest checkpoint of the folder.

    Returns:
        The model, in evaluation mode with its memory as it is to be used, and the report. In the folder:
        ``run.json`` (the configuration), ``source.json`` (where the entries are from, if told), ``training/``
        with records and checkpoints; at the end ``model/``, ``encoding.json``, ``catalogue.json``,
        ``decision.json``, ``learned.json`` (the training entries), ``report.json`` and ``report.md``.

    Raises:
        ValueError: The entries do not fit, or a part would be empty.
        FileExistsError: The folder holds something, and `resume` is off.
        FileNotFoundError: `resume` is on, and the folder holds no checkpoint.
    """
    if folder is not None and not resume:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(f"run: want a new or empty folder, got {folder}")
    material = journal_material(source.entries, source.catalogue, config, source=source.source)
    if folder is not None and not resume:
        write_text(folder / CONFIG, config.model_dump_json(indent=1) + "\n")
        if source.given is not None:
            write_text(folder / NAME, source.given.model_dump_json(indent=1) + "\n")
    training = None if folder is None else folder / "training"
    model, trained = train_catalogue(material, config, folder=training, callbacks=callbacks, resume=resume)
    test = write(model, packed(model.config, material.part("test")), config.decoding)
    report = catalogue_report(model, material, config, test=test, source=source, trained=trained)
    if folder is not None:
        decision = CatalogueDecision(
            decoding=config.decoding,
            temperature=report.calibration.temperature,
            fitted_on=tuple(material.part("inner").id),
        )
        save_catalogue(folder, model, material, decision, overwrite=resume)
        write_text(folder / "report.json", report.model_dump_json(indent=1) + "\n")
        write_text(folder / REPORT, report_page(report))
    return CatalogueOutcome(model, material, report, trained, folder)


def train_catalogue(
    material: JournalMaterial,
    config: CatalogueConfig,
    *,
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
) -> tuple[EntryModel, FitResult]:
    """Trains with `moola_train.fit`, or goes on, and leaves the memory as the configuration wants it used."""
    model = build_model(material, config)
    used = config.memory.used
    if used != "prediction":
        fill_memory(model, material, config)
    tasks, balancer = learning(material.catalogue, config)
    trained = fit(
        model,
        examples(material, model.config, config),
        tasks,
        balancer,
        fit_config(model, config),
        folder=folder,
        callbacks=callbacks,
        select=Selecting(material, config),
        resume=resume,
    )
    if used == "prediction":
        fill_memory(model, material, config)
    if used == "training":
        empty_memory(model)
    return model, trained


def catalogue_report(
    model: EntryModel,
    material: JournalMaterial,
    config: CatalogueConfig,
    *,
    test: Booked,
    source: JournalSource,
    trained: FitResult,
    others: Mapping[str, Lines] | None = None,
) -> CatalogueReport:
    """Measures proposals for the test entries and everything that stands beside them.

    Args:
        model: Trained.
        material: What it was trained on.
        config: Of the run.
        test: The proposals.
        source: Where the entries come from.
        trained: How training ended.
        others: What books the test entries without a network; made here unless given.
    """
    train_part, inner_part, test_part = (material.part(part) for part in PARTS)
    truth = lines_of(test_part)
    if others is None:
        others = baseline_lines(train_part, test_part, svm=config.evaluation.svm)
    inner = write(model, packed(model.config, inner_part), config.decoding)
    rows = material.rows("test")
    expected: dict[str, float] | None = None
    ceiling: Scores | None = None
    if source.world is not None:
        best = journal_ceiling(source.world, [material.entries[row] for row in rows])
        expected = {"exact": best.exact, "f1": best.f1}
        ceiling = scores_of(truth, _guesses(best.exact_guess, material.catalogue))
    keys = {text_key(text) for text in train_part.text}
    return CatalogueReport(
        entries={part: len(material.rows(part)) for part in PARTS},
        texts={part: len(np.unique(material.part(part).group)) for part in PARTS},
        seen=float(np.mean([text_key(text) in keys for text in test_part.text])),
        scores={name: scores_of(truth, lines) for name, lines in {"model": test.lines, **others}.items()},
        against=comparisons(truth, test.lines, others, groups=test_part.group, settings=config.evaluation),
        ceiling=ceiling,
        ceiling_expected=expected,
        calibration=calibration(
            inner,
            exactly(lines_of(inner_part), inner.lines),
            test,
            exactly(truth, test.lines),
            ids=(inner_part.id, test_part.id),
        ),
        best_epoch=trained.best_epoch,
        best_inner=trained.best_value,
        reading=reading(source.report),
    )


def _guesses(guesses: Sequence[LineKey], catalogue: Catalogue) -> Lines:
    return Lines.from_lists([[(catalogue.number(code), side) for code, side in key] for key in guesses])
