"""Metrics that other packages offer by name, for reports that show them beside this package's own.

A report's metric is a function ``(forecast, targets) -> Score`` of `moola_eval.forecast.Forecast` and
`moola_eval.targets.Targets`, with one row of sums a window; None where the forecast lacks an output that it
needs. It is computed of the chance levels and simple rules too, and so gets an interval and a skill. Metrics
of marked bars that are also wanted batch by batch, in torchmetrics or scikit-learn, are those of
`moola_eval.stateful`; ``metric(targets.mask, forecast.mask)`` puts one into a report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from moola_eval.forecast import Forecast
from moola_eval.score import Score
from moola_eval.targets import Targets

ReportMetric = Callable[[Forecast, Targets], Score | None]

GROUP = "moola_eval.metrics"
"""Entry-point group in which another package names a metric of its own."""


def report_metric(name: str) -> ReportMetric:
    """Returns the metric that an installed package offers under a name.

    Raises:
        ValueError: No installed package offers it.
        TypeError: What a package offers cannot be called.
    """
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        known = ", ".join(sorted(offered)) or "none that is offered by an installed package"
        raise ValueError(f"metrics: want {known}, got {name!r}")
    found: object = offered[name].load()
    if not callable(found):
        raise TypeError(f"entry point {GROUP}:{name}: want a function, got {found!r}")

    def named(forecast: Forecast, targets: Targets) -> Score | None:
        score: object = found(forecast, targets)
        if score is None:
            return None
        if not isinstance(score, Score):
            raise TypeError(f"metric {name!r}: want a Score or None, got {type(score).__name__}")
        if score.n_sequences != len(targets.mask):
            raise ValueError(f"metric {name!r}: want {len(targets.mask)} rows, got {score.n_sequences}")
        return score.named(name)

    return named


def report_metrics(names: Sequence[str]) -> tuple[ReportMetric, ...]:
    """Returns the metrics of several names.

    Raises:
        ValueError: A name stands twice, or as in `report_metric`.
        TypeError: As in `report_metric`.
    """
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"metrics: want every name once, got {twice[0]!r} twice")
    return tuple(report_metric(name) for name in names)
