"""From measured steps to numbers by task and by pair of tasks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_losses.doctor_measure import Observation
from moola_losses.doctor_report import DoctorReport, PairReport, Prescription, TaskReport, Thresholds
from moola_losses.doctor_verdicts import judge, prescribe

Floats = npt.NDArray[np.float64]


def find(
    observations: Sequence[Observation],
    tasks: Sequence[str],
    *,
    place: Literal["parameters", "representation"],
    caps: Mapping[str, float | None],
    preferences: Mapping[str, float],
    thresholds: Thresholds,
) -> DoctorReport:
    """Makes the report.

    Args:
        observations: One or more measured steps (n of them), in order.
        tasks: Names.
        place: Where gradients were compared.
        caps: Slope cap of each loss that knows it.
        preferences: How much each task's gradient shall count; 1 where left out.
        thresholds: Beyond which numbers to convict.
    """
    gramians = np.array([o.gramian for o in observations])  # (n, T, T)
    coefficients = np.array([o.coefficients for o in observations])
    norms = np.sqrt(np.diagonal(gramians, axis1=1, axis2=2))  # (n, T)
    by_task = _tasks(observations, tasks, norms, coefficients, caps=caps)
    if place == "representation":
        gramians = np.where(np.eye(len(tasks), dtype=bool), gramians, np.nan)
    pairs = _pairs(tasks, gramians, by_task)
    weighted = {t: r.coefficient * r.gradient_norm for t, r in by_task.items()}
    live = [value for value in weighted.values() if value > 0]
    report = DoctorReport(
        place=place,
        observations=len(observations),
        first_step=observations[0].step,
        last_step=observations[-1].step,
        tasks=by_task,
        pairs=pairs,
        norm_ratio=max(live) / min(live) if live else math.nan,
        drift=_drift(norms * np.abs(coefficients)),
        condition=_condition(gramians * coefficients[:, :, None] * coefficients[:, None, :]),
        thresholds=thresholds,
        verdicts=(),
        prescription=Prescription(fixes=(), weights={}, balancer=None, words=""),
    )
    verdicts = judge(report, caps=caps, unseen=_unseen(observations, tasks))
    prescription = prescribe(verdicts, report, preferences=preferences)
    return report.model_copy(update={"verdicts": verdicts, "prescription": prescription})


def _tasks(
    observations: Sequence[Observation],
    tasks: Sequence[str],
    norms: Floats,
    coefficients: Floats,
    *,
    caps: Mapping[str, float | None],
) -> dict[str, TaskReport]:
    losses = np.array([o.losses for o in observations])
    floors = np.array([o.floors for o in observations])
    recent = slice(-max(1, min(3, len(observations))), None)
    constants = np.array([o.constants for o in observations])
    against = losses[recent] / np.where(constants > 0, constants, np.nan)[recent]
    loss, norm = _mean(losses), _geometric(norms)
    coefficient = _geometric(np.abs(coefficients))
    reducible = _mean(np.where(losses != 0, (losses - floors) / np.where(losses != 0, losses, 1), np.nan))
    value_share, norm_share = _share(np.abs(coefficient * loss)), _share(coefficient * norm)
    signal = _signal(norms, np.array([o.repeats for o in observations]))
    followed = [o for o in observations if o.changes]
    changes = np.array([o.changes for o in followed]).reshape(-1, len(tasks))
    updates = np.array([o.update for o in followed])[:, None]
    lengths = np.array([norms[i] for i, o in enumerate(observations) if o.changes]).reshape(-1, len(tasks))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.where(lengths > 0, -changes / (lengths * updates), np.nan)
    heads, idle = (np.array([getattr(o, name) for o in observations]) for name in ("heads", "idle"))
    found = {}
    for k, task in enumerate(tasks):
        seen = [o.outputs[task] for o in observations if task in o.outputs]
        steepest = [s.steepest * s.elements for s in seen if s.saturated >= 0.5]
        cap = caps.get(task)
        found[task] = TaskReport(
            loss=loss[k],
            loss_share=value_share[k],
            floor=_mean(np.where(np.isnan(losses), np.nan, floors))[k],
            reducible_share=reducible[k],
            constant=_mean(constants)[k],
            against_constant=_mean(against)[k],
            coefficient=coefficient[k],
            gradient_norm=norm[k],
            gradient_share=norm_share[k],
            head_norm=_mean(heads)[k],
            idle_head=_least(idle)[k],
            slope_cap=cap if cap is not None else (max(steepest) if steepest else math.nan),
            slope_mass=float(np.mean([s.mass for s in seen])) if seen else math.nan,
            saturated=_mean(np.array([[s.saturated] for s in seen]))[0] if seen else math.nan,
            signal_to_noise=signal[k],
            update_cosine=_mean(cosines)[k] if followed else math.nan,
            change=_mean(changes)[k] if followed else math.nan,
        )
    return found


def _pairs(
    tasks: Sequence[str], gramians: Floats, by_task: Mapping[str, TaskReport]
) -> tuple[PairReport, ...]:
    norms = np.sqrt(np.diagonal(gramians, axis1=1, axis2=2))
    pairs = []
    for i, j in itertools.combinations(range(len(tasks)), 2):
        length = norms[:, i] * norms[:, j]
        with np.errstate(invalid="ignore", divide="ignore"):
            cosines = np.where(length > 0, gramians[:, i, j] / length, np.nan)
        cosines = cosines[np.isfinite(cosines)]
        n = len(cosines)
        first, second = by_task[tasks[i]], by_task[tasks[j]]
        below = second.coefficient * second.gradient_norm
        pairs.append(
            PairReport(
                first=tasks[i],
                second=tasks[j],
                norm_ratio=first.coefficient * first.gradient_norm / below if below else math.nan,
                cosine=float(cosines.mean()) if n else math.nan,
                cosine_error=float(cosines.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan,
                opposed=float((cosines < 0).mean()) if n else math.nan,
            )
        )
    return tuple(pairs)


def _unseen(observations: Sequence[Observation], tasks: Sequence[str]) -> dict[str, tuple[int, int]]:
    return {task: (sum(task in o.not_finite for o in observations), len(observations)) for task in tasks}


def _signal(norms: Floats, repeats: Floats) -> Floats:
    """Squared length of the mean gradient over the variance around it.

    Two batches are independent, so the product of successive gradients has the squared mean as expectation,
    and what a squared norm has more is variance.
    """
    squares = norms**2
    power = _mean(np.where(np.isnan(repeats), np.nan, squares))
    mean = _mean(repeats)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(
            power > mean, np.maximum(mean, 0) / (power - mean), np.where(mean > 0, np.inf, np.nan)
        )


def _drift(norms: Floats) -> float:
    """Returns by how much the ratio of two tasks' norms changed most, halves of the window compared."""
    if len(norms) < 4:
        return math.nan
    early, late = _geometric(norms[: len(norms) // 2]), _geometric(norms[len(norms) // 2 :])
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.log(late) - np.log(early)
    change = change[np.isfinite(change)]
    return float(np.exp(change.max() - change.min())) if len(change) else math.nan


def _condition(gramians: Floats) -> float:
    values = []
    for gramian in gramians:
        kept = np.diagonal(gramian) > 0
        square = gramian[np.ix_(kept, kept)]
        if kept.sum() > 1 and np.isfinite(square).all():
            eigen = np.linalg.eigvalsh(square / np.trace(square))
            values.append(eigen[-1] / eigen[0] if eigen[0] > 0 else math.inf)
    return float(np.exp(np.mean(np.log(values)))) if values else math.nan


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, values, 0).sum(0) / np.maximum(count, 1), np.nan)


def _least(values: Floats) -> Floats:
    return np.where(np.isnan(values).all(0), np.nan, np.where(np.isnan(values), np.inf, values).min(0))


def _geometric(values: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.exp(_mean(np.log(values)))


def _share(values: Floats) -> Floats:
    whole = np.nansum(values)
    return values / whole if whole > 0 else np.full_like(values, np.nan)
