"""The lines of an entry as the targets of a decoder, in the one order that a set of lines has here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.catalogue import Catalogue
from moola_data.journal_entry import JournalEntry

NumberedLine = tuple[int, int, float]
"""Account number, side (0 debit, 1 credit), amount."""


class LineTargets(NamedTuple):
    """Targets of n entries in T slots; see `moola_data.schema.JournalSet`.

    Shapes (n, T): account, side, prev_account, prev_side and stop int64, line_mask bool, amount float32.
    """

    account: npt.NDArray[np.int64]
    side: npt.NDArray[np.int64]
    line_mask: npt.NDArray[np.bool_]
    prev_account: npt.NDArray[np.int64]
    prev_side: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    amount: npt.NDArray[np.float32]


def canonical_lines(entry: JournalEntry, catalogue: Catalogue) -> list[NumberedLine]:
    """Returns the lines, debits before credits, each side by account number, then by amount, largest first.

    Raises:
        ValueError: An account is not in the catalogue.
    """
    lines = [(catalogue.number(line.account), int(line.side), line.amount) for line in entry.lines]
    return sorted(lines, key=lambda line: (line[1], line[0], -line[2]))


def line_targets(entries: Sequence[Sequence[NumberedLine]], *, max_lines: int) -> LineTargets:
    """Lays lines out in slots, in the order given.

    Args:
        entries: The lines of each of n entries.
        max_lines: T, slots an entry.

    Returns:
        The targets. The history is shifted by one: slot t knows line t - 1, slot 0 knows -1. The stop is 1 on
        the last line's own slot: emit this line, then stop. Amounts are shares of their side's total, 0 where
        that is 0.

    Raises:
        ValueError: An entry has no line, or more than `max_lines`.

    >>> targets = line_targets([[(3, 0, 1.0), (5, 0, 3.0), (7, 1, 4.0)]], max_lines=4)
    >>> targets.account[0].tolist(), targets.prev_account[0].tolist(), targets.stop[0].tolist()
    ([3, 5, 7, -1], [-1, 3, 5, -1], [0, 0, 1, 0])
    """
    counts = np.array([len(lines) for lines in entries], dtype=np.int64)
    bad = np.flatnonzero((counts < 1) | (counts > max_lines))
    if bad.size:
        raise ValueError(f"entries: want 1..{max_lines} lines, got {counts[bad[0]]} in row {bad[0]}")
    mask = np.arange(max_lines) < counts[:, None]
    flat = np.array([line for lines in entries for line in lines], dtype=np.float64).reshape(-1, 3)
    account, side = np.full(mask.shape, -1, np.int64), np.full(mask.shape, -1, np.int64)
    account[mask], side[mask] = flat[:, 0].astype(np.int64), flat[:, 1].astype(np.int64)
    amount = np.zeros(mask.shape)
    amount[mask] = flat[:, 2]
    for which in (0, 1):
        here = side == which
        total = np.where(here, amount, 0).sum(axis=1, keepdims=True)
        np.divide(amount, total, out=amount, where=here & (total > 0))
    stop = np.zeros(mask.shape, np.int64)
    stop[np.arange(len(counts)), counts - 1] = 1
    return LineTargets(
        account,
        side,
        mask,
        _line_before(account, mask),
        _line_before(side, mask),
        stop,
        amount.astype(np.float32),
    )


def _line_before(values: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    before = np.full_like(values, -1)
    before[:, 1:] = values[:, :-1]
    return np.where(mask, before, -1)
