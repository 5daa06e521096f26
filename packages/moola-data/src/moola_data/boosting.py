"""A gradient-boosted baseline, bar by bar. Needs the extra ``boost``: pip install 'moola-data[boost]'.

What a network is worth shows against what trees on the same features reach. Each stretch of time is
predicted by trees that saw neither it nor the bars about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from sklearn.ensemble import HistGradientBoostingClassifier

from moola_data._arrays import Arr, Boundary
from moola_data.blocks import time_blocks
from moola_data.features import segment_heads
from moola_data.schema import Bars, FeatureMatrix, Spans
from moola_data.spans import check_spans

Double = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Int = npt.NDArray[np.int64]
LAGS = (0, 1, 2, 3, 5, 8, 13)


class BoostingFold(BaseModel):
    """One held-out stretch of time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_bars: int
    purged_bars: int
    """Left out of train, as they lie too near to the held-out bars."""
    test_bars: int
    positives: int
    threshold: float
    """Chosen on out-of-fold probabilities of the train bars; one equal to it is positive."""
    f1: float | None
    """Of the held-out bars; None where there is neither a marked nor a labelled one."""
    f1_of_marking_all: float
    """2 share / (1 + share) of the held-out bars: what no information gives."""


class BoostedBaseline(Boundary):
    """Held-out predictions for every bar that was looked at."""

    probability: Annotated[npt.NDArray[np.float32], Arr("f4", ("N",))]
    """By trees that did not see the bar; NaN where it was not looked at."""
    marked: Annotated[Bool, Arr("b1", ("N",))]
    """Whether the probability reaches its fold's threshold."""
    fold: Annotated[Int, Arr("i8", ("N",))]
    """Number of the fold that held the bar out, -1 where it was not looked at."""
    folds: tuple[BoostingFold, ...]
    f1: float = Field(ge=0, le=1)
    """Of all held-out bars together (micro)."""
    f1_of_marking_all: float
    columns: tuple[str, ...]
    """What the trees saw, such as ``range_z[-2]`` for two bars before."""


def boosted_baseline(
    features: FeatureMatrix,
    bars: Bars,
    spans: Spans,
    *,
    lags: Sequence[int] = LAGS,
    leads: Sequence[int] = (),
    labelled: Bool | None = None,
    folds: int = 5,
    block_size: int = 105,
    purge: int = 105,
    rounds: int = 100,
    seed: int,
) -> BoostedBaseline:
    """Trains trees on all but a stretch of time, in turn, and predicts the stretch.

    Thresholds are chosen without the held-out bars: by the same procedure, once more, inside the train bars.

    Args:
        features: A row a bar, f4 (N, F).
        bars: The bars, N of them.
        spans: Their expansions; the target is their union.
        lags: Which bars' features a bar is judged by, counted backwards: 0 is itself, 1 the one before.
            Bars of another segment are missing, which the trees take.
        leads: The same forwards. They look ahead: for marking the past, as a network that sees a window from
            both sides does, never for trading.
        labelled: Bars that the annotator looked at, b1 (N,); all unless given.
        folds: Stretches of successive blocks, as even as can be.
        block_size: Times a block.
        purge: Times next to a held-out stretch that do not train; at least the furthest lag or lead, and
            better the features' memory and the longest expansion too.
        rounds: Trees.
        seed: Of the trees' binning.

    Returns:
        The predictions and their scores.

    Raises:
        ValueError: Sizes do not fit; the train bars of a fold are all of one class; fewer blocks than folds.
    """
    if not len(features.values) == len(bars):
        raise ValueError(f"features: want {len(bars)} rows, got {len(features.values)}")
    if folds < 2 or rounds < 1:
        raise ValueError(f"folds, rounds: want 2 or more and 1 or more, got {folds} and {rounds}")
    reach = max((abs(step) for step in (*lags, *leads)), default=0)
    if min((*lags, *leads), default=-1) < 0:
        raise ValueError(f"lags, leads: want some, 0 or more each, got {tuple(lags)} and {tuple(leads)}")
    if purge < reach:
        raise ValueError(f"purge: want at least the furthest lag or lead, {reach}, got {purge}")
    check_spans(spans, bars)
    asked = np.ones(len(bars), bool) if labelled is None else labelled
    if asked.shape != (len(bars),) or asked.dtype != np.bool_:
        raise ValueError(f"labelled: want bool ({len(bars)},), got {asked.dtype} {asked.shape}")
    steps = [*(-lag for lag in lags), *leads]
    inputs, columns = _shifted(features, bars, steps)
    target = np.zeros(len(bars) + 1, np.int64)
    np.add.at(target, spans.start, 1)
    np.add.at(target, spans.end + 1, -1)
    truth = np.cumsum(target)[:-1] > 0
    block = time_blocks(bars, size=block_size)
    clock = np.unique(bars.time, return_inverse=True)[1]
    fold = np.where(asked, _stretches(block, asked, folds), -1)

    def predict(train: Bool, test: Bool) -> Double:
        counts = np.bincount(truth[train].astype(np.int64), minlength=2)
        if counts.min() == 0:
            raise ValueError(f"spans: want train bars inside and outside expansions, got {counts[1]} inside")
        trees = HistGradientBoostingClassifier(max_iter=rounds, early_stopping=False, random_state=seed)
        trees.fit(inputs[train], truth[train])
        return np.asarray(trees.predict_proba(inputs[test])[:, 1], np.float64)

    probability, marked = np.full(len(bars), np.nan, np.float32), np.zeros(len(bars), bool)
    records = []
    for number in range(folds):
        test = fold == number
        train = (fold >= 0) & ~test & ~_near(clock, test, purge)
        inner = np.where(train, _stretches(block, train, folds), -1)
        guess = np.full(len(bars), np.nan)
        for part in range(folds):
            held = inner == part
            guess[held] = predict(train & ~held & ~_near(clock, held, purge), held)
        threshold = _best_threshold(guess[train], truth[train])
        probability[test] = predict(train, test)
        marked[test] = probability[test] >= np.float32(threshold)
        share = float(truth[test].mean())
        records.append(
            BoostingFold(
                train_bars=int(train.sum()),
                purged_bars=int(((fold >= 0) & ~test & ~train).sum()),
                test_bars=int(test.sum()),
                positives=int(truth[test].sum()),
                threshold=threshold,
                f1=_f1(marked[test], truth[test]),
                f1_of_marking_all=2 * share / (1 + share),
            )
        )
    share = float(truth[asked].mean())
    return BoostedBaseline(
        probability=probability,
        marked=marked,
        fold=fold.astype(np.int64),
        folds=tuple(records),
        f1=_f1(marked[asked], truth[asked]) or 0.0,
        f1_of_marking_all=2 * share / (1 + share),
        columns=columns,
    )


