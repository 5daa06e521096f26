"""Parts of a journal: by time, or by text with no text in two parts. Never by random rows.

Most entries recur under the same words. Random rows would put each text into every part, and a table of texts
would look like a model.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from moola_data.journal_text import normalise_text

Int = npt.NDArray[np.int64]
Part = npt.NDArray[np.int8]
TRAIN, INNER, TEST = 0, 1, 2
DIGITS = re.compile(r"\d+")


def text_key(text: str | None) -> str:
    """Returns what recurring texts have in common: normalised, case folded, every number as 0.

    >>> text_key("Rent 03/2024"), text_key("RENT 12/2023")
    ('rent 0/0', 'rent 0/0')
    """
    return DIGITS.sub("0", normalise_text(text).casefold())


def text_groups(texts: Sequence[str | None]) -> Int:
    """Numbers groups of texts with the same `text_key`, in the order of the keys, (n,) int64.

    >>> text_groups(["Rent 2", "Wages", "rent 3"]).tolist()
    [0, 1, 0]
    """
    keys = np.array([text_key(text) for text in texts], dtype=object)
    if not len(keys):
        return np.zeros(0, np.int64)
    return np.unique(keys.astype(str), return_inverse=True)[1].astype(np.int64)


def split_by_time(dates: Sequence[datetime.date | None], *, inner: float = 0.15, test: float = 0.25) -> Part:
    """Trains on the past, selects on what follows, reports on the latest; no day lies in two parts.

    Args:
        dates: n days.
        inner: Share of entries for selection.
        test: Share of entries to report on.

    Returns:
        (n,) int8, 0 train, 1 inner, 2 test. Shares are met as nearly as whole days allow.

    Raises:
        ValueError: A day is not known, a share is out of range, or a part would be empty.
    """
    _check_shares(inner, test)
    missing = [row for row, date in enumerate(dates) if date is None]
    if missing:
        raise ValueError(f"dates: want a day, got None in row {missing[0]}")
    days = np.array(dates, dtype="M8[D]")
    ordered = np.sort(days)
    n = len(days)
    if n < 3:
        raise ValueError(f"dates: want 3 or more entries, got {n}")
    # A day belongs to the part in which its last entry falls.
    first_inner, first_test = (ordered[min(n - 1, round(n * (1 - s)))] for s in (inner + test, test))
    split = np.where(days >= first_test, TEST, np.where(days >= first_inner, INNER, TRAIN)).astype(np.int8)
    return _all_parts(split, "dates")


def split_by_text(
    groups: npt.NDArray[np.integer], *, seed: int, inner: float = 0.15, test: float = 0.25
) -> Part:
    """Puts whole groups of entries into parts, so that no text of the test was ever seen.

    Args:
        groups: (n,) group of each entry, such as `text_groups`.
        seed: Seed of the draw of groups.
        inner: Share of groups for selection.
        test: Share of groups to report on.

    Returns:
        (n,) int8, 0 train, 1 inner, 2 test.

    Raises:
        ValueError: A share is out of range, or there are too few groups.
    """
    _check_shares(inner, test)
    names, number = np.unique(groups, return_inverse=True)
    size = len(names)
    order = np.random.default_rng(seed).permutation(size)
    part_of = np.full(size, TRAIN, np.int8)
    n_test, n_inner = round(size * test), round(size * inner)
    part_of[order[:n_test]] = TEST
    part_of[order[n_test : n_test + n_inner]] = INNER
    return _all_parts(part_of[number], "groups")


def _check_shares(inner: float, test: float) -> None:
    if not (inner > 0 and test > 0 and inner + test < 1):
        raise ValueError(
            f"inner, test: want shares above 0 that leave some for training, got {inner}, {test}"
        )


def _all_parts(split: Part, name: str) -> Part:
    for part, called in enumerate(("train", "inner", "test")):
        if not (split == part).any():
            raise ValueError(f"{name}: want enough for every part, got none for {called}")
    return split
