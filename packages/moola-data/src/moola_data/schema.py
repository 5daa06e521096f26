"""What moola-data takes and gives: bars, spans, windows with targets.

N bars, n windows, m spans, K bars a window, F features. Spans are (start, end), both inclusive.
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
