"""The checks of `moola_data.feature_audit`: each returns a number a feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from moola_data.features import Mirror, segment_heads
from moola_data.mirror import mirror_bars
from moola_data.schema import Bars

Values = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
Int = npt.NDArray[np.int64]
TINY = 2.0**-24  # changes the unit of a price and none of its digits


@dataclass(frozen=True)
class Subject:
    """What is audited: features as a function of bars, their values on given bars, and what they declare."""

    compute: Callable[[Bars], Values]
    bars: Bars
    whole: Values  # (N, F)
    names: tuple[str, ...]
    warmup: Int
    low: Numbers  # NaN where nothing is declared, as in `high`
    high: Numbers
    mirrors: tuple[Mirror | None, ...]
    lasting: Marks
    flag: Marks
    context: int  # bars before a window that its features are computed from

    @property
    def span(self) -> Numbers:
        """The declared range, or the one seen."""
        seen = np.nanmax(self.whole, axis=0) - np.nanmin(self.whole, axis=0)
        return np.where(np.isnan(self.low), np.maximum(seen, 1e-12), self.high - self.low)

    @property
    def known(self) -> Marks:
        """Which values are past the warm-up of their segment, (N, F)."""
        heads = segment_heads(self.bars.segment)
        age = np.arange(len(self.whole)) - np.repeat(heads[:-1], np.diff(heads))
        return age[:, None] >= self.warmup

    def part(self, start: int, stop: int) -> Values:
        """Computes the features of some of the bars as if there were no others."""
        arrays = ("time", "open", "high", "low", "close", "symbol", "segment")
        return self.compute(
            self.bars.model_copy(update={name: getattr(self.bars, name)[start:stop] for name in arrays})
        )

    def differ(self, a: Values, b: Values, *, share: float = 1e-3) -> Marks:
        """Marks values that differ by more than a share of the range; NaN equals NaN."""
        apart = ~(np.abs(a - b) <= share * self.span)
        unknown: Marks = np.isnan(a) & np.isnan(b)
        return apart & ~unknown


def random_starts(bars: Bars, rng: np.random.Generator, count: int, *, before: int, after: int) -> Int:
    """Draws bars that have so many of their segment before and from them on.

    Raises:
        ValueError: There is no such bar.
    """
    heads = segment_heads(bars.segment)
    free = np.concatenate(
        [np.arange(first + before, stop - after + 1) for first, stop in pairwise(heads.tolist())]
    )
    if not len(free):
        wanted = before + after
        raise ValueError(f"bars: want a segment of {wanted} bars, got at most {int(np.diff(heads).max())}")
    return rng.choice(free, count)


def repaints(subject: Subject, stops: Int) -> Int:
    """Counts the prefixes that give another value anywhere than the whole."""
    count = np.zeros(len(subject.names), np.int64)
    for stop in stops.tolist():
        count += _unequal(subject.part(0, stop), subject.whole[:stop]).any(axis=0)
    return count


def looks_ahead(subject: Subject, rng: np.random.Generator, *, cuts: int) -> Int:
    """Counts the cuts before which a value changes when the bars behind are shuffled and trebled."""
    bars = subject.bars
    count = np.zeros(len(subject.names), np.int64)
    for cut in rng.integers(1, len(bars), cuts).tolist():
        order = cut + rng.permutation(len(bars) - cut)
        future = {
            name: np.concatenate([getattr(bars, name)[:cut], 3 * getattr(bars, name)[order]])
            for name in ("open", "high", "low", "close")
        }
        there = subject.compute(bars.model_copy(update=future))
        count += _unequal(there[:cut], subject.whole[:cut]).any(axis=0)
    return count


def _unequal(a: Values, b: Values) -> Marks:
    return ~np.isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=True)


def settles_after(subject: Subject, begin: Int, *, horizon: int) -> Int:
    """Finds the bar from which on at most one in twenty cold starts differs from the running values.

    At every later bar by itself: over all of them, a few values that stay wrong would be lost in the mass.
    """
    late = np.zeros((horizon, len(subject.names)))
    for start in begin.tolist():
        cold = subject.part(start, start + horizon)
        late += subject.differ(cold, subject.whole[start : start + horizon])
    unsettled = late > 0.05 * len(begin)
    found: Int = np.where(unsettled, np.arange(1, horizon + 1)[:, None], 0).max(axis=0)
    return found


def window_trace(subject: Subject, begin: Int, *, length: int) -> Numbers:
    """Measures which share of a window's values depends on where the window begins."""
    count = np.zeros(len(subject.names))
    for start in begin.tolist():
        window = subject.part(start - subject.context, start + length)[subject.context :]
        count += subject.differ(window, subject.whole[start : start + length]).sum(axis=0)
    return count / (len(begin) * length)


