"""The whole report: every metric with its counts, interval, chance levels, ceiling and skill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from moola_eval._arguments import FloatArray, IntArray
from moola_eval.anatomy import anatomy
from moola_eval.baseline import Baseline
from moola_eval.bootstrap import FEW, interval_of, numbered, resampled
from moola_eval.fingerprint import fingerprint
from moola_eval.forecast import Forecast
from moola_eval.gates import judge
from moola_eval.headline import UNSKILLED, headline_scores
from moola_eval.nulls import MEANING, null_forecasts, null_scores
from moola_eval.ranking import Ranking
from moola_eval.registry import report_metrics
from moola_eval.schema import (
    DataSummary,
    EvalInput,
    MetricReport,
    Report,
    Threshold,
    Truth,
)
from moola_eval.score import Metric, Score, ratio
from moola_eval.targets import Targets

LONGEST_WALK = 500_000_000
"""Items times resamples beyond which a ranking gets no interval: it would take minutes."""


class _Sampling(NamedTuple):
    seed: int
    resamples: int
    level: float


def evaluate(
    data: EvalInput,
    *,
    seed: int,
    train_truth: Truth | None = None,
    baselines: Mapping[str, Baseline] | None = None,
    ceiling: Mapping[str, float] | None = None,
    threshold: Threshold | None = None,
    bar_threshold: Threshold | None = None,
    metrics: Sequence[str] = (),
    resamples: int = 2000,
    level: float = 0.95,
) -> Report:
    """Evaluates predictions against the truth of the same windows.

    Args:
        data: Predictions and truth. The predicted spans are the model's decision.
        seed: Seed of resampling and of the random chance levels.
        train_truth: Labels of the training windows, on which the prior, the base rate and lengths are fitted.
        baselines: Simple rules by name.
        ceiling: Best reachable value by metric, where it is known.
        threshold: What the spans were decided with: provenance only.
        bar_threshold: Decides the bars; without it the bars inside the predicted spans are the decided ones.
        metrics: Names of metrics that installed packages offer, reported too; see `moola_eval.registry`.
        resamples: Resamples of an interval; 0 leaves intervals out.
        level: Coverage of the intervals.

    Returns:
        The report.

    Raises:
        ValueError: A baseline's or the training windows are the scored ones, an unknown metric has a ceiling,
            probabilities lie outside [0, 1], spans lie outside their window, there are fewer than two groups
            and `resamples` is not 0, or nobody offers one of `metrics`.
        TypeError: What somebody offers as a metric is none.
    """
    truth, rules, more = data.truth, baselines or {}, report_metrics(metrics)
    targets, scored = Targets.of(truth), fingerprint(truth)
    forecast = Forecast.of(data.prediction, bar_threshold=bar_threshold)
    _other_windows(scored, train_truth, rules)
    nulls = {
        name: null_scores(draws, lambda f: headline_scores(f, targets, more))
        for name, draws in null_forecasts(forecast, train=train_truth, seed=seed).items()
    }
    for name, rule in rules.items():
        nulls[name] = headline_scores(rule.forecast(targets.mask.shape), targets, more)
    scores = headline_scores(forecast, targets, more)
    known = ceiling or {}
    unknown = sorted(known.keys() - scores.keys())
    if unknown:
        raise ValueError(f"ceiling: want metrics of {sorted(scores)}, got {unknown[0]!r}")
    reported = tuple(
        _metric(
            score,
            {null: found[name] for null, found in nulls.items() if name in found},
            known.get(name),
            truth.group,
            _Sampling(seed, resamples, level),
        )
        for name, score in scores.items()
    )
    groups = len(np.unique(truth.group))
    parts = anatomy(targets.spans, forecast.spans)
    in_sample = any(t is not None and t.fingerprint == scored for t in (threshold, bar_threshold))
    return Report(
        data=DataSummary(
            n_windows=len(truth.starts),
            length=truth.length,
            n_groups=groups,
            n_true=len(targets.spans),
            n_pred=len(forecast.spans),
            n_empty=int((~targets.has_span).sum()),
            positive_rate=float(ratio(np.float64(targets.mask.sum()), np.float64(targets.mask.size))),
            fingerprint=scored,
        ),
        threshold=threshold,
        bar_threshold=bar_threshold,
        in_sample=in_sample,
        seed=seed,
        resamples=resamples,
        level=level,
        nulls={name: rules[name].meaning if name in rules else MEANING[name] for name in nulls},
        metrics=reported,
        true_anatomy=parts.true_counts,
        pred_anatomy=parts.pred_counts,
        criteria=judge(reported),
        notes=(
            *_notes(groups, resamples, in_sample, known, train_truth, rules, threshold),
            *(f"{m.name}: no interval, too many bars." for m in reported if resamples and not m.interval),
        ),
    )


def _metric(
    score: Metric, nulls: Mapping[str, Metric], ceiling: float | None, group: IntArray, sampling: _Sampling
) -> MetricReport:
    sign = 1.0 if score.higher_is_better else -1.0
    values = {name: null.value for name, null in nulls.items()}
    defined = [name for name, value in values.items() if not np.isnan(value)]
    strongest = max(defined, key=lambda name: sign * values[name]) if defined else None
    top = score.best if ceiling is None else ceiling
    chance = None if strongest is None or score.name in UNSKILLED else nulls[strongest]
    found = skill_interval = None
    gain = np.nan
    if chance is not None:
        null = np.float64(chance.value)
        gain = float(skill(np.float64(score.value), null, top, higher_is_better=score.higher_is_better))
    if sampling.resamples and not _too_long(score, sampling.resamples):
        index, groups = numbered(group, score.n_sequences)
        # A chance level in a ranking is an average of draws that hardly varies: it is held fixed.
        paired = [chance] if isinstance(chance, Score) else []
        drawn = resampled([score, *paired], index, groups, seed=sampling.seed, resamples=sampling.resamples)
        found = interval_of(drawn[0], score.value, clusters=groups, level=sampling.level)
        if chance is not None and not np.isnan(gain):  # no verdict on what is undefined
            nulls_drawn = drawn[1] if paired else np.float64(chance.value)
            gained = skill(drawn[0], nulls_drawn, top, higher_is_better=score.higher_is_better)
            skill_interval = interval_of(gained, np.nan, clusters=groups, level=sampling.level)
    return MetricReport(
        name=score.name,
        definition=score.definition,
        value=score.value,
        parts={name: score[name] for name in score.parts} if isinstance(score, Score) else {},
        counts=score.counts,
        higher_is_better=score.higher_is_better,
        interval=found,
        nulls=values,
        strongest_null=strongest,
        ceiling=top,
        ceiling_known=ceiling is not None,
        skill=gain,
        skill_interval=skill_interval,
    )


def _too_long(score: Metric, resamples: int) -> bool:
    return isinstance(score, Ranking) and len(score.positive) * resamples > LONGEST_WALK


def skill(
    value: FloatArray | np.float64, null: FloatArray | np.float64, ceiling: float, *, higher_is_better: bool
) -> FloatArray:
    """Returns (value - null) / (ceiling - null); NaN where chance is at the ceiling or beyond it.

    A chance level of few windows may lie beyond a ceiling that is an expectation. The ratio would then
    praise what is worse than chance.
    """
    room = (ceiling - null) * (1.0 if higher_is_better else -1.0)
    return np.where(room > 0, ratio(np.asarray(value - null), np.asarray(ceiling - null)), np.nan)


def _other_windows(scored: str, train: Truth | None, rules: Mapping[str, Baseline]) -> None:
    """Chance levels fitted on the scored windows would be no chance levels."""
    if train is not None and fingerprint(train) == scored:
        raise ValueError("train_truth: want other windows than those that are scored, got the same")
    for name, rule in rules.items():
        if name in MEANING:
            raise ValueError(f"baselines: want a name other than {sorted(MEANING)}, got {name!r}")
        for chosen in (rule.threshold, rule.bar_threshold):
            if chosen.fingerprint == scored:
                raise ValueError(
                    f"baselines: want {name!r} with a threshold from other windows, got the scored ones"
                )


def _notes(
    groups: int,
    resamples: int,
    in_sample: bool,
    ceiling: Mapping[str, float],
    train: Truth | None,
    rules: Mapping[str, Baseline],
    threshold: Threshold | None,
) -> tuple[str, ...]:
    notes = []
    if in_sample:
        notes.append("IN-SAMPLE: a threshold was chosen on these very windows; the scores are too good.")
    elif threshold is None:
        notes.append("Where the threshold of the spans comes from was not said.")
    if resamples and groups < FEW:
        notes.append(f"Intervals rest on {groups} blocks only (fewer than {FEW}) and are likely too narrow.")
    if not resamples:
        notes.append("Intervals were not asked for.")
    if not ceiling:
        notes.append("The ceiling is unknown: skill is measured against a perfect prediction.")
    if train is None:
        notes.append(
            "No training labels were given: position prior, base rate and random lengths are missing."
        )
    if not rules:
        notes.append("No simple rule was given to compare with.")
    return tuple(notes)
