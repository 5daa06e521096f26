"""``moola resume``: goes on with a run that was interrupted."""

from __future__ import annotations

from pathlib import Path

from moola_train.recipes.flags import Json
from moola_train.recipes.going_on import going_on
from moola_train.recipes.journal_command import EpochTelling, tell_journal
from moola_train.recipes.journal_resume import is_journal_run, resume_journal
from moola_train.recipes.own_command import tell_own
from moola_train.recipes.own_run import is_own_run, resume_own
from moola_train.recipes.progress import ProgressBar
from moola_train.recipes.run import resume_expansion
from moola_train.recipes.telling import tell, tell_outcome
from moola_train.recipes.watching import Progress


def resume(run: Path, /, *, json: Json = False) -> int:
    """Go on with an interrupted run; it ends as if it had never stopped.

    The bars and spans, or the entries and accounts, are read from where they were, and refused if they have
    changed.

    Example: moola resume runs/0001

    Args:
        run: Folder of the run.
        json: Tell the result as JSON.
    """
    if is_journal_run(run):
        with going_on(run):
            booked = resume_journal(run, callbacks=[EpochTelling()])
        return tell_journal(booked, json=json)
    if is_own_run(run):
        with ProgressBar() as bar:
            own = resume_own(run, callbacks=[Progress(bar)])
        return tell_own(*own, json=json)
    with ProgressBar() as bar:
        outcome = resume_expansion(run, show=bar, tell=tell)
    return tell_outcome(outcome, json=json)
