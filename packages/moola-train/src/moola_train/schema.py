"""What moola-train takes and gives: the data set in, long-form records out.

N bars, n windows, K bars a window, F features.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, JsonValue

from moola_train._arrays import Arr, Boundary, Dim

Array = npt.NDArray[np.generic]
Split = Literal["train", "inner", "test"]


class TrainSet(Boundary):
    """Windows over one feature matrix, with targets by task; adopts `moola_data.WindowSet`."""

    features: Annotated[npt.NDArray[np.float32], Arr("f4", ("N", "F"))]
    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    length: Annotated[int, Dim("K")]
    position: bool = False
    targets: Annotated[dict[str, Array], Arr("any", ("n", "..."), each=True)]
    masks: Annotated[dict[str, npt.NDArray[np.bool_]], Arr("b1", ("n", "..."), each=True)]
    weight: Annotated[npt.NDArray[np.float32], Arr("f4", ("n",))]
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    split: Annotated[npt.NDArray[np.int8], Arr("i1", ("n",))]

    def __len__(self) -> int:
        return len(self.starts)


class Record(BaseModel):
    """One measured number of a run: a line of ``records.jsonl``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    epoch: int
    split: Split
    task: str
    """Task name, or "" for what belongs to the whole run."""
    name: str
    value: float | None
    """None stands for an undefined (not a number) value: JSON has no NaN."""


class SweepRow(BaseModel):
    """One job of a sweep: a file ``rows/KEY.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    key: str
    """Made from the parameters; the same job has the same key in every sweep."""
    parameters: dict[str, JsonValue]
    status: Literal["done", "failed"]
    result: dict[str, JsonValue] | None
    """What the function returned; a number that is not finite is None. None of a failed job."""
    error: str | None
    """Type and message of what ended the job, then the traceback or the end of the log."""
    attempt: int
    """1 for the first time the job was tried."""
    seconds: float
    cpu_seconds: float
    """Of the worker during the job; 0 where the worker died."""
