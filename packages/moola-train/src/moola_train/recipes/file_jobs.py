"""Works off trainings on files, one process each, and writes their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import JsonValue

from moola_train.ray_sweep import ray_sweep
from moola_train.recipes.file_trial import FUNCTION
from moola_train.recipes.job_table import Labelled, as_csv, as_markdown
from moola_train.recipes.provenance import write_text
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_source import RunSource
from moola_train.recipes.sweep_page import NUMBERS, PAGE, read_table, sweep_page
from moola_train.recipes.telling import answer, job_teller
from moola_train.sweep import job_key, sweep

Engine = Literal["processes", "ray"]
COLUMNS = NUMBERS


class FileJob(NamedTuple):
    """One training, and what tells it from the others."""

    labels: Mapping[str, JsonValue]
    config: RunConfig
    seed: int
    begin: str | None = None
    end: str | None = None


def work_off(
    jobs: Sequence[FileJob],
    source: RunSource,
    out: Path,
    *,
    workers: int,
    engine: Engine,
    columns: Mapping[str, str] = COLUMNS,
    lead: str = "",
    json: bool = False,
) -> int:
    """Runs what is not done yet, and writes ``table.csv``, ``table.md`` and ``table.html``.

    Args:
        jobs: The trainings.
        source: Where bars and spans lie.
        out: Folder of the sweep, in ``jobs/``, and of the tables. Called again with it, finished jobs stay.
        workers: Processes at a time; Ray takes as many as it has CPUs.
        engine: By processes of this machine, or as Ray tasks.
        columns: Of the Markdown table.
        lead: Markdown above it.
        json: Print all rows as JSON instead of the Markdown table.

    Returns:
        How many jobs failed.

    Raises:
        KeyboardInterrupt: After Ctrl-C; the same command goes on.
    """
    listed = [_parameters(job, source) for job in jobs]
    names = {
        job_key(parameters): ", ".join(f"{name}={value}" for name, value in job.labels.items())
        for job, parameters in zip(jobs, listed, strict=True)
    }
    announce = job_teller(names)
    try:
        if engine == "ray":
            rows = ray_sweep(FUNCTION, listed, out / "jobs", announce=announce)
        else:
            rows = sweep(FUNCTION, listed, out / "jobs", workers=workers, announce=announce)
    except KeyboardInterrupt:
        words = f"finished jobs are kept in {out}; the same command goes on"
        raise KeyboardInterrupt(words) from None
    labelled = [Labelled(job.labels, row) for job, row in zip(jobs, rows, strict=True)]
    rows_as_text = as_csv(labelled)
    write_text(out / "table.csv", rows_as_text)
    write_text(out / PAGE, sweep_page(read_table(rows_as_text), title=f"Sweep {out.resolve().name}"))
    table = as_markdown(labelled, columns)
    write_text(out / "table.md", f"{lead}\n{table}" if lead else table)
    failed = sum(row.status == "failed" for row in rows)
    result = {
        "table": str(out / "table.csv"),
        "failed": failed,
        "jobs": [
            {"labels": given, "status": row.status, "error": row.error, "result": row.result}
            for given, row in labelled
        ],
    }
    answer(f"{table}\ntable: {out / 'table.csv'}", result, json=json)
    return failed


def _parameters(job: FileJob, source: RunSource) -> dict[str, JsonValue]:
    parameters: dict[str, JsonValue] = {
        "bars": source.bars,
        "spans": source.spans,
        "bars_fingerprint": source.bars_fingerprint,
        "spans_fingerprint": source.spans_fingerprint,
        "run": job.config.model_dump(mode="json"),
        "seed": job.seed,
    }
    if job.begin is not None:
        parameters["begin"] = job.begin
    if job.end is not None:
        parameters["end"] = job.end
    return parameters
