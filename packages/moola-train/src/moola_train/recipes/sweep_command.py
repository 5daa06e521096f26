"""``moola sweep``: a grid of settings, times seeds, over trainings on files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from moola_train.recipes.file_jobs import Engine, FileJob, work_off
from moola_train.recipes.flags import Json, Settings
from moola_train.recipes.run_source import file_inputs
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.variants import variants

Grid = Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)]
Numbers = Annotated[tuple[int, ...], Parameter(consume_multiple=True)]


def sweep(
    config: Path,
    /,
    *,
    bars: Path,
    spans: Path,
    out: Path,
    settings: Settings = (),
    grid: Grid = (),
    seeds: Numbers = (0,),
    workers: int = 1,
    engine: Engine = "processes",
    json: Json = False,
) -> int:
    """Train every combination of settings for every seed, each in a process of its own, into one table.

    Interrupted, the same command goes on; finished jobs are not run again, failed ones once more. Exit code
    1: a job failed.

    Example: moola sweep c.toml --bars b.csv --spans s.csv --grid balancer.kind=static,uncertainty
    --grid fit.learning_rate=0.001,0.003 --seeds 0 1 2 --workers 2 --out sweeps/first

    Args:
        config: TOML file, or jade-best, origin or plain: what the settings are laid over.
        bars: As for train.
        spans: As for train.
        out: Folder of the jobs, table.csv and table.md.
        settings: Keys of it, the same in every job.
        grid: NAME=A,B,C: one of the values in each job.
        seeds: One job a seed.
        workers: Processes at a time, one thread each.
        engine: processes of this machine, or ray (the extra of that name).
        json: Tell the result as JSON.
    """
    if not seeds or len(dict.fromkeys(seeds)) < len(seeds):
        raise ValueError(f"seeds: want different numbers, got {list(seeds)}")
    chosen = variants(read_run_settings(config, settings), settings, grid)
    types = list(dict.fromkeys(made.data.types for _, made in chosen))
    if len(types) > 1:
        raise ValueError(f"grid: want the same data.types in every job, got {len(types)} lists of them")
    source = file_inputs(bars, spans, types=types[0]).source
    jobs = [FileJob({**labels, "seed": seed}, made, seed) for labels, made in chosen for seed in seeds]
    return 1 if work_off(jobs, source, out, workers=workers, engine=engine, json=json) else 0
