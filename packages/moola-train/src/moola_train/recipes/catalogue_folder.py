"""The folder of a journal's model: everything that booking needs, refused where parts do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from moola_data.catalogue import Catalogue, read_catalogue, write_catalogue
from moola_data.journal_entry import JournalQuery
from moola_data.journal_file import write_journal
from moola_data.journal_set import JournalEncoding, encode_queries
from moola_models.entry_model import EntryModel
from moola_models.store import load_model, save_model
from moola_train.recipes.catalogue_config import DecodingSection
from moola_train.recipes.catalogue_data import JournalMaterial, packed
from moola_train.recipes.catalogue_decoding import write
from moola_train.recipes.catalogue_network import check_encoding, memory_size
from moola_train.recipes.provenance import write_text

M = TypeVar("M", bound=BaseModel)
LEARNED = "learned.json"
"""The training entries, for what needs no network to stand beside in `moola journal evaluate`."""


class CatalogueDecision(BaseModel):
    """How the model's word becomes a proposal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    decoding: DecodingSection
    temperature: float | None
    """Chances are p ** (1 / temperature); None: as the model says."""
    fitted_on: tuple[str, ...]
    """Ids of the entries that the temperature was fitted on."""


@dataclass(frozen=True)
class Proposal:
    """What the model would book.

    Attributes:
        query: The entry that was asked about.
        lines: Code of the account and side (0 debit, 1 credit) of every line.
        stopped: Whether it ended by its own stop, not for want of room.
        probability: Chance that exactly these lines are right, calibrated where that was possible.
    """

    query: JournalQuery
    lines: tuple[tuple[str, int], ...]
    stopped: bool
    probability: float


@dataclass(frozen=True)
class Booker:
    """A model with all that it needs: `load_catalogue` reads one."""

    model: EntryModel
    catalogue: Catalogue
    encoding: JournalEncoding
    decision: CatalogueDecision

    def book(self, queries: Sequence[JournalQuery]) -> list[Proposal]:
        """Proposes lines for n entries."""
        if not queries:
            return []
        coded = encode_queries(queries, catalogue=self.catalogue, encoding=self.encoding)
        found = write(self.model, packed(self.model.config, coded), self.decision.decoding)
        rows: list[list[tuple[str, int]]] = [[] for _ in queries]
        lines, codes = found.lines, self.catalogue.codes
        for entry, account, side in zip(
            lines.entry.tolist(), lines.account.tolist(), lines.side.tolist(), strict=True
        ):
            rows[entry].append((codes[account], side))
        warmth = 1.0 if self.decision.temperature is None else self.decision.temperature
        chances = np.exp(np.minimum(found.log_probability, 0) / warmth)
        stopped = np.ones(len(queries), np.bool_) if lines.stopped is None else lines.stopped
        return [
            Proposal(query, tuple(row), bool(end), float(chance))
            for query, row, end, chance in zip(queries, rows, stopped, chances, strict=True)
        ]


def save_catalogue(
    folder: Path,
    model: EntryModel,
    material: JournalMaterial,
    decision: CatalogueDecision,
    *,
    overwrite: bool = False,
) -> None:
    """Writes the model and everything that using it needs, each file whole or not at all."""
    check_encoding(model.config, material.encoding)
    card: dict[str, JsonValue] = {
        "trained_on": len(material.rows("train")),
        "remembered": memory_size(model),
        "accounts": len(material.catalogue),
        "fingerprint": material.catalogue.fingerprint,
    }
    save_model(model, folder / "model", card=card, overwrite=overwrite)
    write_catalogue(folder / "catalogue.json", material.catalogue)
    write_journal(folder / LEARNED, [material.entries[row] for row in material.rows("train")])
    write_text(folder / "encoding.json", material.encoding.model_dump_json(indent=1) + "\n")
    write_text(folder / "decision.json", decision.model_dump_json(indent=1) + "\n")


def load_catalogue(folder: Path, *, catalogue: Catalogue | None = None) -> Booker:
    """Reads a run's folder.

    Args:
        folder: That `moola_train.recipes.catalogue_run.run_catalogue` wrote.
        catalogue: The accounts as they are now; refused unless they are those of the model. Those of the
            folder unless given.

    Returns:
        What books entries, in evaluation mode.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or model, catalogue and encoding are not of one another.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"run: want the folder of a journal run, got {folder}")
    model = load_model(folder / "model", model=EntryModel)
    own = read_catalogue(folder / "catalogue.json", fingerprint=model.config.fingerprint)
    encoding = _read(folder / "encoding.json", JournalEncoding)
    check_encoding(model.config, encoding)
    encoding.require(own if catalogue is None else catalogue)
    return Booker(model, own, encoding, _read(folder / "decision.json", CatalogueDecision))


def _read(path: Path, kind: type[M]) -> M:
    if not path.is_file():
        raise FileNotFoundError(f"run: want {path.name} in the folder of a journal run, got none: {path}")
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise ValueError(f"{path}: {where}: {first['msg']}") from None
