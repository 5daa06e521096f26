"""The page of two runs on the same test windows: what differs, by how much, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from moola_data.window_subset import part
from moola_eval.candles import band_colours, candle_window
from moola_eval.forecast import Forecast
from moola_eval.html_page import page_html
from moola_eval.judgement_charts import comparison_chart
from moola_eval.markdown import number, span
from moola_eval.markdown import table as markdown_table
from moola_eval.paired import Paired, compare_predictions
from moola_eval.schema import EvalInput
from moola_eval.section import Cell, Drawing, Grid, Section, Words
from moola_eval.svg import CLASSES
from moola_eval.targets import Targets
from moola_eval.timeline import differing_windows, view
from moola_train.recipes.differing_settings import differing
from moola_train.recipes.finished_run import FinishedRun
from moola_train.recipes.run_page import shortened, window_candles

LETTERS = 24
"""Of a run's name on the page; two runs of the same name get a number."""


class ComparedRuns(NamedTuple):
    """Two runs, judged on the same windows."""

    first: FinishedRun
    second: FinishedRun
    names: tuple[str, str]
    data: tuple[EvalInput, EvalInput]
    found: tuple[Paired, ...]


def compare_runs(first: FinishedRun, second: FinishedRun) -> ComparedRuns:
    """Judges two runs on their test windows, which have to be the same.

    Seed, resamples and blocks of the intervals are those of the first run's configuration.

    Raises:
        ValueError: They are of other bars, or their test windows or labels differ.
    """
    a, b = first.inputs.source, second.inputs.source
    if a.bars_fingerprint != b.bars_fingerprint:
        raise ValueError(
            f"second: want a run on the bars of {first.folder} ({a.bars_fingerprint[:12]}…), got "
            f"{second.folder} on others ({b.bars_fingerprint[:12]}…)"
        )
    data = first.decided("test"), second.decided("test")
    section = first.config.evaluation
    try:
        found = compare_predictions(*data, seed=section.seed, resamples=section.resamples)
    except ValueError as error:
        raise ValueError(
            f"second: want a run with the test windows of {first.folder}, got {second.folder}: {error}"
        ) from error
    return ComparedRuns(first, second, _names(first, second), data, found)


def comparison_page(compared: ComparedRuns) -> str:
    """Writes the page."""
    names, truth = compared.names, compared.data[0].truth
    lead = [
        *compared.first.inputs.source.notes,
        f"{names[0]} against {names[1]} on the same {len(truth.starts)} test windows of {truth.length} bars "
        f"in {len(set(truth.group.tolist()))} blocks of time. Differences are {names[0]} minus {names[1]}; "
        "their intervals draw blocks, the same for both, and p comes from exchanging the two within blocks. "
        "They hold for these two trainings: another seed of either may turn them.",
    ]
    sections = [_verdict(compared), _settings(compared), _windows(compared)]
    return page_html(sections, title=f"{names[0]} against {names[1]}", lead=lead)


def comparison_text(compared: ComparedRuns) -> str:
    """Writes the metrics as a Markdown table for the terminal."""
    names = compared.names
    rows = [[_plain(cell) for cell in row] for row in _rows(compared)]
    return markdown_table(["metric", *names, "difference", "interval", "p", "p, adjusted", "better"], rows)


def _verdict(compared: ComparedRuns) -> Section:
    names = compared.names
    decided = [one for one in compared.found if one.better is not None]
    by_name = {
        name: ", ".join(one.comparison.metric for one in decided if one.better == side) or "nothing"
        for side, name in zip("ab", names, strict=True)
    }
    words = "; ".join(f"{name} is better by {what}" for name, what in by_name.items())
    return Section(
        name="Differences",
        parts=(
            Words(
                text=f"By the intervals, {words}. Several metrics are looked at: see the adjusted p (Holm)."
            ),
            Drawing(
                name="Metric by metric",
                words="each difference over half the width of its interval; an interval that holds 0 is grey",
                svg=comparison_chart(compared.found, names=names),
                legend=(
                    ("pred", f"{names[0]} better"),
                    ("one", f"{names[1]} better"),
                    ("chance", "undecided"),
                ),
                wide=True,
            ),
            Grid(
                head=("metric", *names, "difference", "interval", "p", "p, adjusted", "better"),
                rows=tuple(_rows(compared)),
            ),
            Words(
                text="Rankings (AUROC, average precision) are no sums over windows and are left out.",
                tone="soft",
            ),
        ),
    )


def _rows(compared: ComparedRuns) -> list[tuple[str | Cell, ...]]:
    names = compared.names
    rows: list[tuple[str | Cell, ...]] = []
    for one in compared.found:
        c = one.comparison
        better = {"a": names[0], "b": names[1], None: "undecided"}[one.better]
        rows.append(
            (
                c.metric,
                number(c.a),
                number(c.b),
                number(c.delta, 3),
                span(c.interval),
                number(c.p_value, 2),
                number(one.p_adjusted, 2),
                better if one.better is None else Cell(text=better, tone="met"),
            )
        )
    return rows


def _settings(compared: ComparedRuns) -> Section:
    both = [run.config.model_dump(mode="json") for run in (compared.first, compared.second)]
    rows = tuple((name, *map(shortened, values)) for name, values in differing(both).items())
    parts: list[Words | Grid] = [Words(text="Both have the same settings.")]
    if rows:
        parts = [Grid(head=("setting", *compared.names), rows=rows, sentences=(1, 2))]
    return Section(name="What differs between them", parts=tuple(parts))


def _windows(compared: ComparedRuns) -> Section:
    data, names = compared.data, compared.names
    targets = Targets.of(data[0].truth)
    a, b = (Forecast.of(one.prediction) for one in data)
    candles = window_candles(compared.first.inputs.bars, part(compared.first.windows, "test"))
    bands = {"true": targets.spans, names[0]: a.spans, names[1]: b.spans}
    colours = band_colours(bands)
    legend = tuple((css, name) for name, css in colours.items() if css in CLASSES)
    drawings = []
    for chosen in differing_windows(targets, a, b):
        ahead = names[0] if chosen.rank == "a" else names[1]
        w = chosen.window
        svg = candle_window(
            candles,
            bands,
            window=w,
            view=view(targets.spans, a.spans, window=w),
            probability={name: one.prediction.probability[w] for name, one in zip(names, data, strict=True)},
        )
        words = f"bar F1 {chosen.f1:+.3f}; {candles.words[w]}"
        drawings.append(Drawing(name=f"{ahead} ahead, window {w}", words=words, svg=svg, legend=legend))
    parts: Sequence[Drawing | Words] = drawings or [Words(text="They mark all windows equally well.")]
    return Section(name="Windows in which one is ahead the most", parts=tuple(parts))


def _names(first: FinishedRun, second: FinishedRun) -> tuple[str, str]:
    one, other = (run.folder.resolve().name[:LETTERS] or "run" for run in (first, second))
    reserved = {"true", "predicted"}
    if one == other or {one, other} & reserved:
        return f"1 {one}", f"2 {other}"
    return one, other


def _plain(cell: str | Cell) -> str:
    return cell if isinstance(cell, str) else cell.text
