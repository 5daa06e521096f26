"""``moola report``: the page of a run, of two runs, or of many, made from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from moola_eval.markdown import number, span
from moola_train.recipes.comparison_page import compare_runs, comparison_page, comparison_text
from moola_train.recipes.decision import read_decision
from moola_train.recipes.finished_run import JudgedPart, finished_run
from moola_train.recipes.flags import Json
from moola_train.recipes.provenance import write_text
from moola_train.recipes.run_importance import measure_importance, read_importance, write_importance
from moola_train.recipes.run_page import PAGE, run_page
from moola_train.recipes.run_source import CONFIG
from moola_train.recipes.sweep_page import PAGE as TABLE_PAGE
from moola_train.recipes.sweep_page import TABLE, read_table, sweep_page, table_of_runs
from moola_train.recipes.telling import answer, tell
from moola_train.recipes.trial_ledger import known_runs


def report(
    first: Path,
    second: Path | None = None,
    /,
    *,
    importance: JudgedPart | None = None,
    out: Path | None = None,
    json: Json = False,
) -> int:
    """Make the page of a run again, compare two runs, or show a sweep or a folder of runs as one page.

    Nothing is trained. Two runs are compared on the same test windows, with paired intervals; other windows
    are refused.

    Examples: moola report runs/0001; moola report runs/0001 --importance inner;
    moola report runs/0001 runs/0002; moola report sweeps/first; moola report runs

    Args:
        first: Folder of a finished run, of a sweep, or of several runs.
        second: Folder of the run to compare with.
        importance: Measure what groups of features are worth on this part, by shuffling them between windows:
            inner to choose features by, test only to tell. It is kept in the run's importance.json.
        out: HTML file to write; report.html or against_SECOND.html in the run's folder, table.html in a
            sweep's, runs.html in a folder of runs where omitted.
        json: Tell the page's place, the comparison and the importance as JSON.
    """
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise ValueError(f"out: want a file in an existing folder, got {out}")
    if importance is not None and (second is not None or not (first / CONFIG).is_file()):
        got = first if second is None else f"{first} and {second}"
        raise ValueError(f"importance: want the folder of one run, got {got}")
    if second is not None:
        made = _two(first, second)
    elif (first / CONFIG).is_file():
        made = _one(first, importance)
    else:
        made = _many(first)
    path = out or made.path
    write_text(path, made.html)
    words = [*([made.words] if made.words else []), f"page: {path}"]
    answer("\n".join(words), {"page": str(path), **made.result}, json=json)
    return 0


class _Made(NamedTuple):
    """A page, where it belongs, and what is told of it."""

    html: str
    path: Path
    words: str
    result: dict[str, object]


def _one(folder: Path, importance: JudgedPart | None) -> _Made:
    run = finished_run(folder)
    words: list[str] = []
    if importance is not None:
        found = measure_importance(run, importance)
        write_importance(folder, found)
        words = [f"{number(g.drop, 3)} ({span(g.interval)}) {g.group}" for g in found.importance.groups]
    page = run_page(
        folder,
        inputs=run.inputs,
        config=run.config,
        windows=run.windows,
        report=run.report,
        data=run.decided("test"),
        marking=read_decision(folder).marking("both"),
    )
    kept = read_importance(folder)
    result = {} if kept is None else {"importance": kept.model_dump(mode="json")}
    return _Made(page, folder / PAGE, "\n".join(words), {"run": str(folder), **result})


def _two(first: Path, second: Path) -> _Made:
    compared = compare_runs(finished_run(first), finished_run(second))
    path = first / f"against_{second.resolve().name}.html"
    metrics = [{**one.model_dump(mode="json"), "better": one.better} for one in compared.found]
    result: dict[str, object] = {"first": str(first), "second": str(second), "metrics": metrics}
    return _Made(comparison_page(compared), path, comparison_text(compared), result)


def _many(folder: Path) -> _Made:
    table, name = folder / TABLE, folder.resolve().name
    if table.is_file():
        page = sweep_page(
            read_table(table.read_text(encoding="utf-8"), name=str(table)), title=f"Sweep {name}"
        )
        return _Made(page, folder / TABLE_PAGE, "", {"sweep": str(folder)})
    if not folder.is_dir():
        raise FileNotFoundError(f"first: want the folder of a run, a sweep or several runs, got {folder}")
    known = known_runs(folder)
    if known.unreadable:
        tell(f"{known.unreadable} runs in {folder} could not be read")
    if not known.runs:
        raise FileNotFoundError(f"first: want a folder with {CONFIG}, {TABLE} or finished runs, got {folder}")
    page = sweep_page(table_of_runs(known, folder), title=f"Runs in {name}")
    return _Made(page, folder / "runs.html", "", {"runs": [str(folder / run.name) for run in known.runs]})
