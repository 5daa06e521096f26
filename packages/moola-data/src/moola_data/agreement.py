"""How far two annotators of the same bars agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from moola_data.schema import Bars, Spans
from moola_data.spans import Int, check_spans

Mask = npt.NDArray[np.bool_]


class Agreement(BaseModel):
    """Agreement of two annotators on the bars that both looked at. None where it is undefined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str
    second: str
    bars: int
    """Bars that both looked at."""
    first_spans: int
    second_spans: int
    matched: int
    """Pairs of spans with an intersection over union of at least `iou`, one to one, the best first."""
    iou: float
    bar_f1: float | None
    """2 common / (first + second) in-span bars; 1 is full agreement."""
    kappa: float | None
    """Cohen's kappa of the bars: agreement beyond what two independent markers of these rates would have."""
    span_f1: float | None
    """2 matched / (first + second) spans."""
    start_distance: float | None
    """Mean distance of the starts of matched spans, in bars."""
    end_distance: float | None
    """Mean distance of the ends of matched spans, in bars."""
    type_agreement: float | None
    """Share of matched spans to which both gave the same type, among those to which both gave one."""


def annotator_agreement(
    first: Spans, second: Spans, bars: Bars, *, where: Mask | None = None, iou: float = 0.5
) -> Agreement:
    """Compares the spans of two annotators.

    Args:
        first: One annotator's spans.
        second: The other's, of the same bars.
        bars: The bars.
        where: The bars that both looked at, (N,). Unless given: in each symbol, from the later of their first
            spans to the earlier of their last, and all of every span that reaches into it.
        iou: Least intersection over union of matched spans; equality matches.

    Returns:
        The agreement; spans count when all their bars are in `where`.

    Raises:
        ValueError: Spans do not fit the bars, or `where` is not one bool a bar.
    """
    for spans in (first, second):
        check_spans(spans, bars)
    seen = _both_seen(first, second, bars) if where is None else where
    if seen.shape != (len(bars),) or seen.dtype != bool:
        raise ValueError(f"where: want {len(bars)} bools, one a bar, got {seen.dtype} {seen.shape}")
    mine, theirs = (_inside(spans, seen) for spans in (first, second))
    marks = [_marked(one, len(bars))[seen] for one in (mine, theirs)]
    i, j = _matched(mine, theirs, iou=iou)
    typed = (mine.type[i] >= 0) & (theirs.type[j] >= 0)
    names = np.array([*mine.type_names, ""], object), np.array([*theirs.type_names, ""], object)
    same = names[0][mine.type[i]] == names[1][theirs.type[j]]
    return Agreement(
        first=first.annotator,
        second=second.annotator,
        bars=int(seen.sum()),
        first_spans=len(mine),
        second_spans=len(theirs),
        matched=len(i),
        iou=iou,
        bar_f1=_ratio(2 * int((marks[0] & marks[1]).sum()), int(marks[0].sum() + marks[1].sum())),
        kappa=_kappa(*marks),
        span_f1=_ratio(2 * len(i), len(mine) + len(theirs)),
        start_distance=_ratio(int(np.abs(mine.start[i] - theirs.start[j]).sum()), len(i)),
        end_distance=_ratio(int(np.abs(mine.end[i] - theirs.end[j]).sum()), len(i)),
        type_agreement=_ratio(int((same & typed).sum()), int(typed.sum())),
    )


def _matched(a: Spans, b: Spans, *, iou: float) -> tuple[Int, Int]:
    """Pairs spans one to one, greatest intersection over union first."""
    order = np.argsort(b.start, kind="stable")
    begin = b.start[order]
    furthest = np.maximum.accumulate(b.end[order])
    low = np.searchsorted(furthest, a.start, side="left")
    count = np.maximum(np.searchsorted(begin, a.end, side="right") - low, 0)
    i = np.repeat(np.arange(len(a)), count)
    j = order[np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)]
    common = np.minimum(a.end[i], b.end[j]) - np.maximum(a.start[i], b.start[j]) + 1
    union = (a.end[i] - a.start[i] + 1) + (b.end[j] - b.start[j] + 1) - common
    fits = (common > 0) & (common >= iou * union)
    i, j, share = i[fits], j[fits], common[fits] / union[fits]
    free_a, free_b = np.ones(len(a), bool), np.ones(len(b), bool)
    pairs = []
    for pair in np.argsort(-share, kind="stable"):
        if free_a[i[pair]] and free_b[j[pair]]:
            free_a[i[pair]] = free_b[j[pair]] = False
            pairs.append(pair)
    return i[pairs], j[pairs]


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _kappa(a: Mask, b: Mask) -> float | None:
    if not len(a):
        return None
    observed, p, q = float((a == b).mean()), float(a.mean()), float(b.mean())
    chance = p * q + (1 - p) * (1 - q)
    return _ratio(observed - chance, 1 - chance)


def _marked(spans: Spans, bars: int) -> Mask:
    step = np.zeros(bars + 1, np.int64)
    np.add.at(step, spans.start, 1)
    np.add.at(step, spans.end + 1, -1)
    return np.cumsum(step[:-1]) > 0


def _inside(spans: Spans, seen: Mask) -> Spans:
    unseen = np.concatenate([[0], np.cumsum(~seen)])
    keep = unseen[spans.end + 1] == unseen[spans.start]
    columns = ("start", "end", "type", "weight")
    return spans.model_copy(update={name: getattr(spans, name)[keep] for name in columns})


def _both_seen(first: Spans, second: Spans, bars: Bars) -> Mask:
    seen = np.zeros(len(bars), bool)
    for symbol in range(len(bars.symbols)):
        ends = []
        for spans in (first, second):
            mine = bars.symbol[spans.start] == symbol
            if mine.any():
                ends.append((int(spans.start[mine].min()), int(spans.end[mine].max())))
        if len(ends) == 2 and max(e[0] for e in ends) <= min(e[1] for e in ends):
            seen[max(e[0] for e in ends) : min(e[1] for e in ends) + 1] = True
    for spans in (first, second):
        counted = np.concatenate([[0], np.cumsum(seen)])
        for s, e in zip(spans.start, spans.end, strict=True):
            if counted[e + 1] > counted[s]:
                seen[s : e + 1] = True
    return seen
