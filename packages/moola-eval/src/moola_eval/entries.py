"""Scores of journal entries: each entry is a multiset of lines, a line an account on one side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, IntArray, integers, same_shape
from moola_eval.score import Score, f_score, mean, ratio

DEBIT, CREDIT = 0, 1
StopMeans = Literal["last_line", "no_line"]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Lines of n entries, in any order; equal lines count as often as they stand.

    Attributes:
        entry: (m,) int64, number of the line's entry, 0..n-1.
        account: (m,) int64, catalogue number, 0 or more.
        side: (m,) int64, 0 debit, 1 credit.
        n_entries: n.
        stopped: (n,) bool, whether the entry ended by its own stop; None where lines were simply given.
    """

    entry: IntArray
    account: IntArray
    side: IntArray
    n_entries: int
    stopped: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.entry)

    @property
    def per_entry(self) -> IntArray:
        """Lines in each entry, (n,) int64."""
        return np.bincount(self.entry, minlength=self.n_entries)

    @classmethod
    def of(cls, entry: npt.ArrayLike, account: npt.ArrayLike, side: npt.ArrayLike, *, n_entries: int) -> Self:
        """Checks lines.

        Raises:
            ValueError: An entry, account or side lies outside its range, with the row.
        """
        which = integers("entry", entry)
        accounts = integers("account", account, size=len(which))
        sides = integers("side", side, size=len(which))
        _within("entry", which, 0, n_entries - 1)
        _within("account", accounts, 0, None)
        _within("side", sides, DEBIT, CREDIT)
        return cls(which, accounts, sides, n_entries)

    @classmethod
    def from_lists(cls, rows: Iterable[Iterable[tuple[int, int]]]) -> Self:
        """Reads one list of (account, side) for each entry.

        >>> Lines.from_lists([[(3, 0), (7, 1)], []]).per_entry.tolist()
        [2, 0]
        """
        entries = [list(row) for row in rows]
        flat = [(i, *line) for i, row in enumerate(entries) for line in row]
        columns = zip(*flat, strict=True) if flat else ([], [], [])
        entry, account, side = columns
        return cls.of(entry, account, side, n_entries=len(entries))

    @classmethod
    def until_stop(
        cls,
        account: npt.ArrayLike,
        side: npt.ArrayLike,
        stop: BoolArray,
        *,
        stop_means: StopMeans = "last_line",
    ) -> Self:
        """Cuts what a decoder gave at the decoder's own first stop, never at the truth's.

        An entry that never stops counts as given, over-long tail and all; `stopped` says so.

        Args:
            account: (n, T) whole numbers, the account of each slot.
            side: (n, T) 0 or 1.
            stop: (n, T) bool, whether the decoder stops at this slot.
            stop_means: "last_line" keeps the line of the slot that stops, "no_line" drops it.

        Returns:
            The lines before the stop; what stands after it is not looked at.

        Raises:
            ValueError: Shapes or types differ from these, or a kept line has no such account or side.

        >>> lines = Lines.until_stop([[3, 7, 9]], [[0, 1, 1]], np.array([[False, True, False]]))
        >>> lines.account.tolist(), lines.stopped.tolist()
        ([3, 7], [True])
        """
        accounts, sides = np.asarray(account), np.asarray(side)
        if accounts.ndim != 2:
            raise ValueError(f"account: want shape (n, T), got {accounts.shape}")
        same_shape("side", sides, accounts.shape)
        same_shape("stop", stop, accounts.shape)
        if stop.dtype != np.bool_:
            raise ValueError(f"stop: want bool, got {stop.dtype}")
        if stop_means not in ("last_line", "no_line"):
            raise ValueError(f'stop_means: want "last_line" or "no_line", got {stop_means!r}')
        stops_up_to = np.cumsum(stop, axis=1)
        kept = stops_up_to == 0
        if stop_means == "last_line":
            kept |= stop & (stops_up_to == 1)
        entry, _ = np.nonzero(kept)
        lines = cls.of(entry, accounts[kept], sides[kept], n_entries=len(accounts))
        return cls(lines.entry, lines.account, lines.side, lines.n_entries, np.asarray(stop.any(axis=1)))

    def of_side(self, side: int) -> Self:
        """Returns the lines of one side, 0 debit or 1 credit."""
        rows = self.side == side
        return type(self)(self.entry[rows], self.account[rows], self.side[rows], self.n_entries, self.stopped)


