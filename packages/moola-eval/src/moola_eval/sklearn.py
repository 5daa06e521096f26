"""The stateful metrics as scikit-learn scorers, for ``scoring=`` of `cross_val_score` or a search.

Rows are windows: ``y`` is (n, K), 0 or 1, as of any multi-output classifier. Where rows are bars, ``bars=K``
cuts every K rows into a window; the splitter must then keep the rows of a window together and in order, which
group splitters without shuffling do. A scorer is a plain callable that can be pickled; it asks the estimator
by its methods only, so this module itself does not load scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray
from moola_eval.stateful import Stateful, Values, WindowMetric

Response = Literal["predict", "predict_proba", "decision_function"]


@dataclass(frozen=True, slots=True)
class WindowScorer:
    """Scores a fitted estimator by a metric of `moola_eval.stateful`.

    Attributes:
        metric: What scores windows, such as ``SpanF1(threshold=0.3)``.
        response: What the estimator is asked for: "predict" for decided bars (0 or 1), else values that the
            metric's threshold cuts.
        bars: K, if each row is a bar; None if each row is a window.

    >>> from moola_eval.stateful import SpanF1
    >>> class Rule:
    ...     def predict(self, X):
    ...         return (X > 1).astype(int)
    >>> X = np.array([[0.0, 2.0, 3.0, 0.0], [0.0, 0.0, 0.0, 5.0]])
    >>> WindowScorer(SpanF1(), response="predict")(Rule(), X, np.array([[0, 1, 1, 0], [1, 0, 0, 0]]))
    0.5
    """

    metric: WindowMetric
    response: Response = "predict_proba"
    bars: int | None = None

    def __post_init__(self) -> None:
        if self.response not in ("predict", "predict_proba", "decision_function"):
            raise ValueError(
                f"response: want predict, predict_proba or decision_function, got {self.response!r}"
            )
        if self.bars is not None and self.bars < 1:
            raise ValueError(f"bars: want 1 or more, got {self.bars}")

    def __call__(self, estimator: object, X: object, y: npt.ArrayLike) -> float:
        """Returns the metric, negated if it is an error, for scikit-learn wants greater to be better.

        Args:
            estimator: Anything fitted that has the method `response`, and for "predict_proba" `classes_`.
            X: Rows for the estimator.
            y: (n, K) or, with `bars`, (N,) of 0 and 1.

        Returns:
            The value; NaN where the metric is undefined.

        Raises:
            ValueError: Shapes do not fit, or a decision or truth is neither 0 nor 1.
        """
        true = _decided("y", self._windows("y", np.asarray(y)))
        answer = getattr(estimator, self.response)(X)
        if self.response == "predict_proba":
            read = _of_each_output if self.bars is None else _of_class_1
            answer = read(answer, estimator.classes_)  # type: ignore[attr-defined]
        values: Values = self._windows("prediction", np.asarray(answer))
        if self.response == "predict":
            values = _decided("prediction", values)
        value = self.metric(true, values).value
        return value if Stateful(self.metric).compute().higher_is_better else -value

    def _windows(self, name: str, rows: npt.NDArray[np.generic]) -> Values:
        if self.bars is None:
            if rows.ndim != 2:
                raise ValueError(f"{name}: want shape (n, K), or (N,) with bars=K, got {rows.shape}")
            return np.asarray(rows)
        if rows.ndim != 1 or len(rows) % self.bars:
            raise ValueError(
                f"{name}: want shape (N,) with N a multiple of bars={self.bars}, got {rows.shape}"
            )
        return np.reshape(rows, (-1, self.bars))


def _of_each_output(answer: object, classes: Sequence[object]) -> FloatArray:
    """P(1) of K outputs (n, K), from one (n, classes) table an output or from that very matrix."""
    if not isinstance(answer, list):
        return np.asarray(answer, dtype=np.float64)
    if len(classes) != len(answer):
        raise ValueError(f"estimator: want classes_ of {len(answer)} outputs, got {len(classes)}")
    return np.stack([_of_class_1(t, c) for t, c in zip(answer, classes, strict=True)], axis=1)


def _of_class_1(table: npt.ArrayLike, labels: object) -> FloatArray:
    probability = np.asarray(table, dtype=np.float64)
    found = np.flatnonzero(np.asarray(labels) == 1)
    # An output that was never 1 in training has no column for it: its probability is 0.
    return probability[:, found[0]] if len(found) else np.zeros(len(probability))


def _decided(name: str, values: npt.NDArray[np.generic]) -> BoolArray:
    wrong = ~np.isin(values, (0, 1))
    if wrong.any():
        row = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name}: want 0 or 1, got {values[row]} in row {row}")
    return values.astype(np.bool_)
