"""``moola fit``: a run of one's own model and tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from moola_train.fit import FitResult
from moola_train.recipes.flags import Folder, Json, Settings
from moola_train.recipes.own_run import RESULT, WEIGHTS, run_own, told
from moola_train.recipes.progress import ProgressBar
from moola_train.recipes.run_number import given_run_folder, next_run_folder
from moola_train.recipes.settings import read_own_settings
from moola_train.recipes.telling import answer
from moola_train.recipes.watching import Progress

OwnFile = Annotated[Path, Parameter(help="TOML file with build = 'module:function' and the run's settings.")]


def own(*, config: OwnFile, settings: Settings = (), run: Folder = None, json: Json = False) -> int:
    """Train a model and tasks of your own, built by a function that a TOML file names.

    The function is imported from where the command runs and returns the arguments of `moola_train.fit`.

    Example: moola fit --config mine.toml --fit.epochs 20

    Args:
        config: The run's configuration.
        settings: Keys of it.
        run: Folder of the run.
        json: Tell the result as JSON.
    """
    chosen = read_own_settings(config, settings)
    with ProgressBar() as bar:
        folder, fitted = run_own(
            chosen,
            folder=lambda: next_run_folder(Path("runs")) if run is None else given_run_folder(run),
            callbacks=[Progress(bar)],
        )
    return tell_own(folder, fitted, json=json)


def tell_own(folder: Path, fitted: FitResult, *, json: bool) -> int:
    """Prints how training ended and where its weights lie; returns the exit code 0."""
    words = f"{fitted.epochs} epochs, the best {fitted.best_epoch}"
    result = {"run": str(folder), **told(fitted)}
    answer(f"{words}\n\nweights: {folder / WEIGHTS}, numbers: {folder / RESULT}", result, json=json)
    return 0
