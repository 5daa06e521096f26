"""What a run itself had to do, as criteria beside the gates of its report."""

from __future__ import annotations

import math

from moola_eval.schema import Criterion, Report
from moola_train.fit import FitResult

FALL = 0.20
"""By how much the inner loss has to fall from the first epoch to its lowest."""


def judged(report: Report, fitted: FitResult, *, epochs: int) -> Report:
    """Puts three criteria before those of the report: run completed, no NaN, inner loss fell.

    Args:
        report: On the test part.
        fitted: How training went.
        epochs: How many were asked for; early stopping may have ended the run before.

    Returns:
        The report with all criteria.
    """
    undefined = sum(r.value is None and r.name == "loss" for r in fitted.records)
    inner = [
        r.value
        for r in fitted.records
        if (r.split, r.task, r.name) == ("inner", "", "loss") and r.value is not None
    ]
    change = min(inner) / inner[0] - 1 if inner and inner[0] > 0 else math.nan
    wanted = fitted.epochs if fitted.stopped == "patience" else epochs
    own = (
        _criterion("run completed", "epochs finished", ">=", wanted, fitted.epochs),
        _criterion("no NaN", "undefined losses", "<=", 0, undefined),
        # A model that learns nothing changes by 0.
        _criterion(
            "validation loss falls", "inner loss, lowest against first", "<=", -FALL, change, null=0.0
        ),
    )
    return report.model_copy(update={"criteria": (*own, *report.criteria)})


def _criterion(
    name: str, metric: str, sign: str, bound: float, value: float, *, null: float = math.nan
) -> Criterion:
    def holds(number: float) -> bool:
        return number >= bound if sign == ">=" else number <= bound

    return Criterion(
        name=name,
        metric=metric,
        operator=">=" if sign == ">=" else "<=",
        bound=bound,
        value=value,
        null=null,
        null_passes=None if math.isnan(null) else holds(null),
        passed=None if math.isnan(value) else holds(value),
    )
