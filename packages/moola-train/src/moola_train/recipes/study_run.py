"""Runs a study as a sweep, and writes its page, its tidy rows and its picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from moola_train.recipes.provenance import write_text
from moola_train.recipes.study import FUNCTIONS, Study
from moola_train.recipes.study_mixed import MIXED
from moola_train.recipes.study_page import page, tidy, trials_of, verdict_rows
from moola_train.recipes.study_plot import picture
from moola_train.schema import SweepRow
from moola_train.sweep import sweep


class Finished(NamedTuple):
    """What a study left behind."""

    rows: tuple[SweepRow, ...]
    files: tuple[Path, ...]
    failed: int


def run_study(
    study: Study,
    *,
    work: Path,
    out: Path,
    quick: bool = False,
    workers: int = 2,
    announce: Callable[[SweepRow, int, int], None] | None = None,
) -> Finished:
    """Runs what is not done yet and writes the results anew.

    Args:
        study: The study.
        work: Folder of its sweep; called again with the same one, finished trials are not run again.
        out: Folder of ``NAME.md``, ``NAME.csv``, ``NAME.svg`` and ``NAME.claims.json``.
        quick: Smaller, one seed, no verdict.
        workers: Processes at a time, one thread each.
        announce: As in `moola_train.sweep.sweep`.

    Returns:
        The rows and the files.

    Raises:
        ValueError: A configuration of the study is not sound.
    """
    jobs = study.jobs(quick=quick)
    function = MIXED if study.mixed else FUNCTIONS[study.function]
    rows = sweep(function, [job for _, _, job in jobs], work, workers=workers, announce=announce)
    out.mkdir(parents=True, exist_ok=True)
    trials = trials_of(study, rows, quick=quick)
    contents = {
        f"{study.name}.md": page(study, rows, quick=quick),
        f"{study.name}.csv": tidy(study, rows, quick=quick),
    }
    if study.picture:
        contents[f"{study.name}.svg"] = picture(study, trials, quick=quick)
    if not quick:
        contents[f"{study.name}.claims.json"] = json.dumps(verdict_rows(study, trials), indent=1) + "\n"
    for name, text in contents.items():
        write_text(out / name, text)
    return Finished(
        rows=tuple(rows),
        files=tuple(out / name for name in contents),
        failed=sum(row.status == "failed" for row in rows),
    )
