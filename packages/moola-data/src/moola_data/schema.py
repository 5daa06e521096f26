"""What moola-data takes and gives: bars, spans, windows with targets; journal entries with their lines.

N bars, n windows or entries, m spans, K bars a window, F features; T lines an entry, C accounts.
Spans are (start, end), both inclusive.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from moola_data._arrays import Arr, Boundary, Dim

Array = npt.NDArray[np.generic]


class Bars(Boundary):
    """Checked OHLC bars of one or several symbols, sorted by symbol, then time.

    `segment` numbers the uninterrupted stretches: it changes where the symbol changes and at every
    session break, roll or gap that the caller declared. No window crosses a change of segment.
    """

    time: Annotated[npt.NDArray[np.datetime64], Arr("M8[ns]", ("N",))]
    open: Annotated[npt.NDArray[np.float64], Arr("f8", ("N",))]
    high: Annotated[npt.NDArray[np.float64], Arr("f8", ("N",))]
    low: Annotated[npt.NDArray[np.float64], Arr("f8", ("N",))]
    close: Annotated[npt.NDArray[np.float64], Arr("f8", ("N",))]
    symbol: Annotated[npt.NDArray[np.int32], Arr("i4", ("N",))]
    """Index into `symbols`."""
    segment: Annotated[npt.NDArray[np.int64], Arr("i8", ("N",))]
    symbols: tuple[str, ...]
    source: str = ""
    """Where the bars come from, for the data card."""

    def __len__(self) -> int:
        return len(self.time)


class Spans(Boundary):
    """One annotator's spans on a bars file: first and last bar, both inclusive bar numbers of the `Bars`.

    `type` indexes `type_names`; -1 means that the span has no type, which masks the type task there.
    Two annotators are two objects: their union would count every expansion that both marked twice.
    """

    start: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    end: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    type: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    weight: Annotated[npt.NDArray[np.float32], Arr("f4", ("m",))]
    type_names: tuple[str, ...]
    annotator: str = ""
    """Who or what labelled: a person's key, or the name and parameters of a rule."""
    label: str = ""
    """What the spans are, as their file says it, such as "expansion"."""

    def __len__(self) -> int:
        return len(self.start)


class WindowSpans(Boundary):
    """Spans by window, positions relative to the window's first bar, both inclusive.

    `cut` flags a span of which the window's edge hides a part; start and end are the visible part.
    """

    window: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    start: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    end: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    type: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    weight: Annotated[npt.NDArray[np.float32], Arr("f4", ("m",))]
    cut: Annotated[npt.NDArray[np.bool_], Arr("b1", ("m",))]


class WindowSet(Boundary):
    """Windows as a view over one feature matrix, with their targets.

    Window i holds the rows ``features[starts[i] : starts[i] + length]``; nothing is copied until a batch is
    gathered. ``split`` is 0 for train, 1 for inner (selection), 2 for test (reported).
    """

    features: Annotated[npt.NDArray[np.float32], Arr("f4", ("N", "F"))]
    feature_names: tuple[str, ...]
    feature_set: str
    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    length: Annotated[int, Dim("K")]
    position: bool = False
    """Whether t/(K-1) is appended to the features when a batch is gathered."""
    targets: Annotated[dict[str, Array], Arr("any", ("n", "..."), each=True)]
    masks: Annotated[dict[str, npt.NDArray[np.bool_]], Arr("b1", ("n", "..."), each=True)]
    """Per task, shape (n,) or the target's shape: True where the target is known."""
    weight: Annotated[npt.NDArray[np.float32], Arr("f4", ("n",))]
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    split: Annotated[npt.NDArray[np.int8], Arr("i1", ("n",))]
    spans: WindowSpans
    type_names: tuple[str, ...]
    encoding: dict[str, str] = {}
    """How a target is encoded, by task, for the one who decodes: {"pointers": "origin", ...}."""
    purged: dict[str, int] = {}
    """Windows left out, by part, because they share bars or labels with another part."""

    def __len__(self) -> int:
        return len(self.starts)

    @model_validator(mode="after")
    def _windows_lie_inside(self) -> Self:
        if len(self.feature_names) != self.features.shape[1]:
            raise ValueError(
                f"feature_names: want {self.features.shape[1]} names, got {len(self.feature_names)}"
            )
        last = len(self.features) - self.length
        bad = np.flatnonzero((self.starts < 0) | (self.starts > last))
        if bad.size:
            raise ValueError(f"starts: want 0..{last}, got {self.starts[bad[0]]} in row {bad[0]}")
        if self.targets.keys() != self.masks.keys():
            raise ValueError(f"masks: want the tasks {sorted(self.targets)}, got {sorted(self.masks)}")
        return self


