"""What a trial tells of the reported part: every metric beside its strongest null, skill and ceiling."""

from __future__ import annotations

import numpy as np
from pydantic import JsonValue

from moola_data.window_subset import part
from moola_eval.bars import bar_f1
from moola_eval.evaluation import evaluate
from moola_eval.schema import EvalInput, Prediction, Truth
from moola_train.recipes.answers import Answers
from moola_train.recipes.scoring import predictions
from moola_train.recipes.study_data import Material


def reported_numbers(
    drawn: Material, found: Answers, threshold: float, *, bar_threshold: float, seed: int
) -> dict[str, JsonValue]:
    """Scores answers on the fresh windows.

    Args:
        drawn: The trial's data.
        found: Answers for the windows of its reported part.
        threshold: Of spans, chosen on the inner part.
        bar_threshold: Of single bars, chosen there too.
        seed: Of the random chance levels.

    Returns:
        ``test/NAME``, ``null/NAME``, ``skill/NAME``, ``ceiling/NAME`` and, of it, ``share/NAME`` and
        ``gap/NAME`` of every metric, bars being those of the decided spans; ``tuned_bar_f1`` is of bars
        judged alone at `bar_threshold`, ``half_bar_f1`` at one half, as the first system looked at them;
        ``span_recall`` the share of the true spans that are hit at IoU .5.
    """
    test = part(drawn.windows, "test")
    known = {"span_f1": drawn.span_ceiling, "bar_f1": drawn.bar_ceiling}
    report = evaluate(
        EvalInput(
            prediction=Prediction.model_validate(
                predictions(found, starts=test.starts, group=test.group, threshold=threshold)
            ),
            truth=Truth.model_validate(test),
        ),
        seed=seed,
        train_truth=Truth.model_validate(part(drawn.windows, "train")),
        ceiling={name: value for name, value in known.items() if value is not None},
        resamples=0,  # the interval of a study is over its seeds, each with fresh windows
    )
    numbers: dict[str, JsonValue] = {"positive_share": report.data.positive_rate}
    for metric in report.metrics:
        if metric.name == "span_f1":
            numbers["test/span_recall"] = metric.counts["tp"] / metric.counts["n_true"]
        numbers[f"test/{metric.name}"] = float(metric.value)
        if metric.strongest_null is not None:
            numbers[f"null/{metric.name}"] = float(metric.nulls[metric.strongest_null])
            numbers[f"skill/{metric.name}"] = float(metric.skill)
        numbers[f"ceiling/{metric.name}"] = float(metric.ceiling)
        if metric.ceiling_known and metric.ceiling > 0:
            numbers[f"share/{metric.name}"] = float(metric.value / metric.ceiling)
            numbers[f"gap/{metric.name}"] = float(metric.ceiling - metric.value)
    inside = np.asarray(test.targets["span"], np.float32) > 0.5
    marked = found.probability > 0.5
    tuned = found.probability >= np.float32(bar_threshold)
    return numbers | {
        "test/tuned_bar_f1": float(np.nan_to_num(bar_f1(inside, tuned).value)),
        "test/half_bar_f1": float(np.nan_to_num(bar_f1(inside, marked).value)),
        "test/largest_probability": float(found.probability.max()),
        "test/marked_share": float(marked.mean()),
    }
