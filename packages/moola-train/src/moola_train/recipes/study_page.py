"""The page of a study: a table of means over seeds, the claims with their verdicts, and the tidy rows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

from moola_train.recipes.study import Pick, Study
from moola_train.recipes.study_verdict import EXPLAINED, Trials, Verdict, judge, mean_of
from moola_train.schema import SweepRow


def trials_of(study: Study, rows: Sequence[SweepRow], *, quick: bool) -> Trials:
    """Names the results of a sweep by variant and seed; failed trials are left out, and told by `page`."""
    found: dict[str, dict[int, dict[str, float]]] = {v.name: {} for v in study.chosen(quick=quick)}
    for (variant, seed, _), row in zip(study.jobs(quick=quick), rows, strict=True):
        if row.result is not None:
            found[variant][seed] = {
                name: math.nan if value is None else float(value)
                for name, value in row.result.items()
                if value is None or isinstance(value, int | float)
            }
    return found | {pick.name: _picked(pick, found) for pick in study.pick if {*pick.among} <= found.keys()}


def _picked(pick: Pick, found: Trials) -> dict[int, dict[str, float]]:
    """Takes for every seed that all have the variant with the best inner number; the first of equals."""
    seeds = set.intersection(*(set(found[name]) for name in pick.among))
    sign = 1 if pick.want == "highest" else -1
    best = {
        seed: max(pick.among, key=lambda name: sign * found[name][seed][pick.by]) for seed in sorted(seeds)
    }
    return {seed: dict(found[name][seed]) for seed, name in best.items()}


def tidy(study: Study, rows: Sequence[SweepRow], *, quick: bool) -> str:
    """Writes a CSV line a run: study, variant, seed, status, and every number by name."""
    names = sorted({name for row in rows for name in row.result or {}})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["study", "variant", "seed", "status", *names])
    for (variant, seed, _), row in zip(study.jobs(quick=quick), rows, strict=True):
        result = row.result or {}
        cells = [_cell(result.get(name)) for name in names]
        writer.writerow([study.name, variant, seed, row.status, *cells])
    return text.getvalue()


def page(study: Study, rows: Sequence[SweepRow], *, quick: bool) -> str:
    """Writes the Markdown page."""
    trials = trials_of(study, rows, quick=quick)
    seeds = study.quick.seeds if quick else study.seeds
    lines = [
        f"# {study.title}",
        "",
        study.question.strip(),
        "",
        f"{len(trials)} variants, {len(seeds)} seed{'s' if len(seeds) > 1 else ''} each; a seed draws "
        + (
            "whatever is drawn"
            if study.function == "argument_trial"
            else "the data, the network and the batches"
        )
        + ". Means over seeds with Student's 95 % interval"
        + (
            "."
            if study.function == "argument_trial"
            else "; every seed is scored on fresh data that no choice has seen."
        )
        + (" **Quick look: smaller, and no verdict.**" if quick else ""),
        "",
        *(table(trials, study.columns) if study.columns else everything(trials)),
        "",
    ]
    failed = [(v, s, row) for (v, s, _), row in zip(study.jobs(quick=quick), rows, strict=True) if row.error]
    for variant, seed, row in failed:
        lines.append(f"* failed: {variant}, seed {seed}: {str(row.error).splitlines()[0]}")
    if study.claim and not quick:
        lines += ["", "## The claims", ""]
        for claim in study.claim:
            lines += _claim(judge(claim, trials))
    return "\n".join(lines).rstrip() + "\n"


def table(trials: Trials, columns: Sequence[str]) -> list[str]:
    """Writes a Markdown table: a row a variant, a column a metric."""
    lines = ["| variant | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for variant, by_seed in trials.items():
        cells = [
            str(mean_of([numbers.get(column, math.nan) for numbers in by_seed.values()]))
            for column in columns
        ]
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return lines


def everything(trials: Trials) -> list[str]:
    """Writes a Markdown table of every number of every variant, where variants have none in common."""
    lines = ["| variant | number | mean |", "|---|---|---|"]
    for variant, by_seed in trials.items():
        names = dict.fromkeys(name for numbers in by_seed.values() for name in numbers)
        for name in names:
            mean = mean_of([numbers.get(name, math.nan) for numbers in by_seed.values()])
            lines.append(f"| {variant} | {name} | {mean} |")
    return lines


def _claim(verdict: Verdict) -> list[str]:
    claim = verdict.claim
    lines = [
        f"**{claim.id}** ({claim.where}): {claim.says.strip()}  ",
        f"**{verdict.word}**"
        + (f": {claim.reason.strip()}" if claim.reason and verdict.word in EXPLAINED else ""),
        "",
    ]
    lines += [f"* {found}" for found in verdict.found]
    return [*lines, f"* {verdict.seeds} seeds", ""]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def verdict_rows(study: Study, trials: Trials) -> list[Mapping[str, str | int]]:
    """Lists the verdicts of a study as plain rows, for the table of all claims."""
    return [
        {
            "study": study.name,
            "claim": v.claim.id,
            "where": v.claim.where,
            "says": " ".join(v.claim.says.split()),
            "verdict": v.word,
            "measured": "; ".join(str(found) for found in v.found),
            "seeds": v.seeds,
            "reason": " ".join(v.claim.reason.split()),
        }
        for v in (judge(claim, trials) for claim in study.claim)
    ]