class FeatureMatrix(Boundary):
    """Features of every bar: one row a bar, one column a feature, in the order of `names`."""

    values: Annotated[npt.NDArray[np.float32], Arr("f4", ("N", "F"))]
    names: tuple[str, ...]
    feature_set: str
    warmup: int = 0
    """Bars at the head of every segment whose features still depend on where the segment began."""

    @model_validator(mode="after")
    def _every_column_has_a_name(self) -> Self:
        if len(self.names) != self.values.shape[1]:
            raise ValueError(f"names: want {self.values.shape[1]}, got {len(self.names)}")
        return self


class JournalQueries(Boundary):
    """What is known of n journal entries before anything is booked, as an encoder takes it.

    ``ngram[ngram_offset[i] : ngram_offset[i + 1]]`` are the buckets of text i (m in all), each 0..buckets-1;
    an empty text has none.
    """

    id: tuple[str, ...]
    text: tuple[str, ...]
    """Normalised."""
    ngram: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    ngram_offset: Annotated[npt.NDArray[np.int64], Arr("i8", ("n+1",))]
    buckets: int
    date: Annotated[npt.NDArray[np.float32], Arr("f4", ("n", "D"))]
    """As `moola_data.journal_date.DATE_FEATURES`; all 0 where the day is not known."""
    day: Annotated[npt.NDArray[np.datetime64], Arr("M8[D]", ("n",))]
    """The day itself, NaT where it is not known."""
    currency: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """Number in the currencies' vocabulary, 0 unknown."""
    n_currencies: int
    """Numbers there are, 0 included."""
    type: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """Number in the types' vocabulary, 0 unknown."""
    n_types: int
    n_accounts: Annotated[int, Dim("C")]
    fingerprint: str
    """The catalogue's."""

    def __len__(self) -> int:
        return len(self.date)

    @model_validator(mode="after")
    def _bags_and_numbers_are_in_range(self) -> Self:
        n = len(self.date)
        for name in ("id", "text"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"{name}: want {n} texts, got {len(getattr(self, name))}")
        offset = self.ngram_offset
        if (
            len(offset) != n + 1
            or offset[0] != 0
            or offset[-1] != len(self.ngram)
            or (np.diff(offset) < 0).any()
        ):
            raise ValueError(
                f"ngram_offset: want {n + 1} numbers rising from 0 to {len(self.ngram)}, "
                f"got {offset.tolist()[:8]}"
            )
        for name, end in (("ngram", self.buckets), ("currency", self.n_currencies), ("type", self.n_types)):
            numbers_within(name, getattr(self, name), 0, end)
        return self


class JournalSet(JournalQueries):
    """Journal entries with their lines: targets of a decoder that emits a line, then says whether to stop.

    Lines stand in one canonical order: debits, then credits, each by account number, T slots an entry. Where
    there is no line, `line_mask` is False, accounts and sides are -1 and the rest is 0. `prev_account` and
    `prev_side` are the line before, -1 at the first; `stop` is 1 on the last line's own slot.
    """

    account: Annotated[npt.NDArray[np.int64], Arr("i8", ("n", "T"))]
    side: Annotated[npt.NDArray[np.int64], Arr("i8", ("n", "T"))]
    """0 debit, 1 credit."""
    line_mask: Annotated[npt.NDArray[np.bool_], Arr("b1", ("n", "T"))]
    prev_account: Annotated[npt.NDArray[np.int64], Arr("i8", ("n", "T"))]
    prev_side: Annotated[npt.NDArray[np.int64], Arr("i8", ("n", "T"))]
    stop: Annotated[npt.NDArray[np.int64], Arr("i8", ("n", "T"))]
    amount: Annotated[npt.NDArray[np.float32], Arr("f4", ("n", "T"))]
    """Share of the side's total."""
    weight: Annotated[npt.NDArray[np.float32], Arr("f4", ("n",))]
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """Entries whose texts are the same but for case and digits, or as the caller gave."""
    split: Annotated[npt.NDArray[np.int8], Arr("i1", ("n",))]
    """0 train, 1 inner (selection), 2 test (reported)."""

    @model_validator(mode="after")
    def _lines_are_accounts_on_sides(self) -> Self:
        empty = np.flatnonzero(~self.line_mask.any(axis=1))
        if empty.size:
            raise ValueError(f"line_mask: want 1 or more lines, got none in row {empty[0]}")
        if (self.line_mask[:, 1:] & ~self.line_mask[:, :-1]).any():
            raise ValueError("line_mask: want lines from slot 0 on without a gap, got a gap")
        for name, end in (("account", self.n_accounts), ("side", 2)):
            values = getattr(self, name)
            numbers_within(name, values[self.line_mask], 0, end)
            if (values[~self.line_mask] != -1).any():
                raise ValueError(f"{name}: want -1 where there is no line, got another number")
        return self


def numbers_within(name: str, values: npt.NDArray[np.int64], low: int, end: int) -> None:
    """Raises ValueError unless every number is in low..end-1."""
    bad = np.flatnonzero((values < low) | (values >= end))
    if bad.size:
        raise ValueError(f"{name}: want {low}..{end - 1}, got {values[bad[0]]} in place {bad[0]}")
