"""Where a study of the journal takes its entries from: the generator, or a ledger that beancount makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from moola_data.journal_beancount import read_beancount
from moola_data.uk_chart import uk_chart
from moola_data.uk_journal import uk_journal
from moola_train.recipes.catalogue_run import JournalSource

INTERPRETER = "MOOLA_BEANCOUNT_PYTHON"
"""Environment variable that names an interpreter with beancount; the running one unless set."""
LEDGER = "from beancount.scripts.example import main; main()"


class GeneratorSource(BaseModel):
    """Entries of a small British company, of `moola_data.uk_journal`, with a known ceiling."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["generator"] = "generator"
    entries: Annotated[int, Field(ge=10)] = 3000
    slip: Annotated[float, Field(ge=0, le=1)] = 0.05

    def draw(self, seed: int) -> JournalSource:
        """Draws the entries."""
        made = uk_journal(self.entries, seed=seed, slip=self.slip)
        return JournalSource(made.entries, uk_chart(), world=made.world, source=made.source)


class LedgerSource(BaseModel):
    """The ledger of a household that beancount's own generator writes, made in a process of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ledger"] = "ledger"
    first: str = "2018-01-01"
    last: str = "2025-12-31"

    def draw(self, seed: int) -> JournalSource:
        """Makes and reads the ledger.

        Raises:
            ImportError: beancount is not installed for the interpreter.
        """
        python = os.environ.get(INTERPRETER, sys.executable)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "sample.beancount"
            dates = ("--date-begin", self.first, "--date-end", self.last, "--date-birth", "1980-05-12")
            # beancount's own seed 0 would mean: none.
            words = [python, "-I", "-c", LEDGER, "--seed", str(seed + 1), *dates, "-o", str(file)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip() or "nothing").splitlines()[-1]
                raise ImportError(
                    f"ledger: want beancount for {python} (another by {INTERPRETER}), got: {last}"
                )
            ledger = read_beancount(file, python=python)
        return JournalSource(ledger.journal.entries, ledger.catalogue, report=ledger.journal.report)


JOURNAL_SOURCES: TypeAdapter[GeneratorSource | LedgerSource] = TypeAdapter(
    Annotated[GeneratorSource | LedgerSource, Field(discriminator="kind")]
)
