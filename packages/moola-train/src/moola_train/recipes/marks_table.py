"""Marks as a table, a file, or tasks for those who label."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data.label_studio_tasks import write_label_studio
from moola_data.schema import Bars, Spans
from moola_data.spans_file import spans_table
from moola_train.recipes.marking import Marks
from moola_train.recipes.table_file import ENDINGS, write_table

Columns = Literal["spans", "all"]


def marks_table(marks: Marks, bars: Bars) -> pd.DataFrame:
    """Gives marks as a table of the columns of a spans file and some more.

    Returns:
        One row a span: symbol, start, end (times of its first and last bar), label, type, weight, annotator;
        score, confidence, and centre and length as the pointers have them, in bars, the centre counted from
        the first bar of the span.
    """
    extra = {
        "score": marks.score,
        "confidence": marks.confidence,
        "centre": marks.pointers[:, 0],
        "length": marks.pointers[:, 1],
    }
    return spans_table(marks.spans, bars, times="time").assign(**extra)


def no_marks() -> pd.DataFrame:
    """The table without a row."""
    none, numbers = np.zeros(1, np.int64), np.ones(1, np.float32)
    spans = Spans(start=none, end=none, type=none - 1, weight=numbers, type_names=(), annotator="moola")
    bar = Bars(
        time=np.zeros(1, "M8[ns]"),
        **dict.fromkeys(("open", "high", "low", "close"), np.ones(1)),
        symbol=np.zeros(1, np.int32),
        segment=none,
        symbols=("",),
    )
    # Cut from a table with a row: an empty one would not have the columns' types.
    one = Marks("both", spans, numbers, numbers, np.ones((1, 2), np.float32), numbers, None)
    return marks_table(one, bar).iloc[:0]


def write_marks(path: Path, marks: Marks, bars: Bars, *, columns: Columns = "spans") -> None:
    """Writes the spans, in one step.

    Args:
        path: CSV or Parquet.
        marks: The spans.
        bars: What they are on.
        columns: "spans" writes a spans file, which `read_spans` reads, whose score is the confidence (the
            mean probability of a run that has none); "all" writes `marks_table`.

    Raises:
        ValueError: The name ends neither on ``.csv`` nor on ``.parquet``.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(f"out: want a .csv or .parquet file, got {path.name!r}")
    if columns == "all":
        table = marks_table(marks, bars)
    else:
        table = spans_table(marks.spans, bars, times="time").assign(score=_sure(marks))
    write_table(path, table)


def write_tasks(folder: Path, marks: Marks, bars: Bars) -> int:
    """Writes the bars as Label Studio tasks with the marks as predictions to be corrected.

    Their score is the confidence; the score of a run that has none.

    Returns:
        Number of tasks.

    Raises:
        ValueError: The bars cannot be such tasks: times with fractions of a second, for one.
    """
    labels = ("expansion", *marks.spans.type_names)
    return write_label_studio(
        folder, bars, spans=marks.spans, kind="predictions", score=_sure(marks), labels=labels
    )


def _sure(marks: Marks) -> npt.NDArray[np.float32]:
    return marks.score if np.isnan(marks.confidence).any() else marks.confidence
