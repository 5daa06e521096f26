"""The criteria that a model is asked to meet, each beside what chance scores."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from moola_eval.schema import Criterion, MetricReport

Operator = Literal[">", ">=", "<", "<="]
_COMPARE: Mapping[Operator, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Gate(NamedTuple):
    """A metric's bound."""

    name: str
    metric: str
    operator: Operator
    bound: float


GATES = (
    Gate("span F1 above 0", "span_f1", ">", 0.0),
    Gate("span F1 above 0.20", "origin_span_f1", ">", 0.20),
    Gate("span F1 fit for use", "origin_span_f1", ">=", 0.25),
    Gate("separation", "origin_separation", ">", 0.05),
    Gate("hit within 3 bars, both ends", "origin_hit_at_3", ">=", 0.60),
    Gate("type macro F1", "origin_macro_f1", ">=", 0.50),
    Gate("type calibration error", "origin_ece", "<", 0.10),
    Gate("joint success", "origin_joint", ">=", 0.40),
    Gate("countdown error in bars", "origin_countdown_mae", "<", 5.0),
)


def judge(metrics: Iterable[MetricReport], gates: Iterable[Gate] = GATES) -> tuple[Criterion, ...]:
    """Holds metrics against their bounds.

    Args:
        metrics: Metrics of a report.
        gates: The bounds.

    Returns:
        One criterion a gate. ``passed`` is None where the metric is missing; what is undefined does not pass.
    """
    by_name = {metric.name: metric for metric in metrics}
    return tuple(_judge(gate, by_name.get(gate.metric)) for gate in gates)


def _judge(gate: Gate, metric: MetricReport | None) -> Criterion:
    holds = _COMPARE[gate.operator]
    value = math.nan if metric is None else metric.value
    null = math.nan
    if metric is not None and metric.strongest_null is not None:
        null = metric.nulls[metric.strongest_null]
    return Criterion(
        name=gate.name,
        metric=gate.metric,
        operator=gate.operator,
        bound=gate.bound,
        value=value,
        null=null,
        null_passes=None if math.isnan(null) else holds(null, gate.bound),
        passed=None if metric is None else holds(value, gate.bound),
    )
