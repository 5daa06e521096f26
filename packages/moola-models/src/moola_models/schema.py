"""What moola-models gives: decoded predictions of windows. The configurations stand beside their classes.

n windows, m predicted spans, K bars a window, C types. Spans are (start, end), both inclusive.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from moola_models._arrays import Arr, Boundary


class PredictedSpans(Boundary):
    """Predicted spans by window, positions relative to the window's first bar, both inclusive."""

    window: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    start: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    end: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    score: Annotated[npt.NDArray[np.float32], Arr("f4", ("m",))]
    type: Annotated[npt.NDArray[np.int64], Arr("i8", ("m",))]
    """Most probable type of the span's window; -1 where the model has no type head."""


class PredictionSet(Boundary):
    """Predictions of n windows. Optional fields are None when the model has no such head."""

    probability: Annotated[npt.NDArray[np.float32], Arr("f4", ("n", "K"))]
    """In-span probability of every bar, in [0, 1]."""
    spans: PredictedSpans
    pointers: Annotated[npt.NDArray[np.float32] | None, Arr("f4", ("n", 2), optional=True)] = None
    """Centre and length (end - start + 1) in bars."""
    countdown: Annotated[npt.NDArray[np.float32] | None, Arr("f4", ("n", "K"), optional=True)] = None
    """Bars until the nearest start, negative after it."""
    type_probability: Annotated[npt.NDArray[np.float32] | None, Arr("f4", ("n", "C"), optional=True)] = None
    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
