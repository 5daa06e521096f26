"""The command ``moola``; what is not here stands in files named after the command."""

from __future__ import annotations

import inspect
import json as text_of
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from moola_eval.cli import main as evaluation_command
from moola_train.recipes.catalogue_config import CatalogueConfig
from moola_train.recipes.complaints import command_line, one_line
from moola_train.recipes.completion_command import Shell, completion_script
from moola_train.recipes.config_keys import dotted_keys
from moola_train.recipes.doctor_command import doctor
from moola_train.recipes.flags import Config, Folder, Json, Settings
from moola_train.recipes.journal_command import journal
from moola_train.recipes.labels_command import labels
from moola_train.recipes.overrides import dotted_flags
from moola_train.recipes.own_command import own
from moola_train.recipes.own_run import OwnConfig
from moola_train.recipes.predict_command import predict
from moola_train.recipes.pretrain_command import pretrain
from moola_train.recipes.progress import ProgressBar
from moola_train.recipes.provenance import package_versions
from moola_train.recipes.report_command import report
from moola_train.recipes.resume_command import resume
from moola_train.recipes.run import run_expansion
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_number import given_run_folder, next_run_folder
from moola_train.recipes.run_source import RunInputs, demo_inputs, file_inputs
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.settings_command import settings_of_run
from moola_train.recipes.signals import terminable
from moola_train.recipes.study_command import study
from moola_train.recipes.sweep_command import sweep
from moola_train.recipes.telling import answer, tell, tell_outcome
from moola_train.recipes.walk_forward_command import walk_forward
from moola_train.trackers import make_tracker

RUNS = Path("runs")
ENDING = """Exit codes: 0 good; 1 a gate of `evaluate` missed, a job failed, or the doctor found faults; 2 bad
input, in one line; 130 interrupted, with what is done kept.
MOOLA_TRACEBACK=1 shows where an error came from."""


def versions() -> str:
    """The versions of the five packages and of what numbers depend on, a line each."""
    return "\n".join(f"{name} {version}" for name, version in package_versions().items())


app = App(
    name="moola",
    help="Marks expansions in bars, and says what the marks are worth. Begin with `moola demo`.",
    help_epilogue=ENDING,
    version=versions,
    version_format="plaintext",
    default_parameter=Parameter(negative=""),
    suppress_keyboard_interrupt=False,
)

Pretrained = Annotated[Path | None, Parameter(help="Folder of `moola pretrain` to begin with.")]
Trackers = Annotated[
    tuple[str, ...],
    Parameter(help="tensorboard, mlflow or wandb, or what an installed package offers.", show_default=False),
]


@app.command
def demo(
    *,
    run: Folder = None,
    config: Config = None,
    settings: Settings = (),
    pretrained: Pretrained = None,
    tracker: Trackers = (),
    json: Json = False,
) -> int:
    """Train, decide and report on the embedded daily bars, labelled by a rule.

    Examples: moola demo; moola demo --run runs/first --fit.epochs 5 --balancer.kind gradnorm

    Args:
        run: Folder of the run.
        config: The run's configuration.
        settings: Keys of it.
        pretrained: Folder of `moola pretrain`.
        tracker: Where to show the numbers as well.
        json: Tell the result as JSON.
    """
    chosen = read_run_settings(config, settings)
    inputs = demo_inputs(types=chosen.data.types, trackers=_known(tracker), pretrained=pretrained)
    return _run(inputs, chosen, run, json=json)


@app.command
def train(
    *,
    bars: Path,
    spans: Path,
    config: Config = None,
    settings: Settings = (),
    run: Folder = None,
    pretrained: Pretrained = None,
    tracker: Trackers = (),
    json: Json = False,
) -> int:
    """Train, decide and report on files of your own.

    Interrupted or killed, it is gone on with by `moola resume`.

    Examples: moola train --bars bars.csv --spans spans.csv --config run.toml;
    moola train --bars bars.csv --spans spans.csv --fit.epochs 20 --run runs/mine

    Types of other names than consolidation and retracement are listed in the configuration: data.types.

    Args:
        bars: CSV or Parquet with time, open, high, low, close, and symbol if there are several.
        spans: CSV or Parquet with start, end (both included: bar numbers or times), and type, symbol, weight.
        config: The run's configuration.
        settings: Keys of it.
        run: Folder of the run.
        pretrained: Folder of `moola pretrain`.
        tracker: Where to show the numbers as well.
        json: Tell the result as JSON.
    """
    chosen = read_run_settings(config, settings)
    inputs = file_inputs(
        bars, spans, types=chosen.data.types, trackers=_known(tracker), pretrained=pretrained
    )
    return _run(inputs, chosen, run, json=json)