def _shifted(
    features: FeatureMatrix, bars: Bars, steps: Sequence[int]
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Puts the features of several bars side by side; NaN where the other bar is of another segment."""
    n, f = features.values.shape
    inputs = np.full((n, f * len(steps)), np.nan, np.float32)
    heads = segment_heads(bars.segment)
    first, after = (np.repeat(side, np.diff(heads)) for side in (heads[:-1], heads[1:]))
    for j, step in enumerate(steps):
        there = np.arange(n) + step
        inside = (there >= first) & (there < after)
        inputs[inside, j * f : (j + 1) * f] = features.values[there[inside]]
    names = [f"{name}[{step:+d}]" if step else name for step in steps for name in features.names]
    return inputs, tuple(names)


def _stretches(block: Int, wanted: Bool, count: int) -> Int:
    """Numbers `count` stretches of successive blocks that hold wanted bars."""
    blocks = np.unique(block[wanted])
    if len(blocks) < count:
        raise ValueError(f"folds: want at most one for each of {len(blocks)} blocks, got {count}")
    rank = np.minimum(np.searchsorted(blocks, block), len(blocks) - 1)
    return rank * count // len(blocks)


def _near(clock: Int, held: Bool, purge: int) -> Bool:
    """Marks bars at most `purge` times away from a held-out bar of any symbol."""
    times = np.unique(clock[held])
    right = np.searchsorted(times, clock)
    before = clock - times[np.maximum(right - 1, 0)]
    behind = times[np.minimum(right, len(times) - 1)] - clock
    near: Bool = (np.abs(before) <= purge) | (np.abs(behind) <= purge)
    return near


def _best_threshold(probability: Double, truth: Bool) -> float:
    order = np.argsort(-probability, kind="stable")
    f1 = 2 * np.cumsum(truth[order]) / (np.arange(1, len(truth) + 1) + truth.sum())
    f1[:-1][np.diff(probability[order]) == 0] = -1
    # In the precision of the predictions, so that one equal to the threshold reaches it.
    return float(np.float32(probability[order[np.argmax(f1)]]))


def _f1(marked: Bool, truth: Bool) -> float | None:
    total = int(marked.sum()) + int(truth.sum())
    return 2 * int((marked & truth).sum()) / total if total else None
