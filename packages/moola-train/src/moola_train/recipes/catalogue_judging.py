"""Judges a saved journal model on booked entries of any file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moola_data.journal_file import read_journal
from moola_data.journal_policy import LENIENT
from moola_data.journal_set import encode_journal
from moola_data.schema import JournalSet
from moola_train.recipes.catalogue_baselines import baseline_lines
from moola_train.recipes.catalogue_config import EvaluationSection
from moola_train.recipes.catalogue_data import lines_of, packed
from moola_train.recipes.catalogue_decoding import write
from moola_train.recipes.catalogue_folder import LEARNED, Booker
from moola_train.recipes.catalogue_report import Against, Scores, comparisons, scores_of, tables


@dataclass(frozen=True)
class Judgement:
    """Scores on one file.

    Attributes:
        entries: How many.
        scores: By way of booking, the model's under "model".
        against: The model less every other way.
    """

    entries: int
    scores: dict[str, Scores]
    against: tuple[Against, ...]


def judge_file(
    booker: Booker, folder: Path, journal: JournalSet, *, svm: bool, settings: EvaluationSection | None = None
) -> Judgement:
    """Books the entries and compares with what is booked.

    Args:
        booker: Of the run.
        folder: Of the run, which holds the training entries for what needs no network.
        journal: Entries, encoded by the run's encoding.
        svm: Whether a linear classifier shall stand beside.
        settings: Of the intervals.

    Returns:
        The scores.
    """
    policy = LENIENT.model_copy(update={"max_lines": booker.encoding.max_lines})
    learned = read_journal(folder / LEARNED, catalogue=booker.catalogue, policy=policy).entries
    train = encode_journal(learned, catalogue=booker.catalogue, encoding=booker.encoding)
    truth = lines_of(journal)
    found = write(booker.model, packed(booker.model.config, journal), booker.decision.decoding).lines
    others = baseline_lines(train, journal, svm=svm)
    told = comparisons(
        truth, found, others, groups=journal.group, settings=settings or EvaluationSection(svm=svm)
    )
    scores = {name: scores_of(truth, lines) for name, lines in {"model": found, **others}.items()}
    return Judgement(len(journal), scores, told)


def judgement_page(judgement: Judgement) -> str:
    """Writes the judgement as Markdown."""
    head = [f"{judgement.entries} entries", ""]
    return "\n".join([*head, *tables(judgement.scores, judgement.against)])
