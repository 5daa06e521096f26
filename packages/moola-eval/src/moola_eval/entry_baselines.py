"""What a table of texts books: the least that a model of journal entries has to beat.

Both rules end their entries themselves, so their lines carry `stopped` and their scores can be put beside
those of a decoder by `moola_eval.comparison.compare`, with the texts' groups as clusters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from moola_eval.entries import Lines

Entry = tuple[tuple[int, int], ...]
"""Sorted (account, side) of the lines of one entry."""
CHUNK = 512


@dataclass(frozen=True, slots=True)
class Lookup:
    """Books the lines that a text was booked on most often; a text never seen, those of the commonest entry.

    Attributes:
        by_text: Lines of every text seen.
        fallback: Lines for any other.
    """

    by_text: dict[str, Entry]
    fallback: Entry

    @classmethod
    def fit(cls, texts: Sequence[str], lines: Lines) -> Lookup:
        """Counts training entries.

        Args:
            texts: n texts, compared as they are: normalise them first.
            lines: The booked lines of the n entries.

        Returns:
            The table. Of entries that are equally frequent the first in order counts.

        Raises:
            ValueError: There are no texts, or not as many as entries.

        >>> table = Lookup.fit(["rent", "rent", "tea"], Lines.from_lists([[(1, 0)], [(1, 0)], [(2, 0)]]))
        >>> table.predict(["tea", "rent", "fuel"]).account.tolist()
        [2, 1, 1]
        """
        entries = _entries_of(texts, lines)
        counts: dict[str, Counter[Entry]] = {}
        for text, entry in zip(texts, entries, strict=True):
            counts.setdefault(text, Counter())[entry] += 1
        return cls({text: commonest(count) for text, count in counts.items()}, commonest(Counter(entries)))

    def predict(self, texts: Sequence[str]) -> Lines:
        """Books n texts."""
        return _lines_of([self.by_text.get(text, self.fallback) for text in texts])

    def knows(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Tells which of n texts were seen, (n,) bool."""
        return np.array([text in self.by_text for text in texts], dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class NearestNeighbour:
    """Books what the most similar training text was booked on: greatest share of common features (Jaccard).

    Attributes:
        numbers: Number of each feature seen.
        seen: (d, F) sparse 0 and 1, one row for each different set of features.
        booked: Lines of each row, the commonest of its entries.
        votes: (d,) how many training entries were booked so.
    """

    numbers: dict[Hashable, int]
    seen: csr_array
    booked: tuple[Entry, ...]
    votes: npt.NDArray[np.int64]

    @classmethod
    def fit(cls, features: Sequence[Iterable[Hashable]], lines: Lines) -> NearestNeighbour:
        """Remembers training entries.

        Args:
            features: Of each of n texts its features, repeats ignored: see `text_features`, or the numbers of
                the bag that the model reads, to compare models on the same footing.
            lines: The booked lines of the n entries.

        Returns:
            The memory.

        Raises:
            ValueError: There are no texts, or not as many as entries.
        """
        entries = _entries_of(features, lines)
        counts: dict[frozenset[Hashable], Counter[Entry]] = {}
        for row, entry in zip(features, entries, strict=True):
            counts.setdefault(frozenset(row), Counter())[entry] += 1
        numbers: dict[Hashable, int] = {}
        for row in features:
            for feature in row:
                numbers.setdefault(feature, len(numbers))
        booked = tuple(commonest(count) for count in counts.values())
        votes = [count[entry] for count, entry in zip(counts.values(), booked, strict=True)]
        return cls(numbers, _incidence(list(counts), numbers), booked, np.array(votes, dtype=np.int64))

    def predict(self, features: Sequence[Iterable[Hashable]]) -> Lines:
        """Books n texts; of equally similar ones the one with most votes counts, then the first."""
        return _lines_of([self.booked[row] for row in self.nearest(features)[0]])

    def nearest(
        self, features: Sequence[Iterable[Hashable]]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Finds the nearest of the rows seen.

        Args:
            features: Of each of n texts its features.

        Returns:
            Number of the row (n,) int64 and its similarity (n,) float64 in [0, 1]; two empty sets are equal.
        """
        sets = [frozenset(row) for row in features]
        # Stable sorting puts the row with most votes first among equals.
        order = np.argsort(-self.votes, kind="stable")
        seen = self.seen[order]
        size = seen.sum(axis=1)
        rows, shares = [np.zeros(0, np.int64)], [np.zeros(0)]
        for begin in range(0, len(sets), CHUNK):
            part = sets[begin : begin + CHUNK]
            common = (_incidence(part, self.numbers) @ seen.T).toarray()
            union = np.array([len(row) for row in part])[:, None] + size[None, :] - common
            share = np.divide(common, union, out=np.ones_like(common), where=union > 0)
            best = share.argmax(axis=1)
            rows.append(order[best].astype(np.int64))
            shares.append(share[np.arange(len(part)), best])
        return np.concatenate(rows), np.concatenate(shares)


def text_features(text: str, *, what: Literal["words", "trigrams"]) -> frozenset[str]:
    """Returns the words of a text, or its runs of 3 characters with a space at both ends.

    >>> sorted(text_features("rent", what="trigrams"))
    [' re', 'ent', 'nt ', 'ren']
    """
    if what == "words":
        return frozenset(text.split())
    if what != "trigrams":
        raise ValueError(f'what: want "words" or "trigrams", got {what!r}')
    marked = f" {text} "
    return frozenset(marked[i : i + 3] for i in range(len(marked) - 2))


def commonest(count: Counter[Entry]) -> Entry:
    """Returns the most frequent entry, of equally frequent ones the first in order."""
    return min(count, key=lambda entry: (-count[entry], entry))


def _entries_of(rows: Sequence[object], lines: Lines) -> list[Entry]:
    if not rows:
        raise ValueError("texts: want 1 or more, got none")
    if len(rows) != lines.n_entries:
        raise ValueError(f"lines: want {len(rows)} entries, got {lines.n_entries}")
    entries: list[list[tuple[int, int]]] = [[] for _ in rows]
    for entry, account, side in zip(
        lines.entry.tolist(), lines.account.tolist(), lines.side.tolist(), strict=True
    ):
        entries[entry].append((account, side))
    return [tuple(sorted(entry)) for entry in entries]


def _lines_of(entries: Sequence[Entry]) -> Lines:
    lines = Lines.from_lists(entries)
    return Lines(lines.entry, lines.account, lines.side, lines.n_entries, np.ones(len(entries), np.bool_))


def _incidence(rows: Sequence[frozenset[Hashable]], numbers: dict[Hashable, int]) -> csr_array:
    columns = [[numbers[feature] for feature in row if feature in numbers] for row in rows]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in columns])]).astype(np.int64)
    flat = np.array([column for row in columns for column in row], dtype=np.int64)
    return csr_array((np.ones(len(flat)), flat, offsets), shape=(len(rows), max(1, len(numbers))))
