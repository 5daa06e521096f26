"""What a journal's run learns from: files of one's own, or the demo's entries; and reads them once more."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from moola_data.catalogue import Catalogue, read_catalogue
from moola_data.journal_beancount import read_beancount
from moola_data.journal_file import read_journal
from moola_data.journal_policy import LENIENT, JournalPolicy
from moola_data.uk_chart import uk_chart
from moola_data.uk_journal import uk_journal
from moola_train.recipes.catalogue_config import CatalogueConfig
from moola_train.recipes.catalogue_run import CONFIG, JournalSource
from moola_train.recipes.journal_given import NAME, JournalGiven, entries_fingerprint

DEMO_ENTRIES = 4000


def demo_source(*, seed: int, count: int = DEMO_ENTRIES) -> JournalSource:
    """Draws entries of a small British company, whose best possible scores are known."""
    made = uk_journal(count, seed=seed)
    chart = uk_chart()
    given = JournalGiven(
        kind="journal demo",
        seed=seed,
        count=count,
        entries_fingerprint=entries_fingerprint(made.entries),
        catalogue_fingerprint=chart.fingerprint,
    )
    return JournalSource(made.entries, chart, world=made.world, source=made.source, given=given)


def read_source(
    entries: Path,
    catalogue: str | None,
    *,
    policy: Literal["strict", "lenient"],
    python: Path | None,
    max_lines: int,
) -> JournalSource:
    """Reads what a run learns from.

    Args:
        entries: Table of entries, or a beancount ledger.
        catalogue: JSON file of the accounts, or ``uk``; None beside a ledger.
        policy: What to do with entries that do not fit.
        python: Interpreter with beancount; this one unless given.
        max_lines: Most lines of an entry.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file does not fit, or the accounts are not told.
    """
    rules = policy_of(policy, max_lines)
    if entries.suffix.lower() in (".beancount", ".bean"):
        if catalogue is not None:
            raise ValueError(f"catalogue: want none beside a ledger, which opens its own, got {catalogue!r}")
        ledger = read_beancount(entries, policy=rules, python=python)
        read, accounts = ledger.journal, ledger.catalogue
    elif catalogue is None:
        raise ValueError("catalogue: want a JSON file or `uk` beside a table of entries, got none")
    else:
        accounts = accounts_of(catalogue)
        read = read_journal(entries, catalogue=accounts, policy=rules)
    given = JournalGiven(
        kind="journal files",
        entries=str(entries.resolve()),
        catalogue=catalogue if catalogue in (None, "uk") else str(Path(catalogue).resolve()),
        policy=policy,
        # Not resolved: an environment's interpreter is a link, and known by the link's place.
        python=None if python is None else str(python.absolute()),
        entries_fingerprint=entries_fingerprint(read.entries),
        catalogue_fingerprint=accounts.fingerprint,
    )
    return JournalSource(read.entries, accounts, report=read.report, given=given)


def stored_source(folder: Path) -> tuple[JournalSource, CatalogueConfig]:
    """Reads a run's configuration and, anew, its entries and accounts.

    Args:
        folder: Of a journal's run, finished or not.

    Raises:
        FileNotFoundError: It is none, or a file that the run was made of is gone.
        ValueError: A file of the folder is damaged, or entries or accounts are not those of the run.
    """
    for name in (CONFIG, NAME):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"run: want the folder of a journal run with {name}, got {folder}")
    try:
        config = CatalogueConfig.model_validate_json((folder / CONFIG).read_bytes())
        given = JournalGiven.model_validate_json((folder / NAME).read_bytes())
    except ValidationError as error:
        found = error.errors()[0]["msg"]
        raise ValueError(f"run: want readable {CONFIG} and {NAME} in {folder}, got {found}") from error
    source = _again(given, max_lines=config.entries.max_lines)
    assert source.given is not None
    for what in ("catalogue", "entries"):
        wanted, got = (getattr(each, f"{what}_fingerprint") for each in (given, source.given))
        if got != wanted:
            where = getattr(given, what) or given.entries or "the demo"
            raise ValueError(
                f"{what}: want those that the run was made of ({wanted[:12]}…), got others ({got[:12]}…) in "
                f"{where}"
            )
    return source, config


def accounts_of(named: str) -> Catalogue:
    """Reads accounts from a JSON file, or returns the British chart for ``uk``."""
    return uk_chart() if named == "uk" else read_catalogue(named)


def policy_of(name: str, max_lines: int) -> JournalPolicy:
    """Returns the policy of a name for entries of at most so many lines."""
    return (LENIENT if name == "lenient" else JournalPolicy()).model_copy(update={"max_lines": max_lines})


def _again(given: JournalGiven, *, max_lines: int) -> JournalSource:
    if given.kind == "journal demo":
        if given.seed is None or given.count is None:
            raise ValueError(f"run: want seed and count of the demo in {NAME}, got none")
        return demo_source(seed=given.seed, count=given.count)
    if given.entries is None:
        raise ValueError(f"run: want the path of the entries in {NAME}, got none")
    python = None if given.python is None else Path(given.python)
    return read_source(
        Path(given.entries), given.catalogue, policy=given.policy, python=python, max_lines=max_lines
    )
