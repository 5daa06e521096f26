"""The command ``moola``: demo, train, predict."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from moola_data.bars import read_bars
from moola_data.expansion_rule import ExpansionRule, label_expansions
from moola_data.sample import load_sample
from moola_data.spans_file import read_spans
from moola_eval.cli import main as evaluation_command
from moola_eval.markdown import criteria_table
from moola_train.recipes.marking import mark, write_marks
from moola_train.recipes.progress import ProgressBar
from moola_train.recipes.run import Outcome, run_expansion
from moola_train.recipes.run_config import RunConfig, read_config
from moola_train.recipes.run_number import given_run_folder, next_run_folder
from moola_train.recipes.study_command import study

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


@app.command
def demo(*, run: Folder = None, config: Config = None) -> int:
    """Train, decide and report on the embedded daily bars, labelled by a rule.

    Args:
        run: Folder of the run.
        config: The run's configuration.
    """
    bars = load_sample()
    rule = ExpansionRule()
    spans = label_expansions(bars, rule)
    notes = (
        "A rule labelled these bars, not a person: directional runs found with knowledge of later bars "
        f"(`{spans.annotator}`). A perfect prediction is possible, so the ceiling is 1.",
        f"Bars: {bars.source}.",
    )
    settings = RunConfig() if config is None else read_config(config)
    with ProgressBar() as bar:
        outcome = run_expansion(
            bars, spans, settings, folder=_folder(run), ceiling=1.0, notes=notes, show=bar
        )
    return _say(outcome)


@app.command
def train(*, bars: Path, spans: Path, config: Config = None, run: Folder = None) -> int:
    """Train, decide and report on files of your own.

    Args:
        bars: CSV or Parquet with time, open, high, low, close, and symbol if there are several.
        spans: CSV or Parquet with start, end (both included: bar numbers or times), and type, symbol, weight.
        config: The run's configuration.
        run: Folder of the run.
    """
    settings = RunConfig() if config is None else read_config(config)
    checked = read_bars(bars)
    labels = read_spans(spans, checked)
    notes = (f"Bars: {bars.name}; spans: {spans.name}, annotator {labels.annotator or 'not named'}.",)
    with ProgressBar() as bar:
        outcome = run_expansion(checked, labels, settings, folder=_folder(run), notes=notes, show=bar)
    return _say(outcome)


@app.command
def predict(bars: Path, /, *, run: Path, out: Path) -> int:
    """Mark the expansions of a bar file with a finished run.

    Args:
        bars: CSV or Parquet, as for train.
        run: Folder of the run.
        out: CSV or Parquet to write: start, end, type, symbol, score; both ends included.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"out: want a .csv or .parquet file, got {out.name!r}")
    if out.is_dir() or not out.parent.is_dir():
        raise ValueError(f"out: want a file in an existing folder, got {out}")
    checked = read_bars(bars)
    marks = mark(checked, run)
    write_marks(out, marks, checked)
    if marks.unmarked:
        left_out = f"{marks.unmarked} of {len(checked)} bars"
        print(f"moola: {left_out}, in stretches shorter than a window, are not marked", file=sys.stderr)
    print(f"{len(marks.spans)} spans in {len(checked)} bars: {out}")
    return 0


@app.command(help_flags=[])
def evaluate(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Score files of predictions against files of truth; the same as `python -m moola_eval`.

    Args:
        words: Passed on; `moola evaluate --help` lists them.
    """
    return evaluation_command(words)


app.command(study)


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
    except (ValueError, TypeError, OSError, ArithmeticError) as error:
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


def _say(outcome: Outcome) -> int:
    print(criteria_table(outcome.report.criteria))
    print(f"\nreport: {outcome.folder / 'report.md'}")
    return 0


def _one_line(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        parts = [f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors()]
        return "; ".join(parts)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())
