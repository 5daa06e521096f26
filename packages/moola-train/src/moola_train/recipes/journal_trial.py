"""One trial of the study of the journal: drawn entries, one training, numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, JsonValue

from moola_eval.entries import Lines, exact_entry
from moola_models.entry_model import EntryModel
from moola_train.fit import FitResult
from moola_train.recipes.catalogue_baselines import baseline_lines
from moola_train.recipes.catalogue_config import (
    CatalogueConfig,
    EntriesSection,
    TextSection,
    catalogue_config,
)
from moola_train.recipes.catalogue_data import JournalMaterial, journal_material, lines_of, packed
from moola_train.recipes.catalogue_decoding import write
from moola_train.recipes.catalogue_run import JournalSource, catalogue_report, train_catalogue
from moola_train.recipes.journal_source import JOURNAL_SOURCES


class JournalRun(BaseModel):
    """A variant: what differs from the recipe's configuration, and what goes wrong on the way to use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalogue: dict[str, JsonValue] = {}
    """Sections of a `CatalogueConfig`, their keys laid over the defaults."""
    table: Literal["loaded", "redrawn"] = "loaded"
    """"redrawn": the catalogue's rows are drawn anew before use, as where a folder lacks them."""

    def config(self, seed: int) -> CatalogueConfig:
        """Returns the configuration with every seed replaced."""
        config = catalogue_config(dict(self.catalogue))
        return config.model_copy(
            update={
                "entries": config.entries.model_copy(update={"seed": seed}),
                "model": config.model.model_copy(update={"seed": seed}),
                "fit": config.fit.model_copy(update={"seed": seed}),
            }
        )


def journal_trial(
    *, source: Mapping[str, JsonValue], run: Mapping[str, JsonValue], seed: int
) -> dict[str, JsonValue]:
    """Draws entries, trains once and measures.

    Args:
        source: A `moola_train.recipes.journal_source` source, as JSON.
        run: A `JournalRun`, as JSON.
        seed: Seed of the entries, the split by text, the network and the batches.

    Returns:
        Numbers by name: ``test/…`` of the model; ``lookup/…``, ``nearest/…`` and ``svm/…`` beside;
        ``less_svm/exact``, ``…_low`` and ``…_high`` and so on, differences with paired intervals, and whether
        the whole interval lies ``…_above`` or ``…_below`` 0 (1 or 0);
        ``ceiling/…`` where it is known; ``inner/…``, the selection's best value and how unsteadily its exact
        entries moved.

    Raises:
        ValueError: The source or the configuration is not sound.
    """
    wanted = JournalRun.model_validate(run)
    config = wanted.config(seed)
    told = json.dumps(dict(source), sort_keys=True)
    drawn, material, others = _prepared(told, seed, config.entries, config.text, config.evaluation.svm)
    model, trained = train_catalogue(material, config)
    scale = float(model.decoder.pointer.scale.detach())
    if wanted.table == "redrawn":
        redraw(model, seed=seed)
    test = write(model, packed(model.config, material.part("test")), config.decoding)
    report = catalogue_report(
        model, material, config, test=test, source=drawn, trained=trained, others=others
    )
    numbers: dict[str, JsonValue] = {}
    for name, scores in report.scores.items():
        where = "test" if name == "model" else name
        numbers |= {f"{where}/{key}": value for key, value in scores.model_dump().items()}
    for against in report.against:
        numbers[f"less_{against.other}/{against.metric}_low"] = against.low
        numbers[f"less_{against.other}/{against.metric}_high"] = against.high
        numbers[f"less_{against.other}/{against.metric}"] = against.delta
        if against.low is not None and against.high is not None:
            numbers[f"less_{against.other}/{against.metric}_above"] = float(against.low > 0)
            numbers[f"less_{against.other}/{against.metric}_below"] = float(against.high < 0)
    if report.ceiling_expected is not None:
        numbers |= {f"ceiling/{key}": value for key, value in report.ceiling_expected.items()}
        exact = report.scores["model"].exact
        if exact is not None:
            numbers["share/exact"] = exact / report.ceiling_expected["exact"]
    numbers |= {
        "test/seen": report.seen,
        "test/calibration_error": report.calibration.error_after,
        "test/calibration_error_raw": report.calibration.error_before,
        "test/calibration_temperature": report.calibration.temperature,
        "inner/best": trained.best_value,
        "inner/unsteadiness": unsteadiness(trained),
        "inner/exact": inner_exact(model, material, config),
        "pointer/scale": scale,
        "best_epoch": trained.best_epoch,
    }
    return numbers | last_losses(trained)


class Prepared(NamedTuple):
    """What the variants of a study share that neither draw, split nor read entries otherwise.

    Attributes:
        drawn: The entries; a world's ceiling, too, is prepared once then.
        material: The same in parts, encoded.
        others: What books the test part without a network.
    """

    drawn: JournalSource
    material: JournalMaterial
    others: Mapping[str, Lines]


@lru_cache(maxsize=32)
def _prepared(source: str, seed: int, entries: EntriesSection, text: TextSection, svm: bool) -> Prepared:
    drawn = JOURNAL_SOURCES.validate_json(source).draw(seed)
    config = CatalogueConfig(entries=entries, text=text)
    material = journal_material(drawn.entries, drawn.catalogue, config, source=drawn.source)
    return Prepared(drawn, material, baseline_lines(material.part("train"), material.part("test"), svm=svm))


@torch.no_grad()
def redraw(model: EntryModel, *, seed: int) -> None:
    """Draws the catalogue's rows anew, of the length that each had."""
    rows = model.catalogue.rows
    drawn = torch.randn(rows.shape, generator=torch.Generator().manual_seed(seed + 1000))
    rows.copy_(torch.nn.functional.normalize(drawn) * rows.norm(dim=1, keepdim=True))


def unsteadiness(trained: FitResult) -> float | None:
    """Mean absolute change of the inner exact entries from epoch to epoch, over the second half of them."""
    values = [r.value for r in trained.records if r.name == "exact_entry" and r.value is not None]
    late = values[len(values) // 2 :]
    return float(np.abs(np.diff(late)).mean()) if len(late) > 1 else None


def inner_exact(model: EntryModel, material: JournalMaterial, config: CatalogueConfig) -> float:
    """Share of inner entries that the finished model books exactly, its own stop and all."""
    part = material.part("inner")
    return exact_entry(lines_of(part), write(model, packed(model.config, part), config.decoding).lines).value


def last_losses(trained: FitResult) -> dict[str, JsonValue]:
    """Returns the losses of the last epoch by part and task."""
    return {f"{r.split}/{r.task}_loss": r.value for r in trained.records if r.name == "loss" and r.task}
