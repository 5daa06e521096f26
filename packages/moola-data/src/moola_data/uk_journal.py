"""Realistic entries of a small British company whose best possible scores are known.

Purchases with tax at home and abroad, sales, receipts and payments, payroll, depreciation, accruals and their
reversals, fees, loans: on the codes of `moola_data.uk_chart`. Payees recur, words are misspelt and come in
four languages. Some words have two meanings, which the day tells apart, or nothing does.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moola_data.journal_entry import JournalEntry
from moola_data.journal_world import JournalWorld
from moola_data.uk_occasions import uk_occasions


@dataclass(frozen=True, slots=True)
class UkJournal:
    """Entries, the world they come from, and which of them share their words.

    Attributes:
        entries: In the order of their days.
        world: For `moola_data.journal_ceiling.journal_ceiling`.
        source: (n,) int64, the same number for entries that were meant to be worded alike: slips and suffixes
            do not count, so that a slip of a word trained on is no new word.
    """

    entries: tuple[JournalEntry, ...]
    world: JournalWorld
    source: npt.NDArray[np.int64]


def uk_journal(
    n: int,
    *,
    seed: int,
    slip: float = 0.05,
    first: datetime.date = datetime.date(2022, 1, 1),
    last: datetime.date = datetime.date(2024, 12, 31),
) -> UkJournal:
    """Draws n entries of 2 to 8 lines.

    Args:
        n: Entries.
        seed: Seed of the entries; the world is the same for all.
        slip: Chance that the words of an entry hold a slip of the keyboard.
        first: First day; the days must hold all months with a booking of their own, a year does.
        last: Last day.

    Returns:
        The entries with their world.

    >>> made = uk_journal(100, seed=0)
    >>> len(made.entries), made.entries[0].imbalance
    (100, 0.0)
    """
    world = JournalWorld(occasions=uk_occasions(), slip=slip, first=first, last=last)
    entries, sources = world.sample_with_sources(n, seed=seed)
    numbers = np.unique(np.array(sources, dtype=str), return_inverse=True)[1]
    return UkJournal(entries, world, numbers.astype(np.int64))
