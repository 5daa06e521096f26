"""``moola doctor``: looks at the balance of the tasks in the first steps of a run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from moola_losses.doctor_report import DoctorReport
from moola_losses.doctor_table import doctor_table
from moola_train.fit import fit
from moola_train.recipes.doctor_watch import EnoughSteps, watch_of
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.experiment import experiment
from moola_train.recipes.first_weights import first_weights
from moola_train.recipes.flags import Config, Json, Settings
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_source import RunInputs, demo_inputs, file_inputs, stored_run
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.telling import answer, tell


def doctor(
    run: Path | None = None,
    /,
    *,
    bars: Path | None = None,
    spans: Path | None = None,
    config: Config = None,
    settings: Settings = (),
    steps: int = 40,
    out: Path | None = None,
    json: Json = False,
) -> int:
    """Examine the first steps of a run: whose gradient counts, whose does not, and what to do about it.

    The steps are those that the run takes or took, made again in memory; nothing is written into the run.
    Exit code 0: no fault; 1: faults are listed.

    Examples: moola doctor runs/0001; moola doctor --bars b.csv --spans s.csv --config c.toml --out d.json;
    moola doctor --balancer.kind pcgrad (on the demo's bars)

    Args:
        run: Folder of a run, finished or not; or give a configuration.
        bars: As for train; the demo's where neither run nor bars are given.
        spans: As for train.
        config: The run's configuration.
        settings: Keys of it.
        steps: How many, each examined.
        out: File to write the whole report to as JSON; `python -m moola_losses FILE` prints it.
        json: Tell the whole report as JSON.
    """
    if steps < 1:
        raise ValueError(f"steps: want 1 or more, got {steps}")
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise ValueError(f"out: want a file in an existing folder, got {out}")
    if run is not None:
        if bars is not None or spans is not None or config is not None or settings:
            raise ValueError("run: want a run or bars, spans and config, got both")
        inputs, chosen = stored_run(run)
    elif (bars is None) != (spans is None):
        raise ValueError(f"spans: want bars and spans together, got bars {bars} and spans {spans}")
    else:
        chosen = read_run_settings(config, settings)
        types = chosen.data.types
        if bars is None or spans is None:
            inputs = demo_inputs(types=types)
        else:
            inputs = file_inputs(bars, spans, types=types)
    report = examine(inputs, chosen, steps=steps)
    if report.observations < steps:
        tell(f"the run has {report.observations} steps of the {steps} that were asked for")
    answer(doctor_table(report), report.model_dump(mode="json"), json=json)
    if out is not None:
        report.save(out)
    return 1 if report.verdicts else 0


def examine(inputs: RunInputs, config: RunConfig, *, steps: int) -> DoctorReport:
    """Takes the first steps of a run, in memory, and lets the doctor look at each.

    Args:
        inputs: Of the run.
        config: Of the run.
        steps: How many.

    Raises:
        ValueError: The input does not allow a run, or batches go through the model in pieces.
    """
    if config.fit.micro_batch_size is not None and config.fit.micro_batch_size < config.fit.batch_size:
        raise ValueError(
            f"fit.micro_batch_size: want none below the batch size {config.fit.batch_size} for the doctor, "
            f"got {config.fit.micro_batch_size}"
        )
    windows, _ = expansion_windows(inputs.bars, inputs.spans, config)
    made = experiment(windows, config)
    folder = inputs.source.pretrained
    first_weights(made, inputs.bars, config, pretrained=None if folder is None else Path(folder))
    watch = watch_of(made, config, every=1, window=steps, tell=_silent, only=steps)
    with suppress(EnoughSteps):
        fit(
            made.model,
            made.data,
            made.tasks,
            made.balancer,
            config.fit,
            callbacks=[watch],
            select=made.scores,
        )
    return watch.report()


def _silent(words: str) -> None:
    """The whole report is printed at the end."""
