"""Spans of many sequences as one flat, sorted list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, IntArray, finite, integers

Closed = Literal["both", "left"]


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Spans of n sequences, sorted by sequence, start, end, label, score.

    The order is canonical, so no result can depend on the order in which spans were given. Spans of one
    sequence may overlap or repeat; a mask cannot say that, nor tell two touching spans from one long one.
    Build one with `Spans.of`, `Spans.from_mask` or `Spans.from_lists`.

    Attributes:
        sequence: (m,) int64, number of the span's sequence, 0..n-1.
        start: (m,) int64, first bar, counted from the sequence's first bar.
        end: (m,) int64, last bar, inclusive.
        label: (m,) int64, class of the span; 0 where no label was given.
        score: (m,) float64, confidence of the span, or None.
        lengths: (n,) int64, bars in each sequence.
    """

    sequence: IntArray
    start: IntArray
    end: IntArray
    label: IntArray
    score: FloatArray | None
    lengths: IntArray

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def size(self) -> IntArray:
        """Bars in each span, (m,) int64, at least 1."""
        return self.end - self.start + 1

    @property
    def per_sequence(self) -> IntArray:
        """Spans in each sequence, (n,) int64."""
        return np.bincount(self.sequence, minlength=len(self.lengths))

    @classmethod
    def of(
        cls,
        sequence: npt.ArrayLike,
        start: npt.ArrayLike,
        end: npt.ArrayLike,
        *,
        lengths: npt.ArrayLike,
        label: npt.ArrayLike | None = None,
        score: npt.ArrayLike | None = None,
        closed: Closed = "both",
    ) -> Self:
        """Checks and sorts spans.

        Args:
            sequence: (m,) whole numbers in 0..n-1.
            start: (m,) first bars.
            end: (m,) last bars; with ``closed="left"`` the bar after the last.
            lengths: (n,) bars in each sequence.
            label: (m,) whole numbers, or None for one class.
            score: (m,) finite numbers, or None.
            closed: Whether `end` belongs to the span.

        Returns:
            The spans in canonical order.

        Raises:
            ValueError: A span ends before it starts or lies outside its sequence, with its row.

        >>> spans = Spans.of([0, 0], [50, 40], [60, 45], lengths=[105], closed="left")
        >>> spans.start.tolist(), spans.end.tolist()
        ([40, 50], [44, 59])
        """
        length = integers("lengths", lengths)
        which = integers("sequence", sequence)
        first = integers("start", start, size=len(which))
        last = integers("end", end, size=len(which)) - (closed == "left")
        classes = np.zeros_like(which) if label is None else integers("label", label, size=len(which))
        points = None if score is None else np.asarray(score, dtype=np.float64)
        if points is not None and points.shape != which.shape:
            raise ValueError(f"score: want {len(which)} values, got shape {points.shape}")
        _check(length, which, first, last)
        keys: list[npt.NDArray[np.generic]] = [classes, last, first, which]
        if points is not None:
            finite("score", points)
            keys.insert(0, points)
        order = np.lexsort(keys)
        columns = (which[order], first[order], last[order], classes[order])
        return cls(*columns, None if points is None else points[order], length)

    @classmethod
    def from_mask(cls, mask: BoolArray, *, lengths: npt.ArrayLike | None = None, label: int = 0) -> Self:
        """Reads every run of True as one span.

        Args:
            mask: (n, K) bool; or (N,) bool, all sequences end to end, with `lengths`.
            lengths: (n,) bars in each sequence of a flat mask.
            label: Class of all spans.

        Returns:
            The runs. Touching spans of a mask are one span.

        >>> Spans.from_mask(np.array([[True, True, False], [False, False, True]])).end.tolist()
        [1, 2]
        """
        flat, length = flatten("mask", np.asarray(mask), lengths)
        if flat.dtype != np.bool_:
            raise ValueError(f"mask: want bool, got {flat.dtype}")
        starts, ends, which, begin = runs(flat, length)
        zero = np.full_like(which, label)
        return cls(which, starts - begin[which], ends - begin[which], zero, None, length)

    @classmethod
    def from_lists(
        cls,
        rows: Iterable[Iterable[Sequence[float]]],
        *,
        lengths: npt.ArrayLike,
        closed: Closed = "both",
    ) -> Self:
        """Reads one list of (start, end[, label[, score]]) for each sequence.

        >>> Spans.from_lists([[(3, 4)], []], lengths=[10, 10]).per_sequence.tolist()
        [1, 0]
        """
        flat = [(i, *span) for i, row in enumerate(rows) for span in row]
        widths = {len(row) for row in flat}
        if not widths <= {3, 4, 5} or len(widths) > 1:
            raise ValueError(
                "rows: want (start, end), (start, end, label) or (start, end, label, score) throughout"
            )
        columns = [np.asarray(c) for c in zip(*flat, strict=True)] or [np.zeros(0, np.int64)] * 3
        label = columns[3] if len(columns) > 3 else None
        score = columns[4] if len(columns) > 4 else None
        return cls.of(
            columns[0], columns[1], columns[2], lengths=lengths, label=label, score=score, closed=closed
        )

    def mask(self) -> BoolArray:
        """Returns the union of the spans over all sequences end to end, (sum of lengths,) bool."""
        begin = np.concatenate([[0], np.cumsum(self.lengths)])
        edge = np.zeros(int(begin[-1]) + 1, dtype=np.int64)
        np.add.at(edge, begin[self.sequence] + self.start, 1)
        np.add.at(edge, begin[self.sequence] + self.end + 1, -1)
        return np.cumsum(edge[:-1]) > 0

    def merged(self) -> Self:
        """Returns the union as runs: overlapping and touching spans of any label become one; no scores."""
        return type(self).from_mask(self.mask(), lengths=self.lengths)

    def rows(self, index: npt.ArrayLike) -> Self:
        """Returns the spans of the given rows, rising, of the same sequences."""
        rows = integers("index", index)
        score = None if self.score is None else self.score[rows]
        return type(self)(
            self.sequence[rows], self.start[rows], self.end[rows], self.label[rows], score, self.lengths
        )

    def labelled(self, label: int) -> Self:
        """Returns the spans of one label."""
        return self.rows(np.flatnonzero(self.label == label))

    def take(self, sequences: npt.ArrayLike) -> Self:
        """Returns the spans of the given sequences, in that order, renumbered; one may be taken twice."""
        rows = integers("sequences", sequences)
        first = np.searchsorted(self.sequence, rows, "left")
        count = np.searchsorted(self.sequence, rows, "right") - first
        index = index_ranges(first, count)
        which = np.repeat(np.arange(len(rows)), count)
        score = None if self.score is None else self.score[index]
        return type(self)(
            which, self.start[index], self.end[index], self.label[index], score, self.lengths[rows]
        )

    def edges(self, *, closed: Closed = "both") -> tuple[IntArray, IntArray]:
        """Returns first bars and last bars (or, with ``closed="left"``, the bars after the last)."""
        return self.start, self.end + (closed == "left")


