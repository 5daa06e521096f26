"""A rule that labels expansions by looking ahead: labels for bars that no person has marked.

The rule sees the whole run before it decides that the run's first bar starts one, so its spans are labels,
never features. Everything it measures is a ratio of price differences: multiplying all prices, shifting them
or turning them upside down changes nothing.
"""

from __future__ import annotations

from typing import Self

import numba
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from moola_data.schema import Bars, Spans

Double = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


class ExpansionRule(BaseModel):
    """What counts as an expansion: a run of bars s..e whose closes go one way, far and straight.

    With c the close, L = e - s + 1, net = |c[e] - c[s-1]|, path = sum of |c[i] - c[i-1]| over i = s..e, and
    the ATR the mean true range of the `atr_bars` bars before s:

    * min_bars <= L <= max_bars;
    * the first and the last bar close in the direction of the run;
    * net / ATR >= min_displacement * sqrt(L / min_bars), as a random walk goes further in more bars;
    * net / path >= min_efficiency.

    Of runs nearer than `min_gap` bars the strongest stays: the greatest net / (ATR sqrt(L)); of equals the
    earliest, then the shortest.

    A run is of type retracement if the close before it had come back by at least `min_retracement` ATR from
    the furthest close (in the direction of the run) of the `before_bars` bars before it; otherwise of type
    consolidation.

    The defaults mark about 7 % of the bars of the sample data, in spans of 7 bars on average.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_bars: int = Field(5, ge=1)
    """Fewest bars of a run."""
    max_bars: int = Field(15, ge=1)
    """Most bars of a run."""
    min_displacement: float = Field(4.5, ge=0)
    """Least net move of the shortest run, in ATR."""
    min_efficiency: float = Field(0.7, ge=0, le=1)
    """Least net move as a share of the path."""
    atr_bars: int = Field(20, ge=1)
    """Bars of the ATR, all before the run."""
    before_bars: int = Field(15, ge=1)
    """Bars before the run that decide its type."""
    min_retracement: float = Field(2.0, ge=0)
    """Least pull-back of a retracement, in ATR."""
    min_gap: int = Field(1, ge=0)
    """Fewest bars between two expansions."""

    @model_validator(mode="after")
    def _bars_in_order(self) -> Self:
        if self.max_bars < self.min_bars:
            raise ValueError(f"max_bars: want at least min_bars = {self.min_bars}, got {self.max_bars}")
        return self


def label_expansions(bars: Bars, rule: ExpansionRule | None = None) -> Spans:
    """Labels the expansions of every segment by rule. This looks ahead.

    Args:
        bars: The bars.
        rule: The rule; `ExpansionRule()` unless given.

    Returns:
        Spans in the order of the bars, of type 0 consolidation or 1 retracement, weight 1, with the rule as
        annotator. None lies in the first max(atr_bars, before_bars) bars of a segment.
    """
    if rule is None:
        rule = ExpansionRule()
    start, end, strength, kind = _runs(
        bars.high,
        bars.low,
        bars.close,
        bars.segment,
        rule.min_bars,
        rule.max_bars,
        rule.min_displacement,
        rule.min_efficiency,
        rule.atr_bars,
        rule.before_bars,
        rule.min_retracement,
    )
    strongest_first = np.lexsort((end, start, -strength))
    kept = _apart(start, end, strongest_first, len(bars), rule.min_gap)
    parameters = ", ".join(f"{name}={value}" for name, value in rule)
    return Spans(
        start=start[kept],
        end=end[kept],
        type=kind[kept],
        weight=np.ones(len(kept), np.float32),
        type_names=("consolidation", "retracement"),
        annotator=f"ExpansionRule({parameters})",
        label="expansion",
    )


@numba.njit(cache=True)
def _runs(
    high: Double,
    low: Double,
    close: Double,
    segment: Int,
    min_bars: int,
    max_bars: int,
    min_displacement: float,
    min_efficiency: float,
    atr_bars: int,
    before_bars: int,
    min_retracement: float,
) -> tuple[Int, Int, Double, Int]:
    """Lists every run that meets the rule, overlapping ones too: start, end, strength, type."""
    n = len(close)
    # A compiled list must hold something to have a type.
    starts, ends, strengths, kinds = [0], [0], [0.0], [0]
    head = 0
    for s in range(n):
        if s and segment[s] != segment[s - 1]:
            head = s
        if s - head < max(atr_bars, before_bars):
            continue
        total = 0.0
        for i in range(s - atr_bars, s):
            reach = high[i] - low[i]
            if i > head:
                reach = max(reach, abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
            total += reach
        if total <= 0:
            continue
        atr = total / atr_bars
        base = close[s - 1]
        first_step = close[s] - base
        if first_step == 0:
            continue
        way = 1.0 if first_step > 0 else -1.0
        furthest = 0.0
        for i in range(s - before_bars, s):
            furthest = max(furthest, way * (close[i] - base))
        kind = 1 if furthest / atr >= min_retracement else 0
        path = 0.0
        for e in range(s, min(s + max_bars, n)):
            if segment[e] != segment[s]:
                break
            step = way * (close[e] - close[e - 1])
            path += abs(step)
            size = e - s + 1
            net = way * (close[e] - base)
            if (
                size >= min_bars
                and step > 0
                and net >= atr * min_displacement * np.sqrt(size / min_bars)
                and net >= min_efficiency * path
            ):
                starts.append(s)
                ends.append(e)
                strengths.append(net / (atr * np.sqrt(size)))
                kinds.append(kind)
    return np.array(starts)[1:], np.array(ends)[1:], np.array(strengths)[1:], np.array(kinds)[1:]


@numba.njit(cache=True)
def _apart(start: Int, end: Int, order: Int, bars: int, gap: int) -> Int:
    """Takes runs in the given order, each unless a taken one is nearer than `gap` bars."""
    taken = np.zeros(bars, np.bool_)
    kept = [(0, 0)]
    for run in order:
        first, last = max(start[run] - gap, 0), min(end[run] + gap, bars - 1)
        if not taken[first : last + 1].any():
            taken[start[run] : end[run] + 1] = True
            kept.append((start[run], run))
    return np.array([run for _, run in sorted(kept[1:])], np.int64)
