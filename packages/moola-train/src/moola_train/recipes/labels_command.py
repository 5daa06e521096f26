"""The commands ``moola labels next | doubt | compare``: what to label, and which labels to look at again."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from cyclopts import App, Parameter

from moola_data.bars import read_bars
from moola_data.card import dataset_card
from moola_data.schema import Bars, Spans
from moola_data.spans_file import read_annotators, read_spans, type_names, write_spans
from moola_train.recipes.curve_points import curve_points
from moola_train.recipes.detector import Detector
from moola_train.recipes.flags import Config, Json, Settings
from moola_train.recipes.label_disagreement import PLACES, disagreement, looked_at
from moola_train.recipes.label_queue import next_windows
from moola_train.recipes.label_ranking import Work
from moola_train.recipes.label_review import doubtful_labels
from moola_train.recipes.label_tables import in_times, whole_windows
from moola_train.recipes.label_tasks import write_window_tasks
from moola_train.recipes.learning_curve import Worth, worth_of_more
from moola_train.recipes.predict_command import WindowBar
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_source import RunInputs, file_inputs, stored_run
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.spared_files import spare
from moola_train.recipes.table_file import ENDINGS, write_table
from moola_train.recipes.telling import answer, tell

SHOWN = 10
"""Rows that are printed; the files hold all."""
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of the run's labels, for the curve."""
labels = App(name="labels", help="Says what to label next, and which labels look wrong.")
Out = Annotated[Path, Parameter(help="Folder to write to: new or empty.")]


@labels.command(name="next")
def next_(
    run: Path,
    /,
    *,
    bars: Path,
    out: Out,
    count: int = 50,
    labelled: Path | None = None,
    window_seconds: float = 20.0,
    span_seconds: float = 10.0,
    curve: int = 2,
    passes: int = 8,
    seed: int = 0,
    gap: float | None = None,
    segment: tuple[str, ...] = (),
    device: str = "cpu",
    json: Json = False,
) -> int:
    """Rank the windows of a bar file by what labelling them is worth, an hour of work.

    OUT gets windows.csv and windows.parquet, spans.csv with the run's marks in them, and tasks/ for Label
    Studio, the best window first, with the marks to be corrected.

    Example: moola labels next runs/0001 --bars new.csv --count 50 --out todo

    Args:
        run: Folder of a finished run.
        bars: CSV or Parquet, as for train.
        out: Folder.
        count: Windows that are wanted; they share no bar.
        labelled: Spans file of these bars: in each symbol all from the first span to the last is labelled.
        window_seconds: Work to look at a window.
        span_seconds: Work a span.
        curve: Trainings for each of four shares of the run's labels, from which is told what `count` windows
            are worth; 0 leaves that out.
        passes: How often the network is asked with dropout, for what it contradicts itself in.
        seed: Of all draws.
        gap: A longer time than so many minutes from one bar to the next is a barrier.
        segment: Columns, such as session or contract, whose changes are barriers.
        device: Where to run the network.
        json: Tell the result as JSON.
    """
    if curve < 0:
        raise ValueError(f"curve: want 0 or more trainings a share, got {curve}")
    if gap is not None and not 0 < gap < 1e9:
        raise ValueError(f"gap: want minutes above 0, got {gap}")
    folder = _empty(out)
    detector = Detector.load(run, device=device)
    # Said before the work: a run whose data are gone has no curve.
    stored = stored_run(run) if curve else None
    checked = read_bars(
        bars,
        gap=None if gap is None else datetime.timedelta(minutes=gap),
        segment_column=list(segment) or None,
    )
    known = None
    if labelled is not None:
        types = detector.decision.type_names
        known = looked_at(read_spans(labelled, checked, types=types, annotator="*"), checked)
    trained = None if stored is None else stored.inputs.source.bars_fingerprint
    if known is None and dataset_card(checked, []).fingerprint == trained:
        tell("these are the bars of the run's training; --labelled SPANS leaves out what has labels")
    with WindowBar() as told:
        queue = next_windows(
            detector,
            checked,
            count=count,
            work=Work(window_seconds, span_seconds),
            known=known,
            passes=passes,
            seed=seed,
            told=told,
        )
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ENDINGS:
        write_table(folder / f"windows{ending}", queue.table)
    write_spans(folder / "spans.csv", queue.spans, checked, times="time")
    notes = queue.table[["value", "spans", "hours"]].round(4).to_dict(orient="records")
    write_window_tasks(
        folder / "tasks",
        checked,
        queue.first,
        queue.last,
        spans=queue.spans,
        kind="predictions",
        score=queue.score,
        notes=[{str(name): value for name, value in note.items()} for note in notes],
    )
    hours = float(queue.table["hours"].sum())
    words = [
        queue.table.head(SHOWN)[["rank", "symbol", "start", "value", "spans", "hours", "left"]]
        .round(dict.fromkeys(("value", "spans", "hours", "left"), 3))
        .to_string(index=False),
        "value: of a usual window of this file it is 2; left: the share that windows above do not tell too",
        f"{len(queue.table)} of {queue.candidates} windows, about {_work(hours)} of work: {folder}",
    ]
    result: dict[str, object] = {
        "out": str(folder),
        "windows": len(queue.table),
        "candidates": queue.candidates,
        "hours": hours,
    }
    if stored is not None:
        worth = _worth(stored.inputs, stored.config, more=len(queue.table), repeats=curve, seed=seed)
        words.append(
            f"{len(queue.table)} windows more, taken as the run's own were: span F1 {worth.why}. The "
            "interval holds chance of trainings and draws, not whether the curve goes on as it went."
        )
        result["worth"] = worth._asdict()
    answer("\n".join(words), result, json=json)
    return 0


