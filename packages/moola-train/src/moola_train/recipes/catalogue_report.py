"""What a journal's model is worth, beside the ceiling and ways of booking that need no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from moola_data.journal_policy import JournalReport
from moola_eval.comparison import compare
from moola_eval.entries import CREDIT, DEBIT, Lines, both_sides, entry_f1, entry_length_error, exact_entry
from moola_eval.entry_calibration import EntryTemperature, entry_calibration_error
from moola_eval.score import Score
from moola_train.recipes.catalogue_config import EvaluationSection
from moola_train.recipes.catalogue_decoding import Booked


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scores(_Part):
    """Scores of one way of booking; None where undefined."""

    exact: float | None
    """Share of entries whose lines are exactly right."""
    f1: float | None
    """Of lines as multisets, pooled."""
    precision: float | None
    recall: float | None
    f1_debit: float | None
    f1_credit: float | None
    both_sides: float | None
    """Share with a debit and a credit."""
    own_stop: float | None
    """Share that ended by a stop of its own."""
    length_error: float | None
    """Mean absolute difference in lines."""


class Against(_Part):
    """The model less another way of booking, on the same entries."""

    other: str
    metric: str
    delta: float | None
    low: float | None
    high: float | None
    level: float
    clusters: int
    """Groups of texts, which the interval resamples."""
    p_value: float | None


class Calibration(_Part):
    """Whether a chance of 0.9 is right nine times in ten; the temperature is fitted on inner entries."""

    temperature: float | None
    """None where all inner entries were right, or all wrong."""
    error_before: float | None
    error_after: float | None
    """Expected calibration error on the test entries."""
    fitted_on: int


class CatalogueReport(_Part):
    """All figures of a run; every one of them is of the test part."""

    schema_version: int = 1
    entries: dict[str, int]
    """Entries by part."""
    texts: dict[str, int]
    """Groups of texts by part."""
    seen: float
    """Share of test entries whose text, numbers and case aside, stands in the training part."""
    scores: dict[str, Scores]
    against: tuple[Against, ...]
    ceiling: Scores | None
    """What the best possible guesses reach, where the chances are known."""
    ceiling_expected: dict[str, float] | None
    """The ceiling in expectation: "exact" and "f1"."""
    calibration: Calibration
    best_epoch: int | None
    best_inner: float | None
    reading: str
    """What happened to entries that did not fit."""


def scores_of(truth: Lines, found: Lines) -> Scores:
    """Measures proposals."""
    f1 = entry_f1(truth, found)
    debit, credit = (entry_f1(truth.of_side(s), found.of_side(s)).value for s in (DEBIT, CREDIT))
    stopped = math.nan if found.stopped is None else float(np.mean(found.stopped))
    return Scores(
        exact=known(exact_entry(truth, found).value),
        f1=known(f1.value),
        precision=known(f1["precision"]),
        recall=known(f1["recall"]),
        f1_debit=known(debit),
        f1_credit=known(credit),
        both_sides=known(both_sides(found).value),
        own_stop=known(stopped),
        length_error=known(entry_length_error(truth, found).value),
    )


def comparisons(
    truth: Lines,
    found: Lines,
    others: Mapping[str, Lines],
    *,
    groups: npt.NDArray[np.int64],
    settings: EvaluationSection,
) -> tuple[Against, ...]:
    """Compares a model's proposals with every other way, entries of a text resampled together."""
    told = []
    for name, other in others.items():
        for metric in (exact_entry, entry_f1):
            a, b = metric(truth, found), metric(truth, other)
            told.append(_against(name, a, b, groups=groups, settings=settings))
    return tuple(told)


