"""Goes on with a journal's run that was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moola_train.protocols import Callback
from moola_train.recipes.catalogue_run import CONFIG, REPORT, CatalogueOutcome, run_catalogue
from moola_train.recipes.journal_reading import stored_source


def is_journal_run(folder: Path) -> bool:
    """Tells whether a folder is that of a journal's run; a detector's has another file."""
    return (folder / CONFIG).is_file()


def resume_journal(folder: Path, *, callbacks: Sequence[Callback] = ()) -> CatalogueOutcome:
    """Goes on with a run that was interrupted; what it learns and reports is what it would have been.

    Args:
        folder: Of the run; its entries and accounts are read from where they were.
        callbacks: Of the loop.

    Returns:
        As `moola_train.recipes.catalogue_run.run_catalogue`.

    Raises:
        FileNotFoundError: It is no journal's run, has no checkpoint yet, or its entries or accounts are gone.
        ValueError: The run is finished, or its entries or accounts have changed.
        KeyboardInterrupt: After Ctrl-C or SIGTERM; call it again.
    """
    if (folder / REPORT).is_file():
        raise ValueError(f"run: want an interrupted run, got {folder}, which is finished")
    source, config = stored_source(folder)
    return run_catalogue(source, config, folder=folder, callbacks=callbacks, resume=True)
