"""What moola-eval takes: predictions and truth of the same windows; and gives: a report.

n windows, m spans, K bars a window, C types. Spans are (start, end), both inclusive.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from moola_eval._arrays import Arr, Boundary, Dim
from moola_eval.decoding import Decoder
from moola_eval.markdown import report_markdown

Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A float whose undefined value is NaN in memory and null in JSON."""


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


class Result(BaseModel):
    """A frozen part of a report; numbers that are not defined are null in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Threshold(Result):
    """A decision threshold, what it was chosen for, and on which windows."""

    schema_version: Literal[1] = 1
    threshold: float
    """A value equal to it is positive."""
    metric: str
    definition: str
    value: float
    """The metric on the windows it was chosen on: too good by construction."""
    standard_error: Number
    plateau: tuple[float, float]
    """Every threshold between these two scores within one standard error of the best."""
    decoder: Decoder
    n_windows: int
    n_true: int
    fingerprint: str
    """Of the windows it was chosen on."""


class Interval(Result):
    """A bootstrap interval over clusters."""

    low: Number
    high: Number
    level: float
    method: Literal["percentile", "bca"]
    resamples: int
    undefined: int
    """Resamples in which the metric was not defined; the interval rests on the others."""
    clusters: int


class Comparison(Result):
    """The difference of two models by one metric on the same windows."""

    metric: str
    definition: str
    a: Number
    b: Number
    delta: Number
    """a - b."""
    interval: Interval
    p_value: Number
    """Two-sided, by exchanging the models within groups."""
    permutations: int
    exact: bool
    """Whether all exchanges were tried."""


class SeedSpread(Result):
    """One recipe trained with several seeds, scored on the same windows."""

    metric: str
    definition: str
    mean: Number
    values: tuple[Number, ...]
    over_seeds: Number
    """Standard deviation of the values: what another seed changes."""
    over_data: Number
    """Bootstrap standard error of the mean over groups: what other windows would change."""
    interval: Interval
    """Of the mean, over data."""


class MetricReport(Result):
    """One metric with everything needed to judge it."""

    name: str
    definition: str
    value: Number
    parts: dict[str, Number]
    counts: dict[str, float]
    higher_is_better: bool
    interval: Interval | None
    nulls: dict[str, Number]
    """What each chance level scores on the same windows."""
    strongest_null: str | None
    ceiling: float
    ceiling_known: bool
    """False where no one gave a ceiling: then it is the value of a perfect prediction."""
    skill: Number
    """(value - strongest null) / (ceiling - strongest null); above 0 is better than chance. Undefined where
    chance reaches the ceiling."""
    skill_interval: Interval | None
    """None without resamples, and where the skill is undefined."""


class Criterion(Result):
    """One line of the table of criteria."""

    name: str
    metric: str
    operator: Literal[">", ">=", "<", "<="]
    bound: float
    value: Number
    null: Number
    """What the strongest chance level scores."""
    null_passes: bool | None
    """Whether chance alone would meet the criterion, which then says nothing."""
    passed: bool | None
    """None where the model has no such output."""


class DataSummary(Result):
    """What was scored."""

    n_windows: int
    length: int
    n_groups: int
    n_true: int
    n_pred: int
    n_empty: int
    """Windows without a true span."""
    positive_rate: Number
    fingerprint: str


class Report(Result):
    """The evaluation of one model on one set of windows."""

    schema_version: Literal[1] = 1
    data: DataSummary
    threshold: Threshold | None
    bar_threshold: Threshold | None
    in_sample: bool
    """Whether a threshold was chosen on the very windows that are scored."""
    seed: int
    resamples: int
    level: float
    nulls: dict[str, str]
    """What each chance level does."""
    metrics: tuple[MetricReport, ...]
    true_anatomy: dict[str, int]
    """True spans by what became of them; the numbers add up."""
    pred_anatomy: dict[str, int]
    """Predicted spans by what they were."""
    criteria: tuple[Criterion, ...]
    notes: tuple[str, ...]

    def metric(self, name: str) -> MetricReport:
        """Returns a metric by name.

        Raises:
            KeyError: The report has no such metric.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(f"name: want one of {[m.name for m in self.metrics]}, got {name!r}")

    def to_markdown(self) -> str:
        """Returns the report as Markdown."""
        return report_markdown(self)