@labels.command
def doubt(
    run: Path | None = None,
    /,
    *,
    out: Out,
    bars: Path | None = None,
    spans: Path | None = None,
    config: Config = None,
    settings: Settings = (),
    folds: int = 5,
    count: int = 50,
    samples: int = 128,
    seed: int = 0,
    json: Json = False,
) -> int:
    """Rank labels by how wrong they look to networks that were trained on others.

    OUT gets doubts.csv and doubts.parquet, the likeliest first, and tasks/ for Label Studio with the labels
    as they are. A doubt is no proof: where markets are noisy, right labels look wrong too.

    Examples: moola labels doubt runs/0001 --out doubts; moola labels doubt --bars b.csv --spans s.csv --out d

    Args:
        run: Folder of a run whose labels and configuration are taken; or give bars and spans.
        out: Folder.
        bars: As for train; every bar of them counts as looked at.
        spans: As for train.
        config: The trainings' configuration.
        settings: Keys of it.
        folds: Networks; each is trained on the labels that are not its fold's.
        count: Most tasks.
        samples: Sets of spans drawn for each window.
        seed: Of the draws.
        json: Tell the result as JSON.
    """
    folder = _empty(out)
    if count < 1:
        raise ValueError(f"count: want 1 or more tasks, got {count}")
    if run is not None:
        if bars is not None or spans is not None or config is not None or settings:
            raise ValueError("run: want a run or bars, spans and config, got both")
        inputs, chosen = stored_run(run)
    elif bars is None or spans is None:
        raise ValueError(f"spans: want a run, or bars and spans, got bars {bars} and spans {spans}")
    else:
        chosen = read_run_settings(config, settings)
        inputs = file_inputs(bars, spans, types=chosen.data.types)
    table = doubtful_labels(
        inputs.bars, inputs.spans, chosen, folds=folds, samples=samples, seed=seed, told=_folds_told
    )
    folder.mkdir(parents=True, exist_ok=True)
    columns = ("start", "end", "better_start", "better_end", "window")
    shown = in_times(table, inputs.bars, columns=columns).rename(columns={"window": "window_start"})
    for ending in ENDINGS:
        write_table(folder / f"doubts{ending}", shown)
    tasks = _doubt_tasks(folder / "tasks", table, inputs, length=chosen.data.length, count=count)
    some = table["odds"] > 1
    words = [
        shown.head(SHOWN).round({"odds": 1}).to_string(index=False, na_rep=""),
        f"{len(table)} doubts, {int(some.sum())} of them with odds above 1; {tasks} tasks: {folder}",
        "Odds are those of a wrong label against a right one where both are as frequent: times 1/20 where "
        "one label in twenty is wrong.",
    ]
    kinds = {str(kind): int(n) for kind, n in table[some]["kind"].value_counts().items()}
    answer("\n".join(words), {"out": str(folder), "doubts": len(table), "above_1": kinds}, json=json)
    return 0