def flatten(
    name: str, values: npt.NDArray[np.generic], lengths: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.generic], IntArray]:
    """Returns values of all sequences end to end, and the (n,) lengths."""
    if values.ndim == 2 and lengths is None:
        n, bars = values.shape
        return np.ascontiguousarray(values).reshape(-1), np.full(n, bars, dtype=np.int64)
    if values.ndim != 1 or lengths is None:
        raise ValueError(f"{name}: want shape (n, K), or (N,) with lengths, got {values.shape}")
    length = integers("lengths", lengths)
    if (length < 0).any() or int(length.sum()) != len(values):
        raise ValueError(f"lengths: want {len(values)} bars in all, got {int(length.sum())}")
    return values, length


def runs(flat: npt.NDArray[np.generic], length: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Finds the runs of True: first and last flat index, sequence, and each sequence's first flat index."""
    begin = np.concatenate([[0], np.cumsum(length)])
    on = flat.astype(np.bool_, copy=False)
    rises, falls = np.flatnonzero(on[1:] > on[:-1]) + 1, np.flatnonzero(on[1:] < on[:-1])
    starts = np.concatenate([np.flatnonzero(on[:1]), rises])
    ends = np.concatenate([falls, np.flatnonzero(on[-1:]) + len(on) - 1])
    # A run that goes on over the border of two sequences ends there and begins anew.
    inner = begin[1:-1]
    inner = inner[(inner > 0) & (inner < len(on))]
    across = np.unique(inner[on[inner] & on[inner - 1]])
    if len(across):
        starts = np.sort(np.concatenate([starts, across]))
        ends = np.sort(np.concatenate([ends, across - 1]))
    which = np.searchsorted(begin, starts, "right") - 1
    return starts, ends, which, begin[:-1]


def index_ranges(first: IntArray, count: IntArray) -> IntArray:
    """Concatenates the index ranges first[i] .. first[i]+count[i]-1."""
    total = int(count.sum())
    begin = np.cumsum(count) - count
    return np.repeat(first - begin, count) + np.arange(total)


def _check(length: IntArray, which: IntArray, first: IntArray, last: IntArray) -> None:
    n = len(length)
    if (length < 0).any():
        raise ValueError(f"lengths: want 0 or more, got {length.min()} in row {int(length.argmin())}")
    bad = np.flatnonzero((which < 0) | (which >= n))
    if bad.size:
        raise ValueError(f"sequence: want 0..{n - 1}, got {which[bad[0]]} in row {bad[0]}")
    bad = np.flatnonzero(last < first)
    if bad.size:
        i = bad[0]
        raise ValueError(
            f"end: want a bar at or after the start {first[i]}, got {last[i]} (inclusive) in row {i}"
        )
    bad = np.flatnonzero((first < 0) | (last >= length[which]))
    if bad.size:
        i = bad[0]
        raise ValueError(
            f"spans: want bars in 0..{length[which[i]] - 1}, got {first[i]}..{last[i]} (inclusive) in row {i}"
        )
