"""From entries to parts, and from a part to what the loop trains on.

n entries, T lines of the longest, D date features, L text columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from moola_data.catalogue import Catalogue
from moola_data.journal_entry import JournalEntry
from moola_data.journal_set import JournalEncoding, encode_journal, journal_rows
from moola_data.journal_split import INNER, TEST, TRAIN, split_by_text, split_by_time, text_groups
from moola_data.journal_text import TextBag
from moola_data.journal_typo import slips
from moola_data.schema import JournalQueries, JournalSet
from moola_eval.entries import Lines
from moola_models.entry_config import EntryConfig
from moola_models.entry_inputs import pack_entries
from moola_models.ngrams import padded
from moola_train import Examples
from moola_train.recipes.catalogue_config import CatalogueConfig

PARTS = {"train": TRAIN, "inner": INNER, "test": TEST}


@dataclass(frozen=True)
class JournalMaterial:
    """Entries in parts, encoded by what the training part knows.

    Attributes:
        entries: The n given entries.
        catalogue: The accounts there are.
        encoding: How entries become numbers, fitted on the training part.
        journal: The n entries as arrays, with `split` and `group`.
        slipped: Misspelt copies of training entries, as arrays; None without.
        copied: Which entry each misspelt copy is of, int64.
    """

    entries: tuple[JournalEntry, ...]
    catalogue: Catalogue
    encoding: JournalEncoding
    journal: JournalSet
    slipped: JournalSet | None
    copied: npt.NDArray[np.int64]

    @cached_property
    def longest(self) -> int:
        """Lines of the longest entry."""
        return int(self.journal.line_mask.sum(axis=1).max())

    def rows(self, part: str) -> npt.NDArray[np.int64]:
        """Numbers of the entries of a part, "train", "inner" or "test"."""
        return np.flatnonzero(self.journal.split == PARTS[part])

    def part(self, part: str) -> JournalSet:
        """Entries of a part."""
        return journal_rows(self.journal, self.rows(part))


def journal_material(
    entries: Sequence[JournalEntry],
    catalogue: Catalogue,
    config: CatalogueConfig,
    *,
    source: npt.NDArray[np.int64] | None = None,
) -> JournalMaterial:
    """Splits entries, fits the encoding on the training part and encodes them all.

    Args:
        entries: n entries.
        catalogue: The accounts there are.
        config: Of the run.
        source: (n,) the same number for texts that are to be kept together, where more is known of them than
            their words say; `moola_data.journal_split.text_groups` unless given.

    Returns:
        The material.

    Raises:
        ValueError: A part would be empty, a day is missing, or an entry does not fit.
    """
    wanted = config.entries
    group = text_groups([entry.text for entry in entries]) if source is None else source
    if wanted.split == "time":
        split = split_by_time([entry.date for entry in entries], inner=wanted.inner, test=wanted.test)
    else:
        split = split_by_text(group, seed=wanted.seed, inner=wanted.inner, test=wanted.test)
    train = np.flatnonzero(split == TRAIN)
    encoding = JournalEncoding.fit(
        [entries[row] for row in train.tolist()],
        catalogue=catalogue,
        max_lines=wanted.max_lines,
        bag=text_bag(config),
    )
    journal = encode_journal(entries, catalogue=catalogue, encoding=encoding, split=split, group=group)
    slipped, copied = _slipped(entries, train, config)
    copies = None
    if slipped:
        copies = encode_journal(slipped, catalogue=catalogue, encoding=encoding, group=group[copied])
    return JournalMaterial(tuple(entries), catalogue, encoding, journal, copies, copied)


def text_bag(config: CatalogueConfig) -> TextBag:
    """Returns how the data reads texts, which is how the model does: the same hash of the same n-grams."""
    text = config.text
    return TextBag(buckets=text.buckets, sizes=text.sizes, case=text.case, digits=text.digits)


def packed(
    model: EntryConfig, queries: JournalQueries, *, owner: npt.NDArray[np.int64] | None = None
) -> Tensor:
    """Packs encoded entries into the inputs of an `EntryModel`.

    Args:
        model: Of the model.
        queries: n entries, of which only what is known before booking is read.
        owner: (n,) what a memory must not find; nothing is left out unless given.

    Returns:
        float32 (n, 3 + D + L).
    """
    return pack_entries(
        model,
        text=padded(torch.from_numpy(queries.ngram), torch.from_numpy(queries.ngram_offset)).float(),
        dates=torch.from_numpy(queries.date),
        currency=torch.from_numpy(queries.currency),
        kind=torch.from_numpy(queries.type),
        owner=None if owner is None else torch.from_numpy(owner),
    )


def owners(material: JournalMaterial, config: CatalogueConfig) -> npt.NDArray[np.int64]:
    """Returns the number under which a memory holds each entry: its own, or its text's."""
    if config.memory.excludes == "text":
        return material.journal.group
    return np.arange(len(material.entries), dtype=np.int64)


def examples(material: JournalMaterial, model: EntryConfig, config: CatalogueConfig) -> Examples:
    """Puts train and inner entries, misspelt copies behind them, into the form that `fit` takes.

    The test part is not among them: the loop cannot look at it. Groups are those of texts, so that
    ``fit.sampling`` may draw a few entries of each.
    """
    rows = np.concatenate([material.rows("train"), material.rows("inner")])
    sets = [journal_rows(material.journal, rows)]
    numbers = [owners(material, config)[rows]]
    splits, groups = [material.journal.split[rows]], [material.journal.group[rows]]
    if material.slipped is not None:
        sets.append(material.slipped)
        numbers.append(owners(material, config)[material.copied])
        splits.append(np.zeros(len(material.copied), np.int8))
        groups.append(material.slipped.group)
    inputs = _same_width([packed(model, one, owner=who) for one, who in zip(sets, numbers, strict=True)])
    T = material.longest
    account, side, stop, amount, lines = (
        torch.from_numpy(np.concatenate([getattr(one, name)[:, :T] for one in sets]))
        for name in ("account", "side", "stop", "amount", "line_mask")
    )
    booked = torch.stack([account.float(), side.float(), amount], 2)
    return Examples(
        inputs,
        {"account": account, "side": side, "stop": stop, "flow": booked},
        masks={"account": lines, "side": lines, "stop": lines},
        weight=torch.from_numpy(np.concatenate([one.weight for one in sets])),
        split=torch.from_numpy(np.concatenate(splits)),
        group=torch.from_numpy(np.concatenate(groups)),
    )


def lines_of(journal: JournalSet) -> Lines:
    """Returns the booked lines of all entries."""
    entry, slot = np.nonzero(journal.line_mask)
    return Lines.of(
        entry, journal.account[entry, slot], journal.side[entry, slot], n_entries=len(journal.account)
    )


def _same_width(parts: Sequence[Tensor]) -> Tensor:
    width = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(p, (0, width - p.shape[1]), value=-1.0) for p in parts])


def _slipped(
    entries: Sequence[JournalEntry], train: npt.NDArray[np.int64], config: CatalogueConfig
) -> tuple[list[JournalEntry], npt.NDArray[np.int64]]:
    """Draws misspelt copies; a text without a letter has none."""
    rng = np.random.default_rng([config.entries.seed, 1])
    made, of = [], []
    for row in train.tolist() if config.entries.slips else []:
        choices = slips(entries[row].text)
        for copy in range(config.entries.slips if choices else 0):
            text = choices[int(rng.integers(len(choices)))]
            made.append(entries[row].model_copy(update={"text": text, "id": f"{entries[row].id}~{copy}"}))
            of.append(row)
    return made, np.array(of, dtype=np.int64)
