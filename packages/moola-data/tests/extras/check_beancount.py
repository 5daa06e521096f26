"""Run by name: BEANCOUNT_PYTHON=<a python that has beancount> pytest tests/extras/check_beancount.py.

beancount is no dependency, not even of the tests: it is run in an environment of its own, where there is one.
"""

import os
import subprocess
from pathlib import Path

import pytest

from moola_data.journal_beancount import read_beancount
from moola_data.journal_set import JournalEncoding, encode_journal

PYTHON = os.environ.get("BEANCOUNT_PYTHON")
LEDGER = """
2024-01-01 open Assets:Bank USD
2024-01-01 open Expenses:Food
2024-01-01 open Expenses:Food:Coffee
2024-01-05 * "Cafe" "Two coffees"
  Expenses:Food:Coffee  6.50 USD
  Assets:Bank
"""
pytestmark = pytest.mark.skipif(PYTHON is None, reason="BEANCOUNT_PYTHON names no environment with beancount")


def test_a_small_ledger_is_read_as_it_is_written(tmp_path):
    path = tmp_path / "small.beancount"
    path.write_text(LEDGER)
    ledger = read_beancount(path, python=PYTHON)
    assert ledger.catalogue.codes == ("Assets:Bank", "Expenses:Food", "Expenses:Food:Coffee")
    assert ledger.catalogue.parents == (-1, -1, 1)
    (entry,) = ledger.journal.entries
    assert (entry.text, entry.currency, str(entry.date)) == ("Cafe Two coffees", "USD", "2024-01-05")
    assert [(x.account, x.side, x.amount) for x in entry.lines] == [
        ("Expenses:Food:Coffee", 0, 6.5),
        ("Assets:Bank", 1, 6.5),
    ]


def test_errors_of_a_ledger_are_told(tmp_path):
    path = tmp_path / "bad.beancount"
    path.write_text(LEDGER.replace("Assets:Bank\n", "Assets:Bunk\n"))
    with pytest.raises(ValueError, match=r"want one without errors, got 1 in bad\.beancount: Invalid ref"):
        read_beancount(path, python=PYTHON)


def test_the_sample_ledger_becomes_arrays(tmp_path):
    path = tmp_path / "sample.beancount"
    program = "from beancount.scripts.example import main; main()"
    days = ["--date-begin", "2018-01-01", "--date-end", "2025-12-31"]
    command = [Path(PYTHON), "-c", program, "--seed", "1", *days, "-o", path]
    subprocess.run(command, check=True, capture_output=True)
    ledger = read_beancount(path, python=PYTHON)
    entries = ledger.journal.entries
    assert len(entries) > 2000
    assert ledger.journal.report.kept == len(entries)
    encoding = JournalEncoding.fit(entries, catalogue=ledger.catalogue, max_lines=40)
    journal = encode_journal(entries, catalogue=ledger.catalogue, encoding=encoding)
    assert set(journal.line_mask.sum(axis=1).tolist()) >= {2, 3, 15}
    assert len(set(journal.group.tolist())) > 50
