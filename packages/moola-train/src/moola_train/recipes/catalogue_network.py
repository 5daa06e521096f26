"""The journal's network, its memory, and which of its parameters are trained how."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from moola_data.catalogue import Catalogue
from moola_data.journal_set import JournalEncoding
from moola_models.catalogue_rows import rows_from_texts, rows_from_words
from moola_models.entry_config import EntryConfig, RetrievalConfig
from moola_models.entry_model import EntryModel
from moola_models.text_encoders import NgramTextConfig
from moola_train.config import FitConfig, ParameterGroup
from moola_train.recipes.catalogue_config import CatalogueConfig
from moola_train.recipes.catalogue_data import JournalMaterial, owners, packed

POINTER = "decoder.pointer.*"
ROWS = "catalogue.rows"
TABLES = (
    "text.bag.weight",
    "conditioning.currency.weight",
    "conditioning.kind.weight",
    "decoder.side_row.weight",
)
"""Tables of which a batch touches a few rows: decay would wear the others away."""


def entry_config(material: JournalMaterial, config: CatalogueConfig) -> EntryConfig:
    """Returns what the model is made of, sizes taken from the material."""
    text, model, memory = config.text, config.model, config.memory
    encoding = material.encoding
    retrieval = None
    if memory.neighbours:
        retrieval = RetrievalConfig(size=len(material.rows("train")), neighbours=memory.neighbours)
    return EntryConfig(
        accounts=material.catalogue.codes,
        fingerprint=material.catalogue.fingerprint,
        text=NgramTextConfig(**text.model_dump(), key_size=memory.key_size),
        hidden=model.hidden,
        layers=model.layers,
        max_lines=encoding.max_lines,
        dropout=model.dropout,
        conditioning=model.conditioning,
        date_features=material.journal.date.shape[1],
        currencies=len(encoding.currencies),
        kinds=len(encoding.types),
        table=model.table,
        pointer=model.pointer,
        lines=model.lines,
        retrieval=retrieval,
        flow=has_flow(config),
    )


def has_flow(config: CatalogueConfig) -> bool:
    """Says whether the flow's loss ever counts."""
    schedule = config.losses.flow
    return any(schedule.at(epoch) > 0 for epoch in range(config.fit.epochs))


def build_model(material: JournalMaterial, config: CatalogueConfig) -> EntryModel:
    """Makes the model with the catalogue's rows begun as configured, and an empty memory."""
    rows = first_rows(material.catalogue, config)
    return EntryModel(entry_config(material, config), rows=rows, seed=config.model.seed)


def first_rows(catalogue: Catalogue, config: CatalogueConfig) -> Tensor | None:
    """Returns the first values of the catalogue's rows, (C, H); None: let the model draw them.

    Rows from texts and hierarchy are the mean of both, brought to length 1.
    """
    kind, width, seed = config.model.rows, config.model.hidden, config.model.seed
    if kind == "drawn":
        return None
    parts = []
    if kind in ("texts", "both"):
        parts.append(rows_from_texts(catalogue.texts, width=width, seed=seed))
    if kind in ("hierarchy", "both"):
        parts.append(rows_from_words(catalogue.feature_words(), width=width, seed=seed + 1))
    return functional.normalize(torch.stack(parts).sum(0))


def fill_memory(model: EntryModel, material: JournalMaterial, config: CatalogueConfig) -> None:
    """Lets the model remember the training entries; without a memory nothing happens."""
    if model.memory is None:
        return
    part, rows = material.part("train"), material.rows("train")
    accounts = torch.from_numpy(part.account[:, : material.longest])
    model.remember(packed(model.config, part, owner=owners(material, config)[rows]), accounts)


def empty_memory(model: EntryModel) -> None:
    """Takes all that is remembered away."""
    if model.memory is not None:
        width, lines = model.memory.keys.shape[1], model.memory.accounts.shape[1]
        none = torch.zeros(0, dtype=torch.int64)
        model.memory.remember(torch.zeros(0, width), none.reshape(0, lines), none)


def fit_config(model: EntryModel, config: CatalogueConfig) -> FitConfig:
    """Completes the loop's configuration with groups that are disjoint and cover every parameter.

    The pointer's query and scale, and the catalogue's rows, are clipped by `clipping.pointer`, each of the
    two for itself; all else together by `clipping.rest`. Tables do not decay, and neither does the scale,
    nor what is a bias or belongs to a normalisation.
    """
    names = [name for name, _ in model.named_parameters()]
    groups = [ParameterGroup(pattern=POINTER, clip_norm=config.clipping.pointer)]
    if ROWS in names:
        groups.append(ParameterGroup(pattern=ROWS, clip_norm=config.clipping.pointer, weight_decay=0.0))
    groups += [ParameterGroup(pattern=name, weight_decay=0.0) for name in TABLES if name in names]
    return config.fit.model_copy(update={"groups": tuple(groups), "clip_norm": config.clipping.rest})


def check_encoding(model: EntryConfig, encoding: JournalEncoding) -> None:
    """Raises ValueError unless data and model read texts, accounts and words alike."""
    text = model.text
    pairs: Sequence[tuple[str, object, object]] = (
        ("fingerprint", model.fingerprint, encoding.fingerprint),
        ("max_lines", model.max_lines, encoding.max_lines),
        ("currencies", model.currencies, len(encoding.currencies)),
        ("types", model.kinds, len(encoding.types)),
        *((name, getattr(text, name, None), value) for name, value in encoding.bag.model_dump().items()),
    )
    for name, wanted, found in pairs:
        if wanted != found:
            raise ValueError(f"encoding: want the model's {name} {wanted!r}, got {found!r}")


def memory_size(model: EntryModel) -> int:
    """Returns how many entries are remembered."""
    return 0 if model.memory is None else int(np.count_nonzero(model.memory.owners.cpu().numpy() >= 0))
