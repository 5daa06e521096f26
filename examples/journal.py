# /// script
# requires-python = ">=3.11"
# dependencies = ["moola-train[recipes]"]
# ///
"""The journal: learn to book entries from their texts, and say how sure each proposal is.

What to learn: the second system runs through the same loop. Entries go in, and out comes a folder with all
that booking needs; a proposal is a whole entry, debit and credit, with a probability that was calibrated on
entries neither trained on nor reported. Beside the model the report has a table of known texts, the nearest
known text, and the ceiling, which is known here because the company is invented. So few entries leave the
model far below it.

Run it: `python journal.py` where the packages above are installed; `uv run python examples/journal.py` in a
clone.
"""

import datetime
import tempfile
from pathlib import Path

from moola_data.journal_entry import JournalQuery
from moola_data.uk_chart import uk_chart
from moola_data.uk_journal import uk_journal
from moola_train.recipes.catalogue_config import catalogue_config
from moola_train.recipes.catalogue_folder import load_catalogue
from moola_train.recipes.catalogue_run import JournalSource, run_catalogue

made = uk_journal(1200, seed=0)  # moola_data.journal_file.read_journal reads yours
chart = uk_chart()
source = JournalSource(made.entries, chart, world=made.world, source=made.source)
config = catalogue_config(
    {
        "fit": {"epochs": 12, "batch_size": 32, "learning_rate": 0.008},
        "model": {"hidden": 64},
        "decoding": {"method": "greedy"},
        "evaluation": {"svm": False, "resamples": 200, "permutations": 200},
    }
)
with tempfile.TemporaryDirectory() as folder:
    report = run_catalogue(source, config, folder=Path(folder) / "run").report
    booker = load_catalogue(Path(folder) / "run")

print(f"{report.entries['train']} entries learned from, {report.entries['test']} later ones booked")
for name, scores in {**report.scores, "ceiling": report.ceiling}.items():
    print(f"{name:>8}: exactly right {scores.exact:.3f}, F1 of lines {scores.f1:.3f}")

day = datetime.date(2024, 12, 3)
asked = [
    JournalQuery(id="1", text="DD Quillan Stationers 12/2024", date=day, currency="GBP", type="bank"),
    JournalQuery(id="2", text="Something nobody has ever booked", date=day, currency="GBP", type="bank"),
]
for proposal in booker.book(asked):
    lines = ", ".join(f"{'credit' if side else 'debit'} {code}" for code, side in proposal.lines)
    print(f"{proposal.query.text!r}: {lines}; chance to be right {proposal.probability:.2f}")
