"""Writes whole entries with the journal's model, as a user gets them: freely, cut at the model's own stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from moola_eval.entries import Lines, entry_f1, exact_entry
from moola_models.entry_model import EntryModel
from moola_models.line_search import Written, beam_search, greedy_search
from moola_train.recipes.catalogue_config import CatalogueConfig, DecodingSection
from moola_train.recipes.catalogue_data import JournalMaterial, lines_of, packed
from moola_train.schema import Split

ROWS = 256


class Booked(NamedTuple):
    """Proposals for n entries.

    Attributes:
        lines: The lines, cut at the model's own stop.
        log_probability: Logarithm of the model's probability of exactly these lines, (n,).
    """

    lines: Lines
    log_probability: npt.NDArray[np.float64]


def write(model: EntryModel, inputs: Tensor, decoding: DecodingSection) -> Booked:
    """Writes the likeliest entry for every row.

    Args:
        model: In evaluation mode.
        inputs: From `moola_train.recipes.catalogue_data.packed`, n rows.
        decoding: How.

    Returns:
        The proposals.
    """
    found = [_best(model, part, decoding) for part in inputs.split(ROWS)]
    account, side, stop, _, score = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    return Booked(_lines(account, side, stop), score.astype(np.float64))


def _best(model: EntryModel, inputs: Tensor, decoding: DecodingSection) -> Written:
    lines, both, once = model.config.max_lines, decoding.both_sides, decoding.no_repeat
    inputs = inputs.to(model.catalogue.rows.device)
    if decoding.method == "greedy":
        return greedy_search(model, inputs, max_lines=lines, both_sides=both, no_repeat=once).best()
    return beam_search(
        model, inputs, max_lines=lines, beam=decoding.beam, both_sides=both, no_repeat=once
    ).best()


def _lines(account: npt.NDArray[np.int64], side: npt.NDArray[np.int64], stop: npt.NDArray[np.bool_]) -> Lines:
    written = account >= 0
    entry, slot = np.nonzero(written)
    lines = Lines.of(entry, account[entry, slot], side[entry, slot], n_entries=len(account))
    return Lines(lines.entry, lines.account, lines.side, lines.n_entries, np.asarray(stop.any(axis=1)))


class Selecting:
    """Measures a model on inner entries after every epoch, by what it writes freely; `fit` takes it."""

    def __init__(self, material: JournalMaterial, config: CatalogueConfig) -> None:
        self.config = config
        self.material = material
        same = config.decoding.selecting == "same"
        self.decoding = config.decoding if same else config.decoding.model_copy(update={"method": "greedy"})
        self.inputs: dict[Split, Tensor] = {}
        self.booked: dict[Split, Lines] = {}

    def __call__(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Returns F1 of lines and the share of exact entries on a part."""
        if not isinstance(model, EntryModel):
            raise TypeError(f"model: want an EntryModel, got {type(model).__name__}")
        if split not in self.inputs:
            part = self.material.part(split)
            self.inputs[split], self.booked[split] = packed(model.config, part), lines_of(part)
        memory = model.memory
        if self.config.memory.used == "training":
            model.memory = None
        try:
            written = write(model, self.inputs[split], self.decoding).lines
        finally:
            model.memory = memory
        booked = self.booked[split]
        return {
            "entry_f1": entry_f1(booked, written).value,
            "exact_entry": exact_entry(booked, written).value,
        }
