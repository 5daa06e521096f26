"""``moola walk-forward``: refits through time, with a table per period."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from moola_train.recipes.file_jobs import COLUMNS, Engine, FileJob, work_off
from moola_train.recipes.flags import Config, Json, Settings
from moola_train.recipes.run_source import file_inputs
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.walk_forward import period_config, walk

Numbers = Annotated[tuple[int, ...], Parameter(consume_multiple=True)]
SIZES = {"train_windows": "train windows", "test_windows": "test windows", "purged_windows": "purged"}
LEAD = """# Walk-forward

Each period is trained anew on what came before it and tested on what follows; windows that share bars or
labels with another part are purged. `chance` is the strongest chance level on the same windows, `low` and
`high` the 95 % interval over blocks of time.
"""


def walk_forward(
    *,
    bars: Path,
    spans: Path,
    out: Path,
    config: Config = None,
    settings: Settings = (),
    periods: int = 4,
    first: float = 0.5,
    inner: float = 0.25,
    memory: float | None = None,
    seeds: Numbers = (0,),
    workers: int = 1,
    engine: Engine = "processes",
    json: Json = False,
) -> int:
    """Refit through time: train on the past, test on the next period, then move on.

    Interrupted, the same command goes on. Exit code 1: a refit failed.

    Example: moola walk-forward --bars b.csv --spans s.csv --periods 4 --workers 2 --out walks/first

    Args:
        bars: As for train.
        spans: As for train.
        out: Folder of the jobs, table.csv and table.md.
        config: The run's configuration; its fractions are replaced.
        settings: Keys of it.
        periods: Test periods.
        first: Share of time before the first of them.
        inner: Share of the known time, its last, that chooses epoch and threshold.
        memory: Share of all time that training looks back; to the beginning where omitted.
        seeds: One refit a seed.
        workers: Processes at a time, one thread each.
        engine: processes of this machine, or ray (the extra of that name).
        json: Tell the result as JSON.
    """
    chosen = read_run_settings(config, settings)
    inputs = file_inputs(bars, spans, types=chosen.data.types)
    planned = walk(inputs.bars, periods=periods, first=first, inner=inner, memory=memory)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: want different numbers, got {list(seeds)}")
    jobs = [
        FileJob(
            {
                "period": period.number,
                "train from": period.begin[:19],
                "train to": period.train_end[:19],
                "test from": period.test_begin[:19],
                "test to": period.end[:19],
                "seed": seed,
            },
            period_config(chosen, period),
            seed,
            begin=period.begin,
            end=period.end,
        )
        for period in planned
        for seed in seeds
    ]
    columns = {**SIZES, **COLUMNS}
    failed = work_off(
        jobs, inputs.source, out, workers=workers, engine=engine, columns=columns, lead=LEAD, json=json
    )
    return 1 if failed else 0
