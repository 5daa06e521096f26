"""How late a causal detector speaks, and how often in vain."""

from __future__ import annotations

import numpy as np

from moola_eval.score import Score, ratio
from moola_eval.spans import Spans


def detection_delay(true: Spans, alarms: Spans) -> Score:
    """Mean number of bars from the start of a true span to the first alarm bar inside it.

    A span is detected if an alarm covers one of its bars; an alarm that was on before the span began has no
    delay. Alarms must come from predictions that use no later bar, or the delay means nothing.

    Args:
        true: True spans.
        alarms: Stretches in which the detector was on.

    Returns:
        The score in bars over detected spans, lower is better, with part "detected": share of true spans.

    >>> true = Spans.from_lists([[(10, 19), (40, 44)]], lengths=[105])
    >>> score = detection_delay(true, Spans.from_lists([[(13, 60)]], lengths=[105]))
    >>> score.value, score["detected"]
    (1.5, 1.0)
    """
    on = alarms.merged()
    begin = np.cumsum(true.lengths) - true.lengths
    start, end = begin[true.sequence] + true.start, begin[true.sequence] + true.end
    first = np.searchsorted(begin[on.sequence] + on.end, start, "left")
    there = first < len(on)
    speaks = np.full(len(true), np.iinfo(np.int64).max)
    speaks[there] = (begin[on.sequence] + on.start)[first[there]]
    heard = speaks <= end
    delay = np.where(heard, np.maximum(speaks - start, 0), 0)
    n = len(true.lengths)
    columns = [np.bincount(true.sequence, weights=w, minlength=n) for w in (delay, heard)]
    return Score(
        name="detection_delay",
        definition="mean bars from the start of a true span to the first alarm in it, of detected spans",
        sums=np.stack([*columns, true.per_sequence], axis=1).astype(np.float64),
        columns=("delay", "n_detected", "n_true"),
        formula=lambda s: ratio(s[..., 0], s[..., 1]),
        parts={"detected": lambda s: ratio(s[..., 1], s[..., 2])},
        higher_is_better=False,
        best=0.0,
    )


def false_alarms(true: Spans, alarms: Spans, *, tolerance: int = 0, per: int = 1000) -> Score:
    """Alarms that touch no true span, per 1,000 bars.

    Args:
        true: True spans.
        alarms: Stretches in which the detector was on; touching ones are one alarm.
        tolerance: An alarm up to this many bars before a true span's start or after its end is not false.
        per: Number of bars the rate refers to.

    Returns:
        The score, lower is better.
    """
    if tolerance < 0 or per < 1:
        raise ValueError(f"tolerance, per: want 0 or more and 1 or more, got {tolerance} and {per}")
    on = alarms.merged()
    last = true.lengths[true.sequence] - 1
    wide = Spans.of(
        true.sequence,
        np.maximum(true.start - tolerance, 0),
        np.minimum(true.end + tolerance, last),
        lengths=true.lengths,
    ).merged()
    begin = np.cumsum(true.lengths) - true.lengths
    low = np.searchsorted(begin[wide.sequence] + wide.end, begin[on.sequence] + on.start, "left")
    high = np.searchsorted(begin[wide.sequence] + wide.start, begin[on.sequence] + on.end, "right")
    false = np.bincount(on.sequence, weights=high <= low, minlength=len(true.lengths))
    return Score(
        name="false_alarms",
        definition=f"alarms farther than {tolerance} bars from every true span, per {per:,} bars",
        sums=np.stack([false, on.per_sequence, true.lengths], axis=1).astype(np.float64),
        columns=("n_false", "n_alarms", "n_bars"),
        formula=lambda s: per * ratio(s[..., 0], s[..., 2]),
        higher_is_better=False,
        best=0.0,
    )