def shared_code(subject: Subject, begin: Int, *, length: int) -> Numbers:
    """Measures how often a known value has the code that stands for "not known yet" in windows.

    The code is the value of the first bar of every cold start, if it is one; it stands for the unknown on the
    bars of windows on which it has lasted while the running value is another.
    """
    code = np.array([subject.part(start, start + length)[0] for start in begin.tolist()])
    coded = (code == code[0]).all(axis=0)
    unknowns = np.zeros(len(coded))
    absent: list[Values] = []
    for start in begin.tolist():
        window = subject.part(start - subject.context, start + length)
        still = np.logical_and.accumulate(window == code[0], axis=0)[subject.context :]
        unknown = still & subject.differ(window[subject.context :], subject.whole[start : start + length])
        unknowns += unknown.sum(axis=0)
        absent.append(np.where(unknown[:, :, None], window[subject.context :, None, :], np.nan))
    same = (subject.whole == code[0]) & subject.known
    share = same.sum(axis=0) / np.maximum(subject.known.sum(axis=0), 1)
    often = unknowns >= 1e-3 * len(begin) * length  # else it is a feature that settled late, once
    told_apart = _flagged(np.concatenate(absent), same, subject)
    shared: Numbers = np.where(coded & often & ~told_apart, share, 0.0)
    return shared


def _flagged(absent: Values, same: Marks, subject: Subject) -> Marks:
    """Finds features with a flag that has one value wherever they are unknown and never where they are known.

    `absent` holds all columns (last axis) of each bar and feature where that is unknown, NaN elsewhere.
    """
    flagged = np.zeros(same.shape[1], bool)
    for feature in range(same.shape[1]):
        rows = absent[:, feature][:, subject.flag]
        rows = rows[~np.isnan(rows).any(axis=1)]
        if len(rows):
            seen = subject.whole[same[:, feature]][:, subject.flag]
            flagged[feature] = ((rows == rows[0]).all(axis=0) & ~(seen == rows[0]).any(axis=0)).any()
    return flagged


def scale_breaks(subject: Subject) -> Numbers:
    """Measures which share of the values changes when prices are in another unit."""
    changed = []
    for factor in (TINY, 10.0):
        bars = subject.bars
        scaled = {name: factor * getattr(bars, name) for name in ("open", "high", "low", "close")}
        there = subject.compute(bars.model_copy(update=scaled))
        changed.append(subject.differ(there, subject.whole, share=1e-5).mean(axis=0))
    most: Numbers = np.maximum(*changed)
    return most


def mirror_breaks(subject: Subject) -> Numbers:
    """Measures which share of the values is not the declared image when prices are turned upside down."""
    there = subject.compute(mirror_bars(subject.bars))
    broken = np.full(len(subject.names), np.nan)
    for column, image in enumerate(subject.mirrors):
        if image is not None:
            expected = image.offset + image.scale * subject.whole[:, subject.names.index(image.partner)]
            apart = np.abs(there[:, column] - expected) > 1e-3 * subject.span[column]
            broken[column] = apart[subject.known[:, column]].mean()
    return broken


def flips(subject: Subject) -> Numbers:
    """Measures on which share of bars a feature changes sign, or, if it has none, goes against its drift."""
    known = subject.known[1:] & (np.diff(subject.bars.segment) == 0)[:, None]
    now, before = subject.whole[1:], subject.whole[:-1]
    turns = (now * before < 0) & known
    up, down = (now > before) & known, (now < before) & known
    against = np.minimum(up.sum(axis=0), down.sum(axis=0))
    signed = np.where(np.isnan(subject.low), (subject.whole < 0).any(axis=0), subject.low < 0)
    share: Numbers = np.where(signed, turns.sum(axis=0), against) / np.maximum(known.sum(axis=0), 1)
    return share


def range_used(subject: Subject) -> Numbers:
    """Measures the share of the declared range between the 0.1 % and the 99.9 % quantile."""
    values = np.where(subject.known, subject.whole, np.nan)
    low, high = np.nanquantile(values, [0.001, 0.999], axis=0)
    used: Numbers = (high - low) / (subject.high - subject.low)
    return used