def _against(
    name: str, a: Score, b: Score, *, groups: npt.NDArray[np.int64], settings: EvaluationSection
) -> Against:
    low = high = p_value = math.nan
    clusters = len(np.unique(groups))
    if clusters > 1:
        result = compare(
            a,
            b,
            groups=groups,
            seed=settings.seed,
            level=settings.level,
            resamples=settings.resamples,
            permutations=settings.permutations,
        )
        low, high, p_value = result.interval.low, result.interval.high, result.p_value
    return Against(
        other=name,
        metric="exact" if a.name == "exact_entry" else "f1",
        delta=known(a.value - b.value),
        low=known(low),
        high=known(high),
        level=settings.level,
        clusters=clusters,
        p_value=known(p_value),
    )


def calibration(
    inner: Booked,
    inner_exact: npt.NDArray[np.bool_],
    test: Booked,
    test_exact: npt.NDArray[np.bool_],
    *,
    ids: tuple[tuple[str, ...], tuple[str, ...]],
) -> Calibration:
    """Fits the temperature on inner entries and measures its worth on test entries.

    Args:
        inner: Proposals for inner entries.
        inner_exact: Which of them were exactly right.
        test: Proposals for test entries.
        test_exact: Likewise.
        ids: Of inner and of test entries.
    """
    before = entry_calibration_error(test.log_probability, test_exact).value
    if inner_exact.all() or not inner_exact.any():
        return Calibration(
            temperature=None, error_before=known(before), error_after=None, fitted_on=len(inner_exact)
        )
    fitted = EntryTemperature.fit(inner.log_probability, inner_exact, entries=ids[0])
    chances = fitted.probability(test.log_probability, entries=ids[1])
    after = entry_calibration_error(np.log(np.maximum(chances, 1e-300)), test_exact).value
    return Calibration(
        temperature=fitted.temperature,
        error_before=known(before),
        error_after=known(after),
        fitted_on=len(inner_exact),
    )


def exactly(truth: Lines, found: Lines) -> npt.NDArray[np.bool_]:
    """Tells which entries are exactly right, (n,) bool."""
    return np.asarray(exact_entry(truth, found).sums[:, 0] > 0)


def reading(report: JournalReport | None) -> str:
    """Says what happened to entries that did not fit."""
    return "given as objects" if report is None else str(report)


def known(value: float) -> float | None:
    """Returns None for what is undefined."""
    return float(value) if math.isfinite(value) else None


def report_page(report: CatalogueReport) -> str:
    """Writes the report as Markdown."""
    rows = dict(report.scores)
    if report.ceiling is not None:
        rows["ceiling (guesses of one who knows the chances)"] = report.ceiling
    parts = ", ".join(f"{count} {part}" for part, count in report.entries.items())
    lines = [
        "# Journal",
        "",
        f"Entries: {parts}; {report.seen:.1%} of the test entries have a text that training has. Reading: "
        f"{report.reading}.",
        "",
        *tables(rows, report.against),
    ]
    if report.ceiling_expected is not None:
        lines += ["", f"Ceiling in expectation: {_pairs(report.ceiling_expected)}."]
    c = report.calibration
    lines += [
        "",
        f"Calibration error {_cell(c.error_before)} as the model says, {_cell(c.error_after)} with "
        f"temperature {_cell(c.temperature)}, fitted on {c.fitted_on} inner entries.",
        "",
        f"Epoch {report.best_epoch} was best on inner entries ({_cell(report.best_inner)}).",
    ]
    return "\n".join(lines) + "\n"


def tables(scores: Mapping[str, Scores], against: Sequence[Against]) -> list[str]:
    """Writes scores and differences as Markdown tables."""
    names = list(Scores.model_fields)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for name, found in scores.items():
        lines.append(f"| {name} | " + " | ".join(_cell(getattr(found, n)) for n in names) + " |")
    lines += ["", "| model less | metric | difference | interval | texts | p |", "|---|---|---|---|---|---|"]
    for a in against:
        between = f"{_cell(a.low)} to {_cell(a.high)} ({a.level:.0%})"
        row = (a.other, a.metric, _cell(a.delta), between, str(a.clusters), _cell(a.p_value))
        lines.append("| " + " | ".join(row) + " |")
    return lines


def _cell(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _pairs(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())
