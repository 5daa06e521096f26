"""The best score that anybody can expect on a synthetic benchmark, computed from its exact posterior."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from moola_data._score import bar_f1, span_f1
from moola_data.schema import Spans
from moola_data.span_decoding import decode_spans
from moola_data.spans import visible_spans

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class BestScore(BaseModel):
    """A score that no detector with the stated context beats in expectation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    f1: float
    """Expected micro F1 (2 × expected hits / expected predicted + true) of the best predictions."""
    se: float
    """Standard error of `f1` as a figure for the world: windows, or groups of them, were drawn by chance."""
    realised: float
    """What those same predictions score on the labels that were drawn."""
    threshold: float
    """Probability (of a bar, or of a span's match) above which predicting pays: f1 / 2."""


class Ceiling(BaseModel):
    """The best expected scores on n windows, all bars and spans pooled (micro)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bar: BestScore
    """F1 of bars, knowing all bars of the context. Exact."""
    causal_bar: BestScore
    """F1 of bars for a detector that decides at each bar's close. Exact; NaN with label noise, where it
    has no closed form here."""
    span: BestScore
    """F1 of spans at IoU >= 0.5, matched one to one. Exact among predictions with a bar between any two."""
    predict_all: float
    """Expected bar F1 of calling every bar an expansion, 2 π / (1 + π): what no information is worth."""
    label_share: float
    """Share π of labelled bars in the windows, as drawn."""
    windows: int
    context: str
    """What the posterior may read. A model that reads less has a lower ceiling of its own."""


def best_scores(
    label: Floats,
    causal: Floats,
    spans: Floats,
    truth: Spans,
    *,
    starts: Integers,
    length: int,
    stretches: Integers,
    group: Integers,
    context: str,
) -> Ceiling:
    """Computes the ceiling of windows from the posterior of their bars.

    The best bars are the k most probable ones with the highest 2 Σ p / (k + Σ p over all bars) (Lipton,
    Elkan & Naryanaswamy 2014); the best spans come from `decode_spans`.

    Args:
        label: (N,) P(bar is labelled).
        causal: (N,) the same from past bars only; NaN where unknown.
        spans: (N, D) P(a labelled span starts at bar t and shows d + 1 bars).
        truth: The labels as drawn.
        starts: (n,) first bars of the windows, which should not overlap.
        length: Bars a window.
        stretches: (g + 1,) first bar of each stretch, then N.
        group: (n,) windows of one group are dependent; standard errors are over groups if there are 20 or
            more, else over windows.
        context: Said in the result.

    Returns:
        The ceiling.
    """
    seen = visible_spans(truth, starts, length=length)
    mark = np.zeros((len(starts), length + 1), np.int64)
    np.add.at(mark, (seen.window, seen.start), 1)
    np.add.at(mark, (seen.window, seen.end + 1), -1)
    true = np.cumsum(mark, axis=1)[:, :-1] > 0
    blocks = group if len(np.unique(group)) >= 20 else np.arange(len(starts))
    at = starts[:, None] + np.arange(length)
    best = decode_spans(spans, starts, stretches, length=length)
    predicted = np.bincount(best.spans.window, minlength=len(starts))
    share = float(label[at].mean())
    return Ceiling(
        bar=_best_bars(label[at], true, blocks),
        causal_bar=_best_bars(causal[at], true, blocks),
        span=BestScore(
            f1=best.f1,
            se=_standard_error(2 * best.matches, predicted + best.true, blocks),
            realised=span_f1(best.spans, seen),
            threshold=best.f1 / 2,
        ),
        predict_all=2 * share / (1 + share),
        label_share=float(true.mean()),
        windows=len(starts),
        context=context,
    )


def _best_bars(p: Floats, true: npt.NDArray[np.bool_], group: Integers) -> BestScore:
    total = float(p.sum())
    if not total > 0:
        nan = float("nan")
        return BestScore(f1=nan, se=nan, realised=nan, threshold=nan)
    ranked = np.sort(p, axis=None)[::-1]
    f1 = float((2 * np.cumsum(ranked) / (np.arange(1, p.size + 1) + total)).max())
    # Rounding must not decide where a whole plateau of bars sits at the threshold, as without signal.
    chosen = p >= f1 / 2 - 1e-12
    se = _standard_error(2 * (p * chosen).sum(axis=1), chosen.sum(axis=1) + p.sum(axis=1), group)
    return BestScore(f1=f1, se=se, realised=bar_f1(chosen, true), threshold=f1 / 2)


def _standard_error(top: Floats, bottom: Floats, group: Integers) -> float:
    """Standard error of Σ top / Σ bottom over independent groups, to first order."""
    _, index = np.unique(group, return_inverse=True)
    ratio = top.sum() / bottom.sum() if bottom.sum() > 0 else np.nan
    residual = np.bincount(index, weights=top - ratio * bottom)
    n = len(residual)
    if n < 2:
        return float("nan")
    return float(np.sqrt(n / (n - 1) * np.square(residual).sum()) / bottom.sum())
