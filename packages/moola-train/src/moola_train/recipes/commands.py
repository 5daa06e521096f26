"""The command ``moola``; what is not here stands in files named after the command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from moola_eval.cli import main as evaluation_command
from moola_train.recipes.doctor_command import doctor
from moola_train.recipes.journal_command import journal
from moola_train.recipes.predict_command import predict
from moola_train.recipes.pretrain_command import pretrain
from moola_train.recipes.progress import ProgressBar
from moola_train.recipes.resume_command import resume
from moola_train.recipes.run import run_expansion
from moola_train.recipes.run_config import RunConfig, read_config
from moola_train.recipes.run_number import given_run_folder, next_run_folder
from moola_train.recipes.run_source import RunInputs, demo_inputs, file_inputs
from moola_train.recipes.study_command import study
from moola_train.recipes.sweep_command import sweep
from moola_train.recipes.telling import tell, tell_outcome
from moola_train.recipes.walk_forward_command import walk_forward
from moola_train.trackers import make_tracker

RUNS = Path("runs")
app = App(
    name="moola",
    help="Marks expansions in bars, and says what the marks are worth.",
    suppress_keyboard_interrupt=False,
)

Folder = Annotated[
    Path | None, Parameter(help="Folder of the run: new or empty. Default: the next in runs/.")
]
Config = Annotated[
    Path | None, Parameter(help="TOML file of the run's configuration. Default: the recipe's.")
]

Pretrained = Annotated[Path | None, Parameter(help="Folder of `moola pretrain` to begin with.")]
Trackers = Annotated[
    tuple[str, ...],
    Parameter(help="tensorboard, mlflow or wandb, or what an installed package offers.", negative=""),
]


@app.command
def demo(
    *, run: Folder = None, config: Config = None, pretrained: Pretrained = None, tracker: Trackers = ()
) -> int:
    """Train, decide and report on the embedded daily bars, labelled by a rule.

    Example: moola demo --run runs/first

    Args:
        run: Folder of the run.
        config: The run's configuration.
        pretrained: Folder of `moola pretrain`.
        tracker: Where to show the numbers as well.
    """
    settings = RunConfig() if config is None else read_config(config)
    return _run(demo_inputs(trackers=_known(tracker), pretrained=pretrained), settings, run)


@app.command
def train(
    *,
    bars: Path,
    spans: Path,
    config: Config = None,
    run: Folder = None,
    pretrained: Pretrained = None,
    tracker: Trackers = (),
) -> int:
    """Train, decide and report on files of your own.

    Interrupted or killed, it is gone on with by `moola resume`.

    Example: moola train --bars bars.csv --spans spans.csv --config run.toml

    Args:
        bars: CSV or Parquet with time, open, high, low, close, and symbol if there are several.
        spans: CSV or Parquet with start, end (both included: bar numbers or times), and type, symbol, weight.
        config: The run's configuration.
        run: Folder of the run.
        pretrained: Folder of `moola pretrain`.
        tracker: Where to show the numbers as well.
    """
    settings = RunConfig() if config is None else read_config(config)
    inputs = file_inputs(bars, spans, trackers=_known(tracker), pretrained=pretrained)
    return _run(inputs, settings, run)


@app.command(help_flags=[])
def evaluate(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Score files of predictions against files of truth; the same as `python -m moola_eval`.

    Args:
        words: Passed on; `moola evaluate --help` lists them.
    """
    return evaluation_command(words)


app.command(predict)
app.command(resume)
app.command(sweep)
app.command(walk_forward)
app.command(doctor)
app.command(pretrain)
app.command(study)
app.command(journal)


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code; bad input is one line and 2.

    Set MOOLA_TRACEBACK=1 to see where an error came from.
    """
    try:
        code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        print(f"moola: {_one_line(error)} (see `moola --help`)", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        said = _one_line(interruption) or "nothing had been begun"
        print(f"moola: interrupted: {said}", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ArithmeticError, ImportError) as error:
        if os.environ.get("MOOLA_TRACEBACK"):
            raise
        print(f"moola: {_one_line(error)}", file=sys.stderr)
        return 2
    return code if isinstance(code, int) else 0


def _folder(run: Path | None) -> Callable[[], Path]:
    if run is None:
        return lambda: next_run_folder(RUNS)
    if run.exists() and (not run.is_dir() or any(run.iterdir())):  # said before the work, made after it
        given_run_folder(run)
    return lambda: given_run_folder(run)


def _run(inputs: RunInputs, settings: RunConfig, run: Path | None) -> int:
    with ProgressBar() as bar:
        return tell_outcome(run_expansion(inputs, settings, folder=_folder(run), show=bar, tell=tell))


def _known(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Trackers that can be made; said before the work."""
    with TemporaryDirectory() as nowhere:
        for kind in kinds:
            make_tracker(kind, nowhere)
    return kinds


def _one_line(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        parts = [f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors()]
        return "; ".join(parts)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())
