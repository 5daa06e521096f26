"""The commands ``moola journal demo | train | predict | evaluate``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from moola_data.catalogue import Catalogue, read_catalogue
from moola_data.journal_beancount import read_beancount
from moola_data.journal_file import read_journal
from moola_data.journal_policy import LENIENT, JournalPolicy
from moola_data.journal_set import encode_journal
from moola_data.uk_chart import uk_chart
from moola_data.uk_journal import uk_journal
from moola_train.protocols import Callback, EpochState, Row
from moola_train.recipes.catalogue_config import CatalogueConfig, read_catalogue_config
from moola_train.recipes.catalogue_folder import load_catalogue
from moola_train.recipes.catalogue_judging import judge_file, judgement_page
from moola_train.recipes.catalogue_run import JournalSource, run_catalogue
from moola_train.recipes.journal_queries import read_queries, write_proposals
from moola_train.recipes.run_number import given_run_folder, next_run_folder

RUNS = Path("runs")
DEMO_ENTRIES = 4000
journal = App(
    name="journal", help="Books journal entries from their texts, on the accounts of one catalogue."
)

Policy = Annotated[
    Literal["strict", "lenient"],
    Parameter(help="strict: the first entry that does not fit ends it. lenient: dealt with, and counted."),
]
Config = Annotated[
    Path | None, Parameter(help="TOML file of the run's configuration. Default: the recipe's.")
]
Folder = Annotated[
    Path | None, Parameter(help="Folder of the run: new or empty. Default: the next in runs/.")
]
Accounts = Annotated[
    str | None,
    Parameter(help="JSON file of the accounts, or `uk` for the British chart. A ledger has its own."),
]
Python = Annotated[
    Path | None, Parameter(help="Interpreter with beancount, for a ledger. Default: this one.")
]


@journal.command
def demo(*, run: Folder = None, config: Config = None, seed: int = 0) -> int:
    """Train and report on generated entries of a small British company, whose best possible scores are known.

    Example: moola journal demo --run runs/journal

    Args:
        run: Folder of the run.
        config: The run's configuration.
        seed: Of the entries.
    """
    made = uk_journal(DEMO_ENTRIES, seed=seed)
    source = JournalSource(made.entries, uk_chart(), world=made.world, source=made.source)
    return _run(source, config, run)


@journal.command
def train(
    *,
    entries: Path,
    catalogue: Accounts = None,
    policy: Policy = "strict",
    python: Python = None,
    config: Config = None,
    run: Folder = None,
) -> int:
    """Train and report on entries of your own.

    Example: moola journal train --entries entries.csv --catalogue accounts.json

    Args:
        entries: CSV, Parquet or JSON with a row a line: entry, date, text, account, debit, credit, and
            currency, type if known; or a beancount ledger.
        catalogue: The accounts there are.
        policy: What to do with entries that do not fit.
        python: Interpreter with beancount.
        config: The run's configuration.
        run: Folder of the run.
    """
    settings = _settings(config)
    source = read_source(
        entries, catalogue, policy=policy, python=python, max_lines=settings.entries.max_lines
    )
    print(f"moola: {source.report}", file=sys.stderr)
    return _run(source, config, run)


@journal.command
def predict(
    *, run: Path, entries: Path, out: Path, catalogue: Accounts = None, policy: Policy = "strict"
) -> int:
    """Propose lines for entries that are not booked yet.

    Example: moola journal predict --run runs/journal --entries new.csv --out proposals.csv

    Args:
        run: Folder of the run.
        entries: CSV, Parquet or JSON with a row an entry: entry, text, and date, currency, type if known.
        out: CSV file to write: entry, account, name, side, probability, stopped.
        catalogue: The accounts as they are now; refused if they are not those trained on.
        policy: "lenient" also books entries without a text, by date, currency and type alone.
    """
    booker = load_catalogue(run, catalogue=None if catalogue is None else _accounts(catalogue))
    asked = read_queries(entries, keep_without_text=policy == "lenient")
    proposals = booker.book(asked.queries)
    write_proposals(out, proposals, catalogue=booker.catalogue)
    unstopped = sum(not proposal.stopped for proposal in proposals)
    print(
        f"{len(proposals)} entries in {out}; {asked.without_text} without a text, {unstopped} without a stop "
        "of their own"
    )
    return 0


@journal.command
def evaluate(
    *,
    run: Path,
    entries: Path,
    catalogue: Accounts = None,
    policy: Policy = "strict",
    svm: bool = False,
) -> int:
    """Score a run on booked entries, beside what needs no network.

    Example: moola journal evaluate --run runs/journal --entries later.csv

    Args:
        run: Folder of the run.
        entries: As for `moola journal train`.
        catalogue: The accounts as they are now; refused if they are not those trained on.
        policy: What to do with entries that do not fit.
        svm: Put a linear classifier beside too; it needs the extra `studies`.
    """
    booker = load_catalogue(run, catalogue=None if catalogue is None else _accounts(catalogue))
    read = read_journal(
        entries, catalogue=booker.catalogue, policy=_policy(policy, booker.encoding.max_lines)
    )
    print(f"moola: {read.report}", file=sys.stderr)
    if not read.entries:
        raise ValueError(f"entries: want 1 or more that fit, got none: {read.report}")
    coded = encode_journal(read.entries, catalogue=booker.catalogue, encoding=booker.encoding)
    print(judgement_page(judge_file(booker, run, coded, svm=svm)))
    return 0


def read_source(
    entries: Path, catalogue: str | None, *, policy: str, python: Path | None, max_lines: int
) -> JournalSource:
    """Reads what a run learns from.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file does not fit, or the accounts are not told.
    """
    rules = _policy(policy, max_lines)
    if entries.suffix.lower() in (".beancount", ".bean"):
        if catalogue is not None:
            raise ValueError(f"catalogue: want none beside a ledger, which opens its own, got {catalogue!r}")
        ledger = read_beancount(entries, policy=rules, python=python)
        return JournalSource(ledger.journal.entries, ledger.catalogue, report=ledger.journal.report)
    if catalogue is None:
        raise ValueError("catalogue: want a JSON file or `uk` beside a table of entries, got none")
    accounts = _accounts(catalogue)
    read = read_journal(entries, catalogue=accounts, policy=rules)
    return JournalSource(read.entries, accounts, report=read.report)


class _Telling(Callback):
    """Says one line an epoch."""

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Tells how the inner entries are booked."""
        found = {r.name: r.value for r in state.records if r.split == "inner" and not r.task}
        exact = found.get("exact_entry")
        if exact is not None:
            words = f"epoch {state.epoch} of {state.epochs}: {exact:.1%} of the inner entries exact"
            print(f"moola: {words}", file=sys.stderr)
        return ()


def _run(source: JournalSource, config: Path | None, run: Path | None) -> int:
    done = run_catalogue(source, _settings(config), folder=_folder(run)(), callbacks=[_Telling()])
    assert done.folder is not None
    print((done.folder / "report.md").read_text(encoding="utf-8"))
    print(f"report: {done.folder / 'report.md'}")
    return 0


def _folder(run: Path | None) -> Callable[[], Path]:
    return (lambda: next_run_folder(RUNS)) if run is None else (lambda: given_run_folder(run))


def _settings(config: Path | None) -> CatalogueConfig:
    return CatalogueConfig() if config is None else read_catalogue_config(config)


def _accounts(named: str) -> Catalogue:
    return uk_chart() if named == "uk" else read_catalogue(named)


def _policy(name: str, max_lines: int) -> JournalPolicy:
    return (LENIENT if name == "lenient" else JournalPolicy()).model_copy(update={"max_lines": max_lines})
