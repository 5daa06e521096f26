"""Searches the origin's 27 formulas on the earlier bars and says what the best is worth on the later ones.

The origin chose its formula on the bars on which it then reported it, and had nothing to hold the number
against. Here the choice is made on train blocks, the number comes from held-out blocks, and beside it stand
what chance gives, how far it may be off, and the most that any score with these values could reach.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from moola_data._atomic_file import write_atomically
from moola_data.blocks import block_parts, time_blocks
from moola_data.features import segment_heads
from moola_data.proxies import (
    GRID,
    LOOK_BACK,
    ProxyFormula,
    ProxyTerms,
    Undefined,
    expansion_stats,
    proxy_terms,
)
from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans

Double = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
TEST = 2


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GridPoint(_Record):
    """A formula on the train bars."""

    formula: ProxyFormula
    correlation: float | None
    """Pearson's, of score and mask; None where the score is constant."""
    threshold: float
    f1: float
    """Greatest F1 of bars that any threshold gives, reached at `threshold`."""


class Estimate(_Record):
    """A number from held-out bars, with all that is needed to read it."""

    value: float
    interval: tuple[float, float]
    """95 %, blocks drawn with replacement."""
    null_mean: float
    """What the same scores give when they are turned against the mask by a random number of bars."""
    null_high: float
    """What 95 % of those stay at or below."""
    p: float
    """How often chance does as well, the observed case counted in."""
    ceiling: float
    """Correlation: that of the same scores put in the best order. F1: 1."""


class HeldOut(_Record):
    """The chosen formula on bars that took no part in the choice."""

    bars: int
    positives: int
    blocks: int
    correlation: Estimate | None
    """None where the score is the same on all bars."""
    f1: Estimate
    precision: float | None
    """None where no bar reaches the threshold."""
    recall: float
    f1_of_marking_all: float
    """2 share / (1 + share): what no information gives."""


class ProxySearch(_Record):
    """What was searched, chosen and found."""

    schema_version: Literal[1] = 1
    formula: ProxyFormula
    threshold: float
    """A score equal to it is positive."""
    train_bars: int
    train_positives: int
    train_means: dict[str, float | None]
    """Of length and terms over the train expansions."""
    grid: tuple[GridPoint, ...]
    held_out: HeldOut
    undefined_bars: int
    """Left out, as a term is undefined there."""
    purged_bars: int
    """Left out, as their terms or their expansion reach from one part into the other."""
    unlabelled_bars: int
    undefined: Undefined
    block_size: int
    seed: int
    source: str


def search_proxies(
    bars: Bars,
    spans: Spans,
    *,
    labelled: Bool | None = None,
    grid: Sequence[ProxyFormula] = GRID,
    block_size: int = 105,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    undefined: Undefined = "nan",
    draws: int = 999,
    seed: int,
) -> ProxySearch:
    """Chooses the formula of the greatest correlation with the mask, and reports it on later bars.

    Args:
        bars: The bars, N of them.
        spans: Their expansions; the mask is their union.
        labelled: Bars that the annotator looked at, b1 (N,); all unless given. The others count nowhere.
        grid: Formulas to choose from; of equals the first is taken.
        block_size: Times a block.
        fractions: Share of the blocks in train, inner and test. There is nothing else to choose, so the
            formula and its threshold are chosen on train and inner together; test is held out.
        undefined: As `ProxyFormula.score`.
        draws: Of the null and of the interval each.
        seed: Of the draws.

    Returns:
        The search.

    Raises:
        ValueError: The spans do not fit the bars; a part has no bar inside an expansion, or none outside;
            no formula's score varies.
    """
    check_spans(spans, bars)
    if labelled is not None and (labelled.shape != (len(bars),) or labelled.dtype != np.bool_):
        raise ValueError(f"labelled: want bool ({len(bars)},), got {labelled.dtype} {labelled.shape}")
    if not grid or draws < 1:
        raise ValueError(f"grid, draws: want 1 or more of each, got {len(grid)} and {draws}")
    terms = proxy_terms(bars)
    mask = _union(spans, len(bars))
    block = time_blocks(bars, size=block_size)
    held = block_parts(block, fractions=fractions) == TEST
    asked = np.ones(len(bars), bool) if labelled is None else labelled
    purged = asked & _reaches_over(bars, spans, held)
    known = np.ones(len(bars), bool) if undefined == "zero" else _defined(terms)
    used = asked & ~purged & known
    train, test = used & ~held, used & held
    for name, part in (("train", train), ("held-out", test)):
        inside = int(mask[part].sum())
        if not 0 < inside < part.sum():
            raise ValueError(
                f"spans: want {name} bars inside and outside expansions, got {inside} of {part.sum()} inside"
            )
    points = [
        _point(formula, formula.score(terms, undefined=undefined)[train], mask[train]) for formula in grid
    ]
    found = [-np.inf if point.correlation is None else point.correlation for point in points]
    if max(found) == -np.inf:
        raise ValueError("grid: want a formula whose score varies over the train bars, got none")
    best = points[int(np.argmax(found))]
    train_spans = train[spans.start] | train[spans.end]
    means = expansion_stats(bars, spans)[train_spans].mean(numeric_only=True)
    score = best.formula.score(terms, undefined=undefined)[test]
    return ProxySearch(
        formula=best.formula,
        threshold=best.threshold,
        train_bars=int(train.sum()),
        train_positives=int(mask[train].sum()),
        train_means={
            name: None if np.isnan(means[name]) else float(means[name])
            for name in ("length", *ProxyTerms.model_fields)
        },
        grid=tuple(points),
        held_out=_held_out(score, mask[test], block[test], best.threshold, draws=draws, seed=seed),
        undefined_bars=int((asked & ~purged & ~known).sum()),
        purged_bars=int(purged.sum()),
        unlabelled_bars=int((~asked).sum()),
        undefined=undefined,
        block_size=block_size,
        seed=seed,
        source=bars.source,
    )


