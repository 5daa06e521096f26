"""What moola-eval takes: predictions and truth of the same windows; and gives: a report.

n windows, m spans, K bars a window, C types. Spans are (start, end), both inclusive.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from moola_eval._arrays import Arr, Boundary, Dim


class PredictedSpans(Boundary):
    """Predicted spans by window, positions relative to the window's first bar, both inclusive."""

    window: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    start: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    end: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    score: Annotated[npt.NDArray[np.float32], Arr("f4", ("m",))]
    type: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]


class TrueSpans(Boundary):
    """Labelled spans by window, positions relative to the window's first bar, both inclusive."""

    window: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    start: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    end: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    type: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    """Index into `type_names`; -1 where the span has no type."""


class Prediction(Boundary):
    """Predictions of n windows; adopts `moola_models.PredictionSet`."""

    probability: Annotated[npt.NDArray[np.float32], Arr("f4", ("n", "K"))]
    spans: PredictedSpans
    pointers: Annotated[npt.NDArray[np.float32] | None, Arr("f4", ("n", 2), optional=True)] = None
    countdown: Annotated[npt.NDArray[np.float32] | None, Arr("f4", ("n", "K"), optional=True)] = None
    type_probability: Annotated[npt.NDArray[np.float32] | None, Arr("f4", ("n", "C"), optional=True)] = None
    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]


class Truth(Boundary):
    """The labelled windows; adopts `moola_data.WindowSet`."""

    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    length: Annotated[int, Dim("K")]
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    spans: TrueSpans
    type_names: tuple[str, ...]


class EvalInput(Boundary):
    """Predictions beside the truth of the same windows in the same order."""

    prediction: Prediction
    truth: Truth

    @model_validator(mode="after")
    def _same_windows(self) -> Self:
        n, length = self.prediction.probability.shape
        if length != self.truth.length:
            raise ValueError(f"prediction: want {self.truth.length} bars a window, got {length}")
        if n != len(self.truth.starts):
            raise ValueError(f"prediction: want {len(self.truth.starts)} windows, got {n}")
        for name in ("starts", "group"):
            bad = np.flatnonzero(getattr(self.prediction, name) != getattr(self.truth, name))
            if bad.size:
                raise ValueError(f"prediction: {name} differs from the truth first in row {bad[0]}")
        return self
