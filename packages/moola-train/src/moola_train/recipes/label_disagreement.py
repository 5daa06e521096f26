"""Where two people marked the same bars differently, the greatest difference first."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data.agreement import Agreement, annotator_agreement
from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans
from moola_eval.matching import IoU, match
from moola_eval.spans import Spans as EvalSpans

Int = npt.NDArray[np.int64]
Kind = Literal["only first", "only second", "edges", "type"]
PLACES = ("first_start", "first_end", "second_start", "second_end")
COLUMNS = ("kind", "bars", *PLACES, "first_type", "second_type")
TOUCHING = 1e-9
"""Spans that share a bar may speak of one thing, however little they share."""


class Disagreement(NamedTuple):
    """How far two people agree, and where they do not."""

    agreement: Agreement
    places: pd.DataFrame
    """One row a place, the most bars first: `kind`; `bars`, those that only one of them marked; first and
    last bars of both spans and their types, missing where there is none. "type" has no such bars and comes
    last."""


def disagreement(first: Spans, second: Spans, bars: Bars) -> Disagreement:
    """Lists every span that the other one did not mark, marked with other edges, or gave another type.

    A span is paired with at most one of the other's, so that as much as possible is paired. Compared are
    the bars that both looked at, see `looked_at`, and all of every span that reaches into them.

    Args:
        first: One person's spans.
        second: The other's, of the same bars.
        bars: The bars.

    Raises:
        ValueError: Spans do not fit the bars.
    """
    for spans in (first, second):
        check_spans(spans, bars)
    both = _by_both(first, second, bars)
    unseen = np.concatenate([[0], np.cumsum(~both)])
    rows_of = [np.flatnonzero(unseen[s.end + 1] == unseen[s.start]) for s in (first, second)]
    # In the order of the bars, as `EvalSpans` stand.
    mine, theirs = (
        r[np.lexsort((s.end[r], s.start[r]))] for s, r in zip((first, second), rows_of, strict=True)
    )
    one, two = (
        EvalSpans.of(np.zeros(len(r), np.int64), s.start[r], s.end[r], lengths=[len(bars)])
        for s, r in ((first, mine), (second, theirs))
    )
    pairs = match(one, two, criterion=IoU(TOUCHING), labels="ignored")
    rows: list[tuple[object, ...]] = []
    for i, j in zip(mine[pairs.true_index], theirs[pairs.pred_index], strict=True):
        a, b, c, d = first.start[i], first.end[i], second.start[j], second.end[j]
        types = _type(first, i), _type(second, j)
        off = (b - a + 1) + (d - c + 1) - 2 * (min(b, d) - max(a, c) + 1)
        if off:
            rows.append(("edges", off, a, b, c, d, *types))
        elif types[0] != types[1] and all(types):
            rows.append(("type", 0, a, b, c, d, *types))
    for i in np.delete(mine, pairs.true_index):
        size = first.end[i] - first.start[i] + 1
        rows.append(
            ("only first", size, first.start[i], first.end[i], pd.NA, pd.NA, _type(first, int(i)), "")
        )
    for j in np.delete(theirs, pairs.pred_index):
        size = second.end[j] - second.start[j] + 1
        rows.append(
            ("only second", size, pd.NA, pd.NA, second.start[j], second.end[j], "", _type(second, int(j)))
        )
    places = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(("bars", *PLACES), "Int64"))
    where = places["first_start"].fillna(places["second_start"])
    order = np.lexsort((where.to_numpy(np.int64), -places["bars"].to_numpy(np.int64)))
    return Disagreement(
        annotator_agreement(first, second, bars, where=both), places.iloc[order].reset_index(drop=True)
    )


def looked_at(spans: Spans, bars: Bars) -> npt.NDArray[np.bool_]:
    """Bars that whoever marked spans must have seen: in each symbol from the first span to the last, (N,)."""
    seen = np.zeros(len(bars), bool)
    for symbol in np.unique(bars.symbol[spans.start]):
        mine = bars.symbol[spans.start] == symbol
        seen[spans.start[mine].min() : spans.end[mine].max() + 1] = True
    return seen


def _by_both(first: Spans, second: Spans, bars: Bars) -> npt.NDArray[np.bool_]:
    seen = looked_at(first, bars) & looked_at(second, bars)
    for spans in (first, second):
        before = np.concatenate([[0], np.cumsum(seen)])
        for row in np.flatnonzero(before[spans.end + 1] > before[spans.start]):
            seen[spans.start[row] : spans.end[row] + 1] = True
    return seen


def _type(spans: Spans, row: int) -> str:
    number = int(spans.type[row])
    return spans.type_names[number] if number >= 0 else ""
