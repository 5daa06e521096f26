"""The commands ``moola journal demo | train | predict | evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from pydantic import TypeAdapter

from moola_data.journal_file import read_journal
from moola_data.journal_set import encode_journal
from moola_train.protocols import Callback, EpochState, Row
from moola_train.recipes.catalogue_config import CatalogueConfig
from moola_train.recipes.catalogue_folder import load_catalogue
from moola_train.recipes.catalogue_judging import judge_file, judgement_page
from moola_train.recipes.catalogue_run import REPORT, CatalogueOutcome, JournalSource, run_catalogue
from moola_train.recipes.flags import Folder, Json, Settings
from moola_train.recipes.flags import JournalConfig as Config
from moola_train.recipes.going_on import going_on
from moola_train.recipes.journal_queries import read_queries, write_proposals
from moola_train.recipes.journal_reading import accounts_of, demo_source, policy_of, read_source
from moola_train.recipes.run_number import given_run_folder, next_run_folder
from moola_train.recipes.settings import read_journal_settings
from moola_train.recipes.settings_command import settings_of_journal
from moola_train.recipes.spared_files import spare
from moola_train.recipes.telling import answer, tell

RUNS = Path("runs")
journal = App(
    name="journal", help="Books journal entries from their texts, on the accounts of one catalogue."
)

Policy = Annotated[
    Literal["strict", "lenient"],
    Parameter(help="strict: the first entry that does not fit ends it. lenient: dealt with, and counted."),
]
Accounts = Annotated[
    str | None,
    Parameter(help="JSON file of the accounts, or `uk` for the British chart. A ledger has its own."),
]
Python = Annotated[
    Path | None, Parameter(help="Interpreter with beancount, for a ledger. Default: this one.")
]


@journal.command
def demo(
    *, run: Folder = None, config: Config = None, settings: Settings = (), seed: int = 0, json: Json = False
) -> int:
    """Train and report on generated entries of a small British company, whose best possible scores are known.

    Example: moola journal demo --run runs/journal

    Args:
        run: Folder of the run.
        config: The run's configuration.
        settings: Keys of it.
        seed: Of the entries.
        json: Tell the report as JSON.
    """
    chosen = read_journal_settings(config, settings)
    return _run(demo_source(seed=seed), chosen, run, json=json)


@journal.command
def train(
    *,
    entries: Path,
    catalogue: Accounts = None,
    policy: Policy = "strict",
    python: Python = None,
    config: Config = None,
    settings: Settings = (),
    run: Folder = None,
    json: Json = False,
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
        settings: Keys of it.
        run: Folder of the run.
        json: Tell the report as JSON.
    """
    chosen = read_journal_settings(config, settings)
    source = read_source(entries, catalogue, policy=policy, python=python, max_lines=chosen.entries.max_lines)
    tell(str(source.report))
    return _run(source, chosen, run, json=json)


@journal.command
def predict(
    *,
    run: Path,
    entries: Path,
    out: Path,
    catalogue: Accounts = None,
    policy: Policy = "strict",
    json: Json = False,
) -> int:
    """Propose lines for entries that are not booked yet.

    Example: moola journal predict --run runs/journal --entries new.csv --out proposals.csv

    Args:
        run: Folder of the run.
        entries: CSV, Parquet or JSON with a row an entry: entry, text, and date, currency, type if known.
        out: CSV file to write: entry, account, name, side, probability, stopped.
        catalogue: The accounts as they are now; refused if they are not those trained on.
        policy: "lenient" also books entries without a text, by date, currency and type alone.
        json: Tell the result as JSON.
    """
    spare("out", out, others=[entries])
    booker = load_catalogue(run, catalogue=None if catalogue is None else accounts_of(catalogue))
    asked = read_queries(entries, keep_without_text=policy == "lenient")
    proposals = booker.book(asked.queries)
    write_proposals(out, proposals, catalogue=booker.catalogue)
    unstopped = sum(not proposal.stopped for proposal in proposals)
    words = (
        f"{len(proposals)} entries in {out}; {asked.without_text} without a text, {unstopped} without a stop "
    )
    result = {
        "out": str(out),
        "entries": len(proposals),
        "without_text": asked.without_text,
        "without_stop": unstopped,
    }
    answer(f"{words}of their own", result, json=json)
    return 0


@journal.command
def evaluate(
    *,
    run: Path,
    entries: Path,
    catalogue: Accounts = None,
    policy: Policy = "strict",
    svm: bool = False,
    json: Json = False,
) -> int:
    """Score a run on booked entries, beside what needs no network.

    Example: moola journal evaluate --run runs/journal --entries later.csv

    Args:
        run: Folder of the run.
        entries: As for `moola journal train`.
        catalogue: The accounts as they are now; refused if they are not those trained on.
        policy: What to do with entries that do not fit.
        svm: Put a linear classifier beside too; it needs the extra `studies`.
        json: Tell the scores as JSON.
    """
    booker = load_catalogue(run, catalogue=None if catalogue is None else accounts_of(catalogue))
    read = read_journal(
        entries, catalogue=booker.catalogue, policy=policy_of(policy, booker.encoding.max_lines)
    )
    tell(str(read.report))
    if not read.entries:
        raise ValueError(f"entries: want 1 or more that fit, got none: {read.report}")
    coded = encode_journal(read.entries, catalogue=booker.catalogue, encoding=booker.encoding)
    judged = judge_file(booker, run, coded, svm=svm)
    answer(judgement_page(judged), TypeAdapter(type(judged)).dump_python(judged, mode="json"), json=json)
    return 0


journal.command(settings_of_journal, name="settings")


class EpochTelling(Callback):
    """Says one line an epoch."""

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Tells how the inner entries are booked."""
        found = {r.name: r.value for r in state.records if r.split == "inner" and not r.task}
        exact = found.get("exact_entry")
        if exact is not None:
            tell(f"epoch {state.epoch} of {state.epochs}: {exact:.1%} of the inner entries exact")
        return ()


def _run(source: JournalSource, config: CatalogueConfig, run: Path | None, *, json: bool) -> int:
    folder = _folder(run)()
    with going_on(folder):
        done = run_catalogue(source, config, folder=folder, callbacks=[EpochTelling()])
    return tell_journal(done, json=json)


def tell_journal(done: CatalogueOutcome, *, json: bool) -> int:
    """Prints the report and where it lies, or the report itself as JSON; returns the exit code 0."""
    assert done.folder is not None
    page = done.folder / REPORT
    result = {"run": str(done.folder), "report": done.report.model_dump(mode="json")}
    answer(f"{page.read_text(encoding='utf-8')}\nreport: {page}", result, json=json)
    return 0


def _folder(run: Path | None) -> Callable[[], Path]:
    return (lambda: next_run_folder(RUNS)) if run is None else (lambda: given_run_folder(run))
