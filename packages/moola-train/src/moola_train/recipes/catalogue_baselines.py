"""What needs no network: a table of texts, the nearest text, and a linear classifier of whole entries."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, hstack

from moola_data.journal_split import text_key
from moola_data.schema import JournalQueries, JournalSet
from moola_eval.entries import Lines
from moola_eval.entry_baselines import Lookup, NearestNeighbour
from moola_train.recipes.catalogue_data import lines_of

Rows = list[list[tuple[int, int]]]


def baseline_lines(train: JournalSet, test: JournalQueries, *, svm: bool) -> dict[str, Lines]:
    """Books test entries by every rule.

    Args:
        train: Entries to learn from.
        test: Entries to book, of which only what is known before booking is read.
        svm: Whether to fit the classifier, for which scikit-learn has to be installed.

    Returns:
        By name: "lookup" (most frequent lines of the text, numbers and case aside), "nearest" (lines of the
        text that shares most n-grams) and "svm" (a linear classifier whose classes are whole entries, on the
        model's own features: n-grams, date, currency, type).
    """
    booked = lines_of(train)
    keys, asked = ([text_key(text) for text in one.text] for one in (train, test))
    nearest = NearestNeighbour.fit(grams(train), booked)
    found = {
        "lookup": Lookup.fit(keys, booked).predict(asked),
        "nearest": nearest.predict(grams(test)),
    }
    if svm:
        found["svm"] = _ended(support_vectors(train, test, booked))
    return found


def grams(queries: JournalQueries) -> list[list[int]]:
    """Returns the n-gram numbers of every text."""
    return [queries.ngram[a:b].tolist() for a, b in pairwise(queries.ngram_offset)]


def support_vectors(train: JournalQueries, test: JournalQueries, booked: Lines) -> Rows:
    """Fits scikit-learn's `LinearSVC` (C = 1) on the training entries and books the test entries.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise ImportError(
            'evaluation.svm: want scikit-learn (pip install "moola-train[studies]"), got none'
        ) from error
    entries = entries_of(booked)
    kinds = {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
    if len(kinds) < 2:
        return [list(entries[0])] * len(test)
    names = list(kinds)
    machine = LinearSVC(C=1.0, random_state=0)
    with warnings.catch_warnings():
        # Whole entries are many classes, and meant to be.
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        machine.fit(features(train), [kinds[entry] for entry in entries])
    return [list(names[number]) for number in machine.predict(features(test)).tolist()]


def features(queries: JournalQueries) -> csr_array:
    """Returns n-grams (rows of length 1), date, currency and type side by side, sparse (n, F)."""
    n = len(queries)
    entry = np.repeat(np.arange(n), np.diff(queries.ngram_offset))
    bag = csr_array((np.ones(len(entry)), (entry, queries.ngram)), shape=(n, queries.buckets))
    bag.sum_duplicates()
    bag.data = np.log1p(bag.data)
    length = np.sqrt(bag.multiply(bag).sum(axis=1))
    bag.data /= np.repeat(np.where(length > 0, length, 1), np.diff(bag.indptr))
    parts = [bag, csr_array(queries.date.astype(np.float64))]
    for numbers, size in ((queries.currency, queries.n_currencies), (queries.type, queries.n_types)):
        parts.append(csr_array((np.ones(n), (np.arange(n), numbers)), shape=(n, size)))
    whole = csr_array(hstack(parts, format="csr"))
    # liblinear reads 32-bit places only.
    whole.indices, whole.indptr = whole.indices.astype(np.int32), whole.indptr.astype(np.int32)
    return whole


def entries_of(lines: Lines) -> list[tuple[tuple[int, int], ...]]:
    """Returns the sorted (account, side) of every entry."""
    rows: Rows = [[] for _ in range(lines.n_entries)]
    for entry, account, side in zip(
        lines.entry.tolist(), lines.account.tolist(), lines.side.tolist(), strict=True
    ):
        rows[entry].append((account, side))
    return [tuple(sorted(row)) for row in rows]


def _ended(rows: Sequence[Sequence[tuple[int, int]]]) -> Lines:
    lines = Lines.from_lists(rows)
    stopped: npt.NDArray[np.bool_] = np.ones(len(rows), np.bool_)
    return Lines(lines.entry, lines.account, lines.side, lines.n_entries, stopped)
