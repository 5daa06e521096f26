"""``moola resume``: goes on with a run that was interrupted."""

from __future__ import annotations

from pathlib import Path

from moola_train.recipes.progress import ProgressBar
from moola_train.recipes.run import resume_expansion
from moola_train.recipes.telling import tell, tell_outcome


def resume(run: Path, /) -> int:
    """Go on with an interrupted run; it ends as if it had never stopped.

    The bars and spans are read from where they were, and refused if they have changed.

    Example: moola resume runs/0001

    Args:
        run: Folder of the run.
    """
    with ProgressBar() as bar:
        return tell_outcome(resume_expansion(run, show=bar, tell=tell))
