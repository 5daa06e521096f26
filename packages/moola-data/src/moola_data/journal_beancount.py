"""Ledgers in beancount's format, read by beancount itself in a process of its own.

beancount is under the GPL and no dependency: where it is installed, its own loader reads the file and prints
what it found; nothing of it is loaded here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from moola_data.catalogue import Account, Catalogue
from moola_data.journal_policy import LENIENT, JournalPolicy
from moola_data.journal_table import COLUMNS, Journal, entries_of_table

NOT_INSTALLED = 3
PROGRAM = f"""
import json, sys
try:
    from beancount import loader
    from beancount.core import convert, data
except ModuleNotFoundError:
    sys.exit({NOT_INSTALLED})
entries, errors, options = loader.load_file(sys.argv[1])
booked, opened = [], []
for entry in entries:
    if isinstance(entry, data.Open):
        opened.append(entry.account)
    elif isinstance(entry, data.Transaction):
        lines = []
        for posting in entry.postings:
            weight = convert.get_weight(posting)
            lines.append([posting.account, str(weight.number), weight.currency])
        booked.append([entry.date.isoformat(), entry.payee, entry.narration, lines])
debit = [options["name_assets"], options["name_expenses"]]
said = [error.message for error in errors]
json.dump({{"booked": booked, "opened": opened, "debit": debit, "errors": said}}, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger: the accounts that it opens, and its entries."""

    catalogue: Catalogue
    journal: Journal


def read_beancount(
    path: str | os.PathLike[str],
    *,
    policy: JournalPolicy = LENIENT,
    python: str | os.PathLike[str] | None = None,
) -> Ledger:
    """Reads a beancount ledger.

    The text of an entry is its payee and narration, its amounts are what beancount balances (at cost, or at
    the price in another currency), its currency that of the first posting, its id the number among the
    transactions.

    Args:
        path: The ledger, a file that includes others if it likes.
        policy: What to do with entries that do not fit; by default postings without an amount are left out.
        python: Interpreter of an environment in which beancount is installed; this one unless given.

    Returns:
        A catalogue of the opened accounts, sorted, with the hierarchy of their names, and the entries.

    Raises:
        FileNotFoundError: There is no such file, or no such interpreter.
        ImportError: beancount is not installed there.
        ValueError: beancount finds errors in the ledger, it opens no account, or as `entries_of_table`.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"ledger: want a file, got {file}")
    found = _load(file, sys.executable if python is None else os.fspath(python))
    if found["errors"]:
        raise ValueError(
            f"ledger: want one without errors, got {len(found['errors'])} in {file.name}: "
            f"{found['errors'][0]}"
        )
    opened = sorted(set(found["opened"]))
    debit = tuple(found["debit"])
    catalogue = Catalogue.of(
        [
            Account(
                code=code,
                name=" ".join(code.split(":")),
                nature="debit" if code.split(":")[0] in debit else "credit",
                type=code.split(":")[0].lower(),
            )
            for code in opened
        ]
    )
    rows = [row for number, entry in enumerate(found["booked"]) for row in _rows(number, entry)]
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return Ledger(catalogue, entries_of_table(table, catalogue=catalogue, policy=policy, source=file.name))


def _load(file: Path, python: str) -> dict[str, list]:  # type: ignore[type-arg]
    # -I: neither the current folder nor the user's own packages can stand in for beancount.
    command = [python, "-I", "-c", PROGRAM, str(file.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True, encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"python: want an interpreter, got {python}") from None
    if done.returncode == NOT_INSTALLED:
        raise ImportError(
            f"ledger: want beancount installed for {python} (pip install beancount, in any environment, "
            "and say which by python=...), got none"
        )
    if done.returncode:
        last = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise ValueError(f"ledger: want a file that beancount reads, got {file}: {last}")
    found: dict[str, list] = json.loads(done.stdout)  # type: ignore[type-arg]
    return found


def _rows(number: int, entry: list) -> list[tuple[object, ...]]:  # type: ignore[type-arg]
    date, payee, narration, lines = entry
    text = " ".join(part for part in (payee, narration) if part)
    currency = lines[0][2] if lines else ""
    head = (str(number), date, text, currency, "")
    if not lines:
        return [(*head, None, None, None)]
    return [
        (*head, code, None, amount[1:]) if amount.startswith("-") else (*head, code, amount, None)
        for code, amount, _ in lines
    ]
