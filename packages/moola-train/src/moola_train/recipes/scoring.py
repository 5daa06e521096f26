"""What the report scores: the model's spans, and those of a simple rule on the same windows."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from moola_data.five_bar_move import five_bar_move
from moola_data.schema import Bars, WindowSet
from moola_data.windows import window_view
from moola_eval.baseline import Baseline
from moola_eval.decoding import decode
from moola_eval.schema import Truth
from moola_eval.spans import Spans as EvalSpans
from moola_models.schema import PredictedSpans, PredictionSet
from moola_train.recipes.answers import Answers

RULE = "|5-bar move| in ATR of 10 bars, at or above thresholds from the inner part; 0 where undefined"


def predictions(
    found: Answers, *, starts: npt.NDArray[np.int64], group: npt.NDArray[np.int64], threshold: float
) -> PredictionSet:
    """Cuts answers into spans: runs of marked bars, or of bars whose probability reaches the threshold.

    Args:
        found: Answers for n windows.
        starts: Their first bars, i8 (n,).
        group: Their blocks, i8 (n,).
        threshold: From other windows.

    Returns:
        Predictions; every span has the most probable type of its window, -1 without a type head.
    """
    marks = found.marks
    spans = (
        decode(found.probability, threshold=threshold) if marks is None else scored(marks, found.probability)
    )
    assert spans.score is not None  # both give one
    types = found.type_probability
    of_window = np.full(len(starts), -1) if types is None else types.argmax(axis=1)
    return PredictionSet(
        probability=found.probability,
        spans=PredictedSpans(
            window=spans.sequence.astype(np.int64),
            start=spans.start.astype(np.int64),
            end=spans.end.astype(np.int64),
            score=spans.score.astype(np.float32),
            type=of_window[spans.sequence].astype(np.int64),
        ),
        pointers=found.pointers,
        countdown=found.countdown,
        type_probability=types,
        starts=starts,
        group=group,
    )


def scored(marks: npt.NDArray[np.bool_], probability: npt.NDArray[np.float32]) -> EvalSpans:
    """Cuts marks (n, K) into runs, each with the mean probability of its bars."""
    runs = decode(marks.astype(np.float32), threshold=0.5)
    sums = np.cumsum(np.pad(probability.astype(np.float64), ((0, 0), (1, 0))), axis=1)
    total = sums[runs.sequence, runs.end + 1] - sums[runs.sequence, runs.start]
    return dataclasses.replace(runs, score=total / runs.size)


def five_bar_rule(bars: Bars, inner: WindowSet, test: WindowSet) -> Baseline:
    """Fits the simple rule that a model has to beat: a large move over five bars.

    Args:
        bars: All bars.
        inner: The windows that its thresholds come from.
        test: The windows to be reported.

    Returns:
        The rule as a baseline.
    """
    move = np.nan_to_num(five_bar_move(bars), nan=0.0)[:, None].astype(np.float32)
    seen = window_view(move, length=test.length)[..., 0]
    return Baseline.fit(
        seen[test.starts],
        inner_values=seen[inner.starts],
        inner_truth=Truth.model_validate(inner),
        meaning=RULE,
    )
