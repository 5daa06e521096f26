"""``moola resume``: goes on with a run that was interrupted."""

from __future__ import annotations

from pathlib import Path

from moola_train.recipes.flags import Json
from moola_train.recipes.journal_command import EpochTelling, tell_journal
from moola_train.recipes.journal_resume import is_journal_run, resume_journal
from moola_train.recipes.progress import ProgressBar
from moola_train.recipes.run import resume_expansion
from moola_train.recipes.telling import tell, tell_outcome


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
        return tell_journal(resume_journal(run, callbacks=[EpochTelling()]), json=json)
    with ProgressBar() as bar:
        outcome = resume_expansion(run, show=bar, tell=tell)
    return tell_outcome(outcome, json=json)
