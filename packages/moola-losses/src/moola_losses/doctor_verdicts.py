"""The doctor's judgement: each fault has a number, a threshold and a sentence; and what to do about them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from moola_losses.doctor_report import DoctorReport, Fault, PairReport, Prescription, Verdict

LIMIT = 100.0
"""Prescribed weights lie between 1/LIMIT and LIMIT."""


def judge(
    report: DoctorReport,
    *,
    caps: Mapping[str, float | None],
    unseen: Mapping[str, tuple[int, int]],
) -> tuple[Verdict, ...]:
    """Convicts.

    Args:
        report: The numbers.
        caps: Slope cap of each loss that knows it.
        unseen: By task how many losses were not finite, of how many.

    Returns:
        Verdicts in the order in which faults should be put right; none if all is well.
    """
    found = [
        *_not_finite(unseen),
        *_dead(report),
        *_reduction(report, caps),
        *_slope_cap(report, caps),
        *_entropy_floor(report),
        *_divided(report),
        *_starved(report),
        *_at_constant(report),
        *_conflicts(report),
        *_harmed(report),
    ]
    order = get_args(Fault)
    return tuple(sorted(found, key=lambda verdict: order.index(verdict.fault)))


def prescribe(
    verdicts: Sequence[Verdict], report: DoctorReport, *, preferences: Mapping[str, float]
) -> Prescription:
    """Prescribes: first the losses, then static weights, and only then a balancer.

    The weights make the gradients at the shared place equally long (times the preferences), with geometric
    mean 1.
    """
    fixes = tuple(f"{v.task}: {_FIXES[v.fault]}" for v in verdicts if v.fault in _FIXES)
    faults = {v.fault for v in verdicts}
    weights: dict[str, float] = {}
    if faults & {"starved", "divided_by_value", "reduction"}:
        wanted = {
            task: preferences.get(task, 1.0) / found.gradient_norm
            for task, found in report.tasks.items()
            if found.gradient_norm > 0
        }
        middle = math.fsum(map(math.log, wanted.values())) / len(wanted)
        weights = {t: min(max(w / math.exp(middle), 1 / LIMIT), LIMIT) for t, w in wanted.items()}
    conflict = faults & {"conflict", "harmed"}
    moving = bool(weights) and report.drift > report.thresholds.ratio
    words = []
    if fixes:
        words.append("Put the losses right first and measure again.")
    if weights:
        words.append("Then weigh with these numbers, measured again after the fixes, and keep them.")
    if conflict:
        words.append(
            "If the conflict stays with balanced gradients, project them; nothing else needs a balancer."
        )
    elif moving:
        words.append(
            f"The norms' ratios changed {report.drift:.3g}fold meanwhile: let the weights follow them."
        )
    if not words:
        words.append(
            "At its constant a task needs inputs, time or capacity, not weights."
            if verdicts
            else "Leave it: nothing here calls for a balancer."
        )
    balancer = "upgrad" if conflict else "gradscale" if moving else None
    return Prescription(fixes=fixes, weights=weights, balancer=balancer, words=" ".join(words))


_FIXES: Mapping[str, str] = {
    "not_finite": "find the batch whose loss is not finite",
    "dead": "find where the graph is cut or the units are dead",
    "reduction": "divide by the number of elements instead of adding them up",
    "slope_cap": "use UnitHuber, whose slope is capped at 1 whatever its delta",
    "entropy_floor": "subtract the floor wherever the loss is divided by its value or reported",
    "divided_by_value": "do not divide a bounded slope by the value of the loss; balance gradients instead",
}


def _not_finite(unseen: Mapping[str, tuple[int, int]]) -> Iterator[Verdict]:
    for task, (bad, of) in unseen.items():
        if bad:
            yield Verdict(
                fault="not_finite",
                task=task,
                measured=bad,
                threshold=0,
                words=f"{bad} of {of} losses of {task} were nan or infinite.",
            )


def _dead(report: DoctorReport) -> Iterator[Verdict]:
    limit = report.thresholds.dead
    greatest = max((t.gradient_norm for t in report.tasks.values() if t.gradient_norm > 0), default=0.0)
    for task, found in report.tasks.items():
        share = found.gradient_norm / greatest if greatest else found.gradient_norm
        if share <= limit:
            words = f"{task} sends no gradient to the shared {report.place}: {share:.1e} of the greatest."
            yield Verdict(fault="dead", task=task, measured=share, threshold=limit, words=words)
        elif found.idle_head > 0.5 or found.head_norm == 0:
            words = f"{found.idle_head:.0%} of the parameter tensors of {task}'s head never got a gradient."
            yield Verdict(fault="dead", task=task, measured=found.idle_head, threshold=0.5, words=words)


def _reduction(report: DoctorReport, caps: Mapping[str, float | None]) -> Iterator[Verdict]:
    for task, found in report.tasks.items():
        cap = caps.get(task)
        # A softmax moves two units of mass, one up and one down.
        limit = report.thresholds.mass if cap is None else 2.1 * cap
        if found.slope_mass > limit:
            words = (
                f"The slopes of {task} by its outputs add up to {found.slope_mass:.3g}; a mean over elements "
                f"gives at most {limit:.3g}: it is a sum, or its target has a unit that is too small."
            )
            yield Verdict(
                fault="reduction", task=task, measured=found.slope_mass, threshold=limit, words=words
            )


def _slope_cap(report: DoctorReport, caps: Mapping[str, float | None]) -> Iterator[Verdict]:
    limit = report.thresholds.slope_cap
    for task, found in report.tasks.items():
        if found.slope_cap < limit and (
            caps.get(task) is not None or found.saturated >= report.thresholds.saturated
        ):
            words = (
                f"The loss of {task} never slopes more than {found.slope_cap:.3g}, a cross-entropy up to 1: "
                f"a handicap of {1 / found.slope_cap:.3g} built into the loss."
            )
            yield Verdict(
                fault="slope_cap", task=task, measured=found.slope_cap, threshold=limit, words=words
            )


def _entropy_floor(report: DoctorReport) -> Iterator[Verdict]:
    limit = report.thresholds.floor_share
    for task, found in report.tasks.items():
        share = 1 - found.reducible_share
        if found.floor > 0 and share > limit:
            words = (
                f"{share:.0%} of the loss of {task} is the entropy of its targets and cannot be learnt: "
                "1/loss weights starve it, and its share of the sum says nothing."
            )
            yield Verdict(fault="entropy_floor", task=task, measured=share, threshold=limit, words=words)


def _divided(report: DoctorReport) -> Iterator[Verdict]:
    limit = report.thresholds.ratio
    most = max((t.coefficient for t in report.tasks.values() if t.coefficient > 0), default=math.nan)
    starved = {verdict.task for verdict in _starved(report)}
    for task, found in report.tasks.items():
        handicap = most / found.coefficient if found.coefficient > 0 else math.nan
        bounded = found.saturated >= report.thresholds.saturated
        if task in starved and bounded and handicap > limit and found.loss > limit * found.slope_cap:
            words = (
                f"The loss of {task} is {found.loss:.3g} but its slope at most {found.slope_cap:.3g} "
                f"({found.saturated:.0%} of its outputs are on the straight part): its coefficient "
                f"{found.coefficient:.2g}, {handicap:,.0f} times below the greatest, divides a gradient that "
                "was never large. The mean over its outputs is not to blame: the weights which all outputs "
                "share receive the sum."
            )
            yield Verdict(
                fault="divided_by_value", task=task, measured=handicap, threshold=limit, words=words
            )


def _starved(report: DoctorReport) -> Iterator[Verdict]:
    limit = report.thresholds.ratio
    weighted = {t: r.coefficient * r.gradient_norm for t, r in report.tasks.items()}
    most = max(weighted, key=lambda task: weighted[task] if weighted[task] > 0 else -1.0)
    for task, found in report.tasks.items():
        solved = found.loss - found.floor < report.thresholds.solved * found.constant
        if weighted[task] > 0 and not solved and weighted[most] > limit * weighted[task]:
            ratio = weighted[most] / weighted[task]
            words = (
                f"At the shared {report.place} the gradient of {task} is {ratio:,.3g} times shorter than "
                f"that of {most}: {found.gradient_share:.2%} of all, with {found.loss_share:.0%} of the loss."
            )
            yield Verdict(
                fault="starved", task=task, other=most, measured=ratio, threshold=limit, words=words
            )


def _at_constant(report: DoctorReport) -> Iterator[Verdict]:
    limit = report.thresholds.at_constant
    for task, found in report.tasks.items():
        if report.last_step >= report.thresholds.settled and found.against_constant >= limit:
            words = (
                f"After {report.last_step} steps the loss of {task} is {found.against_constant:.2f} of what "
                "the best constant reaches: nothing was learnt from the inputs yet."
            )
            yield Verdict(
                fault="at_constant",
                task=task,
                measured=found.against_constant,
                threshold=limit,
                words=words,
            )


def _conflicts(report: DoctorReport) -> Iterator[Verdict]:
    rules = report.thresholds
    pull = dict.fromkeys(report.tasks, 1.0)
    for pair in report.pairs:
        for task in (pair.first, pair.second):
            pull[task] += 0.0 if math.isnan(pair.cosine) else pair.cosine
    for pair in report.pairs:
        left, task = min((pull[task], task) for task in (pair.first, pair.second))
        if _surely_below(pair, report) and pair.cosine < rules.cosine and left < rules.pull:
            words = (
                f"The gradients of {pair.first} and {pair.second} oppose each other: mean cosine "
                f"{pair.cosine:.2f} ± {pair.cosine_error:.2f} over {report.observations} observations. Made "
                f"equally long, all gradients together leave {task} {left:.0%} of its own pull."
            )
            yield Verdict(
                fault="conflict",
                task=pair.first,
                other=pair.second,
                measured=pair.cosine,
                threshold=rules.cosine,
                words=words,
            )


def _surely_below(pair: PairReport, report: DoctorReport) -> bool:
    rules = report.thresholds
    return report.observations >= rules.observations and pair.cosine < -rules.errors * pair.cosine_error


def _harmed(report: DoctorReport) -> Iterator[Verdict]:
    rules = report.thresholds
    for task, found in report.tasks.items():
        if report.observations >= rules.observations and found.update_cosine < rules.cosine:
            words = (
                f"The updates raise the loss of {task}: mean cosine {found.update_cosine:.2f} with the "
                f"direction that lowers it, {found.change:+.2g} a step to first order."
            )
            yield Verdict(
                fault="harmed", task=task, measured=found.update_cosine, threshold=rules.cosine, words=words
            )