def write_proxy_search(folder: str | os.PathLike[str], search: ProxySearch, bars: Bars, spans: Spans) -> None:
    """Writes `proxy_formula.json` (the search) and `expansion_stats.csv` (a row an expansion).

    Args:
        folder: Where to; made if it is not there.
        search: What `search_proxies` found.
        bars: The bars it was found on.
        spans: The expansions.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    table = expansion_stats(bars, spans)
    write_atomically(target / "expansion_stats.csv", table.to_csv(index=False, lineterminator="\n").encode())
    write_atomically(target / "proxy_formula.json", (search.model_dump_json(indent=2) + "\n").encode())


def _union(spans: Spans, bars: int) -> Bool:
    step = np.zeros(bars + 1, np.int64)
    np.add.at(step, spans.start, 1)
    np.add.at(step, spans.end + 1, -1)
    inside: Bool = np.cumsum(step)[:-1] > 0
    return inside


def _defined(terms: ProxyTerms) -> Bool:
    defined: Bool = ~np.isnan(terms.ret5 + terms.streak + terms.vol20)
    return defined


def _reaches_over(bars: Bars, spans: Spans, held: Bool) -> Bool:
    """Marks bars whose look-back, or whose expansion, lies in both parts."""
    heads = segment_heads(bars.segment)
    head = np.repeat(heads[:-1], np.diff(heads))
    before = np.maximum(np.arange(len(bars)) - (LOOK_BACK - 1), head)
    over: Bool = held != held[before]
    for i in np.flatnonzero(held[spans.start] != held[spans.end]):
        over[spans.start[i] : spans.end[i] + 1] = True
    return over


def _point(formula: ProxyFormula, score: Double, mask: Bool) -> GridPoint:
    order = np.argsort(-score, kind="stable")
    hits, marked = np.cumsum(mask[order]), np.arange(1, len(score) + 1)
    f1 = 2 * hits / (marked + mask.sum())
    # A threshold marks all bars of equal score: only the last of them is a place to stop.
    f1[:-1][np.diff(score[order]) == 0] = -1
    best = int(np.argmax(f1))
    correlation = _correlation(_rows(score, mask, score >= 0).sum(axis=0))
    return GridPoint(
        formula=formula,
        correlation=None if np.isnan(correlation) else float(correlation),
        threshold=float(score[order[best]]),
        f1=float(f1[best]),
    )


def _rows(score: Double, mask: Bool, marked: Bool) -> Double:
    """Gives a row a bar, the sums of which are all that correlation and F1 need."""
    y = mask.astype(np.float64)
    columns = [np.ones(len(score)), score, y, score * y, score**2, marked * y, marked.astype(np.float64)]
    return np.stack(columns, axis=-1)


def _correlation(sums: Double) -> Double:
    n, x, y, xy, xx, *_ = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (n * xx - x**2) * (n * y - y**2)
        # Rounding leaves a constant score a spread that is not quite nothing.
        spread = np.where(n * xx - x**2 > 1e-12 * n * xx, spread, np.nan)
        return np.asarray((n * xy - x * y) / np.sqrt(spread))


def _f1(sums: Double) -> Double:
    _, _, y, _, _, hits, marked = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * hits / (marked + y))


def _held_out(
    score: Double, mask: Bool, block: npt.NDArray[np.int64], threshold: float, *, draws: int, seed: int
) -> HeldOut:
    generator = np.random.default_rng(seed)
    marked = score >= threshold
    rows = _rows(score, mask, marked)
    sums = rows.sum(axis=0)
    blocks, number = np.unique(block, return_inverse=True)
    by_block = np.zeros((len(blocks), rows.shape[1]))
    np.add.at(by_block, number, rows)
    drawn = generator.multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), size=draws) @ by_block
    # Turned by some bars against the mask, the scores keep their runs and lose what they know.
    turned, inside = np.tile(sums, (draws, 1)), np.flatnonzero(mask)
    for row, by in zip(turned, generator.integers(1, len(score), size=draws), strict=True):
        there = (inside - by) % len(score)
        row[3], row[5] = score[there].sum(), marked[there].sum()
    ordered = _rows(np.sort(score), np.sort(mask), marked).sum(axis=0)
    share = float(mask.mean())
    hits, count = float(sums[5]), float(sums[6])
    return HeldOut(
        bars=len(score),
        positives=int(mask.sum()),
        blocks=len(blocks),
        correlation=None
        if np.isnan(_correlation(sums))
        else _estimate(_correlation, sums, drawn, turned, ordered),
        f1=_estimate(_f1, sums, drawn, turned, None),
        precision=hits / count if count else None,
        recall=hits / float(mask.sum()),
        f1_of_marking_all=2 * share / (1 + share),
    )


def _estimate(
    statistic: Callable[[Double], Double], sums: Double, drawn: Double, turned: Double, ordered: Double | None
) -> Estimate:
    value, null = float(statistic(sums)), statistic(turned)
    # A draw of blocks may hold no expansion, which leaves the number undefined there.
    low, high = np.nanquantile(statistic(drawn), [0.025, 0.975])
    return Estimate(
        value=value,
        interval=(float(low), float(high)),
        null_mean=float(null.mean()),
        null_high=float(np.quantile(null, 0.95)),
        p=(1 + int((null >= value).sum())) / (1 + len(null)),
        ceiling=1.0 if ordered is None else float(statistic(ordered)),
    )