def entry_f1(true: Lines, pred: Lines, *, beta: float = 1.0) -> Score:
    """F1 of lines, pooled: a line counts as often as both entries hold it.

    tp of an entry is the sum over (account, side) of the smaller of the two multiplicities, so neither a
    repeated line nor a tail after the true last line is free.

    Args:
        true: The booked lines.
        pred: The proposed lines of the same entries; cut by `Lines.until_stop` they are judged as the
            model's own decoding, and the counts say how many never stopped.
        beta: Weight of recall against precision.

    Returns:
        The score with parts "precision" and "recall"; NaN only where neither side has a line.

    >>> true = Lines.from_lists([[(1, 0), (1, 0), (2, 1)]])
    >>> pred = Lines.from_lists([[(1, 0), (2, 1), (2, 1)]])
    >>> score = entry_f1(true, pred)
    >>> round(score.value, 3), score.counts["tp"]
    (0.667, 2.0)
    """
    score = f_score(
        "entry_f1",
        f"F1 of lines (account, side) as multisets, pooled over entries; {_cut(pred)}",
        tp=common_lines(true, pred),
        n_pred=pred.per_entry.astype(np.float64),
        n_true=true.per_entry.astype(np.float64),
        beta=beta,
    )
    return _with_unstopped(score, pred)


def exact_entry(true: Lines, pred: Lines) -> Score:
    """Share of entries whose lines are exactly the booked ones, in any order.

    Args:
        true: The booked lines.
        pred: The proposed lines of the same entries.

    Returns:
        The score; two empty entries are equal, and the counts tell how many entries there were.
    """
    common = common_lines(true, pred)
    equal = (common == true.per_entry) & (common == pred.per_entry)
    words = f"share of entries whose multiset of (account, side) is exactly the true one; {_cut(pred)}"
    score = mean("exact_entry", words, equal.astype(np.float64), np.ones(len(equal)), unit="entries")
    return _with_unstopped(score, pred)


def entry_length_error(true: Lines, pred: Lines) -> Score:
    """Mean absolute difference in the number of lines; part "bias" is positive where entries are too long."""
    _same_entries(true, pred)
    error = (pred.per_entry - true.per_entry).astype(np.float64)
    score = Score(
        name="entry_length_mae",
        definition=f"mean |number of predicted lines - number of true lines| over entries; {_cut(pred)}",
        sums=np.stack([np.abs(error), error, error > 0, error < 0, np.ones(len(error))], axis=1),
        columns=("absolute", "signed", "n_long", "n_short", "n_entries"),
        formula=lambda s: ratio(s[..., 0], s[..., 4]),
        parts={"bias": lambda s: ratio(s[..., 1], s[..., 4])},
        higher_is_better=False,
        best=0.0,
    )
    return _with_unstopped(score, pred)


def both_sides(pred: Lines) -> Score:
    """Share of entries with at least one debit and one credit: without both none can balance."""
    debit, credit = (pred.of_side(side).per_entry > 0 for side in (DEBIT, CREDIT))
    words = f"share of entries with a debit and a credit; {_cut(pred)}"
    good = (debit & credit).astype(np.float64)
    return _with_unstopped(mean("both_sides", words, good, np.ones(len(good)), unit="entries"), pred)


def common_lines(true: Lines, pred: Lines) -> FloatArray:
    """Size of the multiset intersection of each entry, (n,) float64."""
    _same_entries(true, pred)
    accounts, number = np.unique(np.concatenate([true.account, pred.account]), return_inverse=True)
    key = (np.concatenate([true.entry, pred.entry]) * len(accounts) + number) * 2
    key += np.concatenate([true.side, pred.side])
    kinds, index = np.unique(key, return_inverse=True)
    here = np.bincount(index[: len(true)], minlength=len(kinds))
    there = np.bincount(index[len(true) :], minlength=len(kinds))
    entry = kinds // max(1, 2 * len(accounts))
    total = np.bincount(entry, weights=np.minimum(here, there), minlength=true.n_entries)
    return total.astype(np.float64)


def _with_unstopped(score: Score, pred: Lines) -> Score:
    """Adds the count of entries without a stop of their own; the formula reads columns by place."""
    if pred.stopped is None:
        return score
    return Score(
        name=score.name,
        definition=score.definition,
        sums=np.column_stack([score.sums, ~pred.stopped]),
        columns=(*score.columns, "n_unstopped"),
        formula=score.formula,
        parts=score.parts,
        higher_is_better=score.higher_is_better,
        best=score.best,
    )


def _cut(pred: Lines) -> str:
    if pred.stopped is None:
        return "predicted lines as given"
    return "predictions cut at their own stop, those without one as given"


def _same_entries(true: Lines, pred: Lines) -> None:
    if true.n_entries != pred.n_entries:
        raise ValueError(f"pred: want {true.n_entries} entries, got {pred.n_entries}")


def _within(name: str, values: IntArray, low: int, high: int | None) -> None:
    bad = np.flatnonzero((values < low) | (values > (values if high is None else high)))
    if bad.size:
        wanted = f"{low} or more" if high is None else f"{low}..{high}"
        raise ValueError(f"{name}: want {wanted}, got {values[bad[0]]} in row {bad[0]}")