@app.command(help_flags=[])
def evaluate(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Score files of predictions against files of truth; the same as `python -m moola_eval`.

    With --json the report comes as one JSON object on standard output.

    Example: moola evaluate --truth truth.csv --spans spans.csv --require "span_f1>=0.25"

    Args:
        words: Passed on; `moola evaluate --help` lists them.
    """
    if "--json" not in words:
        return _evaluation(words)
    with TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        rest = [word for word in words if word != "--json"]
        with redirect_stdout(sys.stderr):
            code = _evaluation([*rest, "--report", str(report)])
        if report.is_file():
            answer("", text_of.loads(report.read_text(encoding="utf-8")), json=True)
    return code


@app.command
def completion(shell: Shell, /) -> int:
    """Print a script that completes commands, flags, choices and keys of the configuration.

    Examples: source <(moola completion bash); moola completion zsh > ~/.zfunc/_moola;
    moola completion fish > ~/.config/fish/completions/moola.fish

    Args:
        shell: bash, zsh or fish.
    """
    print(completion_script(app, shell))
    return 0


app.command(predict)
app.command(own, name="fit")
app.command(resume)
app.command(report)
app.command(sweep)
app.command(walk_forward)
app.command(doctor)
app.command(pretrain)
app.command(study)
app.command(settings_of_run, name="settings")
app.command(journal)
app.command(labels)


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code; bad input is one line and 2.

    Set MOOLA_TRACEBACK=1 to see where an error came from.
    """
    table: type | None = None
    try:
        with terminable():
            words, table = _with_settings(arguments)
            code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
            sys.stdout.flush()
    except CycloptsError as error:
        keys = () if table is None else dotted_keys(table)
        print(f"moola: {command_line(error, keys=keys)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        said = " ".join(str(interruption).split()) or "nothing was begun that could be gone on with"
        print(f"moola: interrupted: {said}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (ValueError, TypeError, OSError, ArithmeticError, ImportError) as error:
        if os.environ.get("MOOLA_TRACEBACK"):
            raise
        print(f"moola: {one_line(error)}", file=sys.stderr)
        return 2
    return code if isinstance(code, int) else 0


def _with_settings(arguments: Sequence[str]) -> tuple[list[str], type | None]:
    """Turns ``--fit.epochs 5`` into ``--set fit.epochs=5``; also returns the configuration of the command."""
    words, settings = dotted_flags(arguments)
    chain, apps, _ = app.parse_commands(words)
    command = apps[-1].default_command
    takes = command is not None and "settings" in inspect.signature(command).parameters
    own_tables: dict[tuple[str, ...], type] = {("journal",): CatalogueConfig, ("fit",): OwnConfig}
    table = own_tables.get(chain[:1], RunConfig)
    if not settings:
        return words, table if takes else None
    if not takes:
        name, _, _ = settings[0].partition("=")
        called = " ".join(("moola", *chain))
        raise ValueError(f"--{name}: want none for `{called}`, which takes no keys of a configuration")
    end = words.index("--") if "--" in words else len(words)
    given = [word for setting in settings for word in ("--set", setting)]
    return [*words[:end], *given, *words[end:]], table


def _evaluation(words: Sequence[str]) -> int:
    try:
        return evaluation_command(words)
    except SystemExit as ended:  # its own parser ends the process, after --help too
        return ended.code if isinstance(ended.code, int) else 2


def _folder(run: Path | None) -> Callable[[], Path]:
    if run is None:
        return lambda: next_run_folder(RUNS)
    if run.exists() and (not run.is_dir() or any(run.iterdir())):  # said before the work, made after it
        given_run_folder(run)
    return lambda: given_run_folder(run)


def _run(inputs: RunInputs, settings: RunConfig, run: Path | None, *, json: bool) -> int:
    with ProgressBar() as bar:
        outcome = run_expansion(inputs, settings, folder=_folder(run), show=bar, tell=tell)
    return tell_outcome(outcome, json=json)


def _known(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Trackers that can be made; said before the work."""
    with TemporaryDirectory() as nowhere:
        for kind in kinds:
            make_tracker(kind, nowhere)
    return kinds
