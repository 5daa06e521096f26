"""``moola report``: the page of a run, of two runs, or of many, made from their folders."""

from __future__ import annotations

from pathlib import Path

from moola_eval.markdown import number, span
from moola_train.recipes.comparison_page import compare_runs, comparison_page, comparison_text
from moola_train.recipes.finished_run import JudgedPart, finished_run
from moola_train.recipes.provenance import write_text
from moola_train.recipes.run_importance import measure_importance, write_importance
from moola_train.recipes.run_page import PAGE, run_page
from moola_train.recipes.run_source import CONFIG
from moola_train.recipes.sweep_page import PAGE as TABLE_PAGE
from moola_train.recipes.sweep_page import TABLE, read_table, sweep_page, table_of_runs
from moola_train.recipes.telling import tell
from moola_train.recipes.trial_ledger import known_runs


def report(
    first: Path,
    second: Path | None = None,
    /,
    *,
    importance: JudgedPart | None = None,
    out: Path | None = None,
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
    """
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise ValueError(f"out: want a file in an existing folder, got {out}")
    if importance is not None and (second is not None or not (first / CONFIG).is_file()):
        raise ValueError("importance: want one run, got several")
    if second is not None:
        return _two(first, second, out)
    if (first / CONFIG).is_file():
        return _one(first, importance, out)
    return _many(first, out)


def _one(folder: Path, importance: JudgedPart | None, out: Path | None) -> int:
    run = finished_run(folder)
    if importance is not None:
        found = measure_importance(run, importance)
        write_importance(folder, found)
        for one in found.importance.groups:
            print(f"{number(one.drop, 3)} ({span(one.interval)}) {one.group}")
    page = run_page(
        folder,
        inputs=run.inputs,
        config=run.config,
        windows=run.windows,
        report=run.report,
        data=run.decided("test"),
    )
    return _written(page, out or folder / PAGE)


def _two(first: Path, second: Path, out: Path | None) -> int:
    compared = compare_runs(finished_run(first), finished_run(second))
    print(comparison_text(compared))
    return _written(comparison_page(compared), out or first / f"against_{second.resolve().name}.html")


def _many(folder: Path, out: Path | None) -> int:
    table = folder / TABLE
    name = folder.resolve().name
    if table.is_file():
        page = sweep_page(
            read_table(table.read_text(encoding="utf-8"), name=str(table)), title=f"Sweep {name}"
        )
        return _written(page, out or folder / TABLE_PAGE)
    if not folder.is_dir():
        raise FileNotFoundError(f"first: want the folder of a run, a sweep or several runs, got {folder}")
    known = known_runs(folder)
    if known.unreadable:
        tell(f"{known.unreadable} runs in {folder} could not be read")
    if not known.runs:
        raise FileNotFoundError(f"first: want a folder with {CONFIG}, {TABLE} or finished runs, got {folder}")
    return _written(
        sweep_page(table_of_runs(known, folder), title=f"Runs in {name}"), out or folder / "runs.html"
    )


def _written(page: str, path: Path) -> int:
    write_text(path, page)
    print(f"page: {path}")
    return 0