@labels.command
def compare(
    first: Path,
    second: Path | None = None,
    /,
    *,
    bars: Path,
    out: Path,
    json: Json = False,
) -> int:
    """List where two people marked the same bars differently, the greatest difference first.

    Compared are the bars that both looked at: in each symbol from the later first span to the earlier last.
    Types may have any names: a misspelt one is a difference.

    Examples: moola labels compare ann.csv bob.csv --bars bars.csv --out differences.csv;
    moola labels compare both.csv --bars bars.csv --out differences.csv

    Args:
        first: Spans file of one person, or of both, told apart by the column annotator.
        second: Spans file of the other.
        bars: As for train.
        out: CSV or Parquet to write.
        json: Tell the result as JSON.
    """
    if out.suffix not in ENDINGS or not out.parent.is_dir():
        raise ValueError(f"out: want a .csv or .parquet file in an existing folder, got {out}")
    spare("out", out, others=[bars, first, *([] if second is None else [second])])
    checked = read_bars(bars)
    one, two = _two(first, second, checked)
    found = disagreement(one, two, checked)
    write_table(out, in_times(found.places, checked, columns=PLACES))
    said = found.agreement
    counts = found.places["kind"].value_counts()
    words = [
        f"{said.first or 'first'}: {said.first_spans} spans, {said.second or 'second'}: {said.second_spans}, "
        f"on {said.bars} bars that both looked at",
        f"span F1 {_number(said.span_f1)} at IoU {said.iou:g}, bar F1 {_number(said.bar_f1)}, "
        f"kappa {_number(said.kappa)}",
        f"{len(found.places)} differences: "
        + (", ".join(f"{n} {kind}" for kind, n in counts.items()) or "none"),
        f"table: {out}",
    ]
    result = {"out": str(out), "differences": len(found.places), "agreement": said.model_dump(mode="json")}
    answer("\n".join(words), result, json=json)
    return 0


def _worth(inputs: RunInputs, config: RunConfig, *, more: int, repeats: int, seed: int) -> Worth:
    points = curve_points(
        inputs.bars,
        inputs.spans,
        config,
        shares=SHARES,
        repeats=repeats,
        seed=seed,
        told=lambda done, all_: tell(f"curve: training {done} of {all_}"),
    )
    windows, score = (np.array(column) for column in ([p.windows for p in points], [p.score for p in points]))
    return worth_of_more(windows, score, have=float(windows.max()), more=float(more), seed=seed)


def _doubt_tasks(folder: Path, table: pd.DataFrame, inputs: RunInputs, *, length: int, count: int) -> int:
    """One task a window, the one with the likeliest doubt first; the labels whole, as they are."""
    first = table["window"].drop_duplicates()
    which, low, high = whole_windows(first.to_numpy(np.int64), inputs.spans, inputs.bars, length=length)
    worst = table.loc[first.index[which[:count]]]
    notes = [
        {"doubt": str(kind), "odds": round(float(odds), 3)}
        for kind, odds in zip(worst["kind"], worst["odds"], strict=True)
    ]
    return write_window_tasks(
        folder,
        inputs.bars,
        low[:count],
        high[:count],
        spans=inputs.spans,
        kind="annotations",
        notes=notes,
    )


def _work(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{max(round(60 * hours), 1)} minutes"


def _two(first: Path, second: Path | None, bars: Bars) -> tuple[Spans, Spans]:
    types = type_names(first, *([] if second is None else [second]))
    if second is not None:
        one, two = (read_spans(file, bars, types=types) for file in (first, second))
        named = one.annotator != two.annotator
        return (one, two) if named else _called(one, two, first, second)
    everybody = read_annotators(first, bars, types=types)
    if len(everybody) != 2:
        raise ValueError(f"first: want the spans of two annotators in {first}, got {list(everybody)}")
    one, two = everybody.values()
    return one, two


def _called(one: Spans, two: Spans, first: Path, second: Path) -> tuple[Spans, Spans]:
    """Files that name nobody, or the same person, are told apart by their own names."""
    return (
        one.model_copy(update={"annotator": first.name}),
        two.model_copy(update={"annotator": second.name}),
    )


def _empty(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"out: want a new or empty folder, got {folder}")
    return folder


def _folds_told(done: int, folds: int) -> None:
    tell(f"fold {done} of {folds} is judged")


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
