"""Entries as arrays: one way of writing them as numbers, for training and for use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from moola_data.catalogue import Catalogue
from moola_data.journal_date import date_features
from moola_data.journal_entry import JournalEntry, JournalQuery
from moola_data.journal_split import text_groups
from moola_data.journal_target import canonical_lines, line_targets
from moola_data.journal_text import TextBag, normalise_text
from moola_data.schema import JournalQueries, JournalSet
from moola_data.vocabulary import Vocabulary


class JournalEncoding(BaseModel):
    """Everything that turns entries into numbers. It belongs into the checkpoint, as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(default=1, ge=1, le=1)
    fingerprint: str
    """Of the catalogue whose numbers are meant."""
    max_lines: int = Field(ge=2)
    bag: TextBag = TextBag()
    currencies: Vocabulary = Vocabulary()
    types: Vocabulary = Vocabulary()

    @classmethod
    def fit(
        cls,
        entries: Sequence[JournalQuery],
        *,
        catalogue: Catalogue,
        max_lines: int = 40,
        bag: TextBag | None = None,
    ) -> Self:
        """Fits the vocabularies on entries, which should be those of training only."""
        return cls(
            fingerprint=catalogue.fingerprint,
            max_lines=max_lines,
            bag=TextBag() if bag is None else bag,
            currencies=Vocabulary.fit(entry.currency for entry in entries if entry.currency),
            types=Vocabulary.fit(entry.type for entry in entries if entry.type),
        )

    def require(self, catalogue: Catalogue) -> None:
        """Raises ValueError unless this is the catalogue that the numbers mean."""
        if catalogue.fingerprint != self.fingerprint:
            raise ValueError(
                f"catalogue: want the accounts of fingerprint {self.fingerprint}, got {catalogue.fingerprint}"
            )


def encode_queries(
    queries: Sequence[JournalQuery], *, catalogue: Catalogue, encoding: JournalEncoding
) -> JournalQueries:
    """Writes what is known before booking as arrays.

    Args:
        queries: n queries, or entries, whose lines are not looked at.
        catalogue: The accounts there are.
        encoding: How, fitted on training entries.

    Returns:
        The arrays.

    Raises:
        ValueError: The catalogue is not the encoding's.
    """
    return JournalQueries(**_query_arrays(queries, catalogue, encoding))


def encode_journal(
    entries: Sequence[JournalEntry],
    *,
    catalogue: Catalogue,
    encoding: JournalEncoding,
    split: npt.NDArray[np.int8] | None = None,
    group: npt.NDArray[np.int64] | None = None,
) -> JournalSet:
    """Writes entries as arrays, what is known beforehand exactly as `encode_queries` does.

    Args:
        entries: n entries.
        catalogue: The accounts there are.
        encoding: How, fitted on training entries.
        split: (n,) 0 train, 1 inner, 2 test; all 0 unless given.
        group: (n,) cluster of each entry; by text, `text_groups`, unless given.

    Returns:
        The arrays.

    Raises:
        ValueError: The catalogue is not the encoding's, an account is not in it, or an entry is longer than
            `max_lines`, which a `JournalPolicy` deals with.
    """
    arrays = _query_arrays(entries, catalogue, encoding)
    lines = [canonical_lines(entry, catalogue) for entry in entries]
    return JournalSet(
        **arrays,
        **line_targets(lines, max_lines=encoding.max_lines)._asdict(),
        weight=np.ones(len(entries), np.float32),
        group=text_groups([entry.text for entry in entries]) if group is None else group,
        split=np.zeros(len(entries), np.int8) if split is None else split,
    )


def journal_rows(journal: JournalSet, rows: npt.NDArray[np.integer]) -> JournalSet:
    """Returns the given rows of a journal, in that order, as a journal of its own.

    Args:
        journal: n entries.
        rows: (k,) whole numbers 0..n-1, such as ``np.flatnonzero(journal.split == 0)``.

    Returns:
        k entries; arrays are copied.

    Raises:
        IndexError: A row is not there.
    """
    starts, ends = journal.ngram_offset[:-1][rows], journal.ngram_offset[1:][rows]
    pieces = [journal.ngram[a:b] for a, b in zip(starts, ends, strict=True)]
    offsets = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
    replaced: dict[str, object] = {
        "ngram": np.concatenate([np.zeros(0, np.int64), *pieces]),
        "ngram_offset": offsets,
    }
    for name in type(journal).model_fields:
        value = getattr(journal, name)
        if name in replaced:
            continue
        if isinstance(value, np.ndarray):
            replaced[name] = value[rows]
        elif isinstance(value, tuple):
            replaced[name] = tuple(value[row] for row in rows)
        else:
            replaced[name] = value
    return type(journal).model_validate(replaced)


def _query_arrays(
    queries: Sequence[JournalQuery], catalogue: Catalogue, encoding: JournalEncoding
) -> dict[str, object]:
    encoding.require(catalogue)
    texts = tuple(normalise_text(query.text) for query in queries)
    ngram, offset = encoding.bag.bags(texts)
    return {
        "id": tuple(query.id for query in queries),
        "text": texts,
        "ngram": ngram,
        "ngram_offset": offset,
        "buckets": encoding.bag.buckets,
        "date": date_features([query.date for query in queries]),
        "day": np.array([query.date for query in queries], dtype="M8[D]"),
        "currency": encoding.currencies.encode(query.currency for query in queries),
        "n_currencies": len(encoding.currencies),
        "type": encoding.types.encode(query.type for query in queries),
        "n_types": len(encoding.types),
        "n_accounts": len(catalogue),
        "fingerprint": catalogue.fingerprint,
    }
