"""The feature set "jade": what a bar looks like, where it stands, and how it got there.

Every length is measured in true ranges, so that no price unit matters, and every feature has an exact image
when prices are turned upside down. Swings are confirmed by closes only, by a bar later than the extreme and
at least three bars after the last confirmation; what does not exist (yet) has a flag or a code of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from moola_data import _recent, market_structure, zigzag
from moola_data._fuse import fingerprint, part, row_writer
from moola_data._recent import (
    HORIZONS,
    RING,
    at_bar,
    max_of,
    push_max,
    push_sum,
    sum_of,
    sum_of_10,
    sum_of_50,
    values_ago,
)
from moola_data.features import Feature, FeatureSet, Mirror
from moola_data.market_structure import (
    Block,
    Gaps,
    Structure,
    next_gaps,
    next_structure,
    next_zone,
    no_gaps,
    no_structure,
    nothing,
)
from moola_data.zigzag import Swings, next_swings, no_swings

Float = npt.NDArray[np.float64]

FAR = 6.0  # ATR50; a greater distance is as far
TIGHT = 2.5 * (1 + 1e-9)  # ATR50: ten bars within that, or a rounding more, are a consolidation
EMA_WEIGHT = 2 / 21
ATR50 = 50
"""Bars after which nothing before them is in the mean true range that lengths are measured in."""
SWINGS = 120
"""Bars after which a cold start of the swing detector has met the warm one, with all that follows from it."""


class State(NamedTuple):
    """What is known after a bar."""

    at: float  # number of the bar in its segment
    open: float
    high: float
    low: float
    close: float
    last: float  # close before
    per_atr: float  # 1 / ATR50, the mean of 50 true ranges; 0 where nothing moved, so that distances are 0
    atr_ratio: float  # ATR10 / ATR50
    ema: float  # of closes
    run: float  # bars in a row with bodies of one sign, signed
    back: tuple[float, float, float, float]  # close 3, 5, 10 and 20 bars ago
    path: tuple[float, float, float, float]  # sum of the |moves| of the close
    top: tuple[float, float, float, float]  # highest high
    bottom: tuple[float, float, float, float]  # lowest low
    top4: float
    bottom4: float
    swings: Swings
    structure: Structure
    gaps: Gaps
    zone: Block  # the last consolidation


@part
def _clip(x: float, most: float) -> float:
    return min(max(x, -most), most)


@part
def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


@part
def _fresh(bars: float) -> float:
    """1 now, 1/2 after 20 bars, towards 0 as time goes by: the code of what never was."""
    return 20 / (20 + bars)


@part
def _near(distance: float, per_atr: float) -> float:
    """1 at the edge and beyond it, 1/2 one ATR away, towards 0 far off: the code of what is not there."""
    return 1 / (1 + max(distance, 0.0) * per_atr)


def _odd(
    name: str,
    formula: str,
    most: float,
    unit: str,
    warmup: int,
    function: Callable[[State], float],
    *,
    lasting: bool = False,
) -> Feature:
    """A feature that changes its sign when prices are turned upside down."""
    return Feature(name, formula, -most, most, unit, warmup, Mirror(name, -1), function, lasting=lasting)


def _even(
    name: str,
    formula: str,
    most: float,
    unit: str,
    warmup: int,
    function: Callable[[State], float],
    *,
    lasting: bool = False,
) -> Feature:
    """A feature of at least 0 that turning prices upside down leaves as it is."""
    return Feature(name, formula, 0, most, unit, warmup, Mirror(name), function, lasting=lasting)


def _pair(
    above: str,
    below: str,
    formula: str,
    low: float,
    high: float,
    unit: str,
    function_above: Callable[[State], float],
    function_below: Callable[[State], float],
    *,
    lasting: bool = False,
    flag: bool = False,
) -> tuple[Feature, Feature]:
    """Two features of the two sides, which change places when prices are turned upside down."""
    return (
        Feature(
            above, formula, low, high, unit, SWINGS, Mirror(below), function_above, lasting=lasting, flag=flag
        ),
        Feature(
            below, formula, low, high, unit, SWINGS, Mirror(above), function_below, lasting=lasting, flag=flag
        ),
    )


def _horizon(k: int, bars: int) -> tuple[Feature, ...]:
    """What the last `bars` bars did; `k` is their place in `HORIZONS`."""
    root = 1 / math.sqrt(bars)  # a random walk goes as far as the root of its length
    return (
        _odd(f"momentum_{bars}", f"(close - close {bars} bars ago) / (ATR50 * sqrt {bars})", 3, "ATR", ATR50,
             lambda s: _clip((s.close - s.back[k]) * s.per_atr * root, 3.0)),
        _odd(f"efficiency_{bars}", f"(close - close {bars} bars ago) / sum of |moves|", 1, "path", bars + 1,
             lambda s: _clip(_share(s.close - s.back[k], s.path[k]), 1.0)),
        _even(f"range_{bars}", f"(highest - lowest of {bars} bars) / (ATR50 * sqrt {bars})", 4, "ATR", ATR50,
              lambda s: min((s.top[k] - s.bottom[k]) * s.per_atr * root, 4.0)),
    )  # fmt: skip


@part
def _leg_size(z: Swings) -> float:
    """From the swing the leg began at to its extreme so far, signed; 0 before the first leg."""
    start = z.low.price if z.leg.side > 0 else z.high.price
    return (z.leg.side * z.leg.extreme - start) * abs(z.leg.side)


@part
def _given_back(z: Swings, close: float) -> float:
    """From the leg's extreme back to the close; 0 before the first leg."""
    return (z.leg.extreme - z.leg.side * close) * abs(z.leg.side)


COLUMNS = (
    _odd("body", "(close - open) / (high - low); 0 without range", 1, "bar range", 0,
         lambda s: _share(s.close - s.open, s.high - s.low)),
    _odd("close_place", "(2 close - high - low) / (high - low); 0 without range", 1, "bar range", 0,
         lambda s: _share(2 * s.close - s.high - s.low, s.high - s.low)),
    _even("bar_range", "(high - low) / ATR50", 4, "ATR", ATR50,
          lambda s: min((s.high - s.low) * s.per_atr, 4.0)),
    _odd("opening_gap", "(open - close before) / ATR50", 2, "ATR", ATR50,
         lambda s: _clip((s.open - s.last) * s.per_atr, 2.0)),
    _even("atr_ratio", "ATR10 / ATR50", 3, "1", ATR50, lambda s: min(s.atr_ratio, 3.0)),
    _odd("ema_distance", "(close - EMA20 of closes) / ATR50", FAR, "ATR", 80,
         lambda s: _clip((s.close - s.ema) * s.per_atr, FAR)),
    *(feature for k, bars in enumerate(HORIZONS) for feature in _horizon(k, bars)),
    _odd("move_in_range_3", "(close - close 3 bars ago) / (highest - lowest of 4 bars)", 1, "range", 5,
         lambda s: _share(s.close - s.back[0], s.top4 - s.bottom4)),
    _odd("acceleration", "(move of 5 bars - move of the 5 before) / (ATR50 * sqrt 10)", 3, "ATR", ATR50,
         lambda s: _clip((s.close - 2 * s.back[1] + s.back[2]) * s.per_atr / math.sqrt(10), 3.0)),
    _odd("streak", "bars in a row with bodies of this sign, signed, / 8", 1, "8 bars", 8,
         lambda s: _clip(s.run / 8, 1.0)),
    _odd("leg", "+1 after a confirmed swing low, -1 after a swing high, 0 before the first", 1, "1", SWINGS,
         lambda s: s.swings.leg.side, lasting=True),
    *_pair("has_swing_high", "has_swing_low", "1 once such a swing is confirmed, 0 before", 0, 1, "1",
           lambda s: s.swings.high.there,
           lambda s: s.swings.low.there, flag=True),
    *_pair("to_swing_high", "to_swing_low", "from the close to the last swing's price / ATR50", -FAR, FAR,
           "ATR",
           lambda s: _clip((s.swings.high.price - s.close) * s.per_atr * s.swings.high.there, FAR),
           lambda s: _clip((s.close - s.swings.low.price) * s.per_atr * s.swings.low.there, FAR)),
    *_pair("fresh_swing_high", "fresh_swing_low", "20 / (20 + bars since the swing)", 0, 1, "1",
           lambda s: _fresh(s.at - s.swings.high.at) * s.swings.high.there,
           lambda s: _fresh(s.at - s.swings.low.at) * s.swings.low.there, lasting=True),
    _odd("leg_size", "(leg's extreme so far - swing it began at) / ATR50", 2 * FAR, "ATR", SWINGS,
         lambda s: _clip(_leg_size(s.swings) * s.per_atr, 2 * FAR), lasting=True),
    _even("pullback", "share of the leg that the close has given back", 1, "leg", SWINGS,
          lambda s: min(_share(_given_back(s.swings, s.close), abs(_leg_size(s.swings))), 1.0)),
    _odd("structure", "side on which a close last broke the last swing, 0 before the first", 1, "1", SWINGS,
         lambda s: s.structure.side, lasting=True),
    _even("fresh_break", "20 / (20 + bars since that break)", 1, "1", SWINGS,
          lambda s: _fresh(s.at - s.structure.broken_at) * abs(s.structure.side), lasting=True),
    *_pair("order_block_above", "order_block_below",
           "nearness, for 100 bars, of the last opposite bar before a break", 0, 1, "1",
           lambda s: _near(s.structure.above.bottom - s.close, s.per_atr) * s.structure.above.there,
           lambda s: _near(s.close - s.structure.below.top, s.per_atr) * s.structure.below.there),
    *_pair("fair_value_gap_above", "fair_value_gap_below",
           "nearness, for 100 bars, of the last unfilled gap between a bar and the one two before", 0, 1, "1",
           lambda s: _near(s.gaps.above.bottom - s.close, s.per_atr) * s.gaps.above.there,
           lambda s: _near(s.close - s.gaps.below.top, s.per_atr) * s.gaps.below.there),
    _odd("zone_distance", "close beyond the last consolidation's edge / ATR50, for 100 bars", FAR, "ATR",
         SWINGS,
         lambda s: _clip((max(s.close - s.zone.top, 0.0) - max(s.zone.bottom - s.close, 0.0))
                         * s.per_atr * s.zone.there, FAR)),
    _even("fresh_zone", "20 / (20 + bars since the last consolidation), 0 after 100", 1, "1", SWINGS,
          lambda s: _fresh(s.at - s.zone.at) * s.zone.there, lasting=True),
)  # fmt: skip

_write = row_writer([feature.function for feature in COLUMNS])


@part
def _pass(
    open_: Float, high: Float, low: Float, close: Float, heads: npt.NDArray[np.int64], out: Float
) -> None:
    ranges, moves = np.empty((6, RING)), np.empty((5, RING))
    highs, minus_lows, closes = np.empty((5, RING)), np.empty((5, RING)), np.empty((1, RING))
    for segment in range(len(heads) - 1):
        head = heads[segment]
        ema = last = close[head]
        run = 0.0
        ranges[:], moves[:] = 0.0, 0.0
        highs[:], minus_lows[:], closes[:] = high[head], -low[head], last
        swings, structure = no_swings(high[head], low[head]), no_structure()
        gaps, zone = no_gaps(), nothing()
        for row in range(head, heads[segment + 1]):
            i = row - head
            at = float(i)
            o, h, l, c = open_[row], high[row], low[row], close[row]  # noqa: E741
            push_sum(ranges, i, max(h, last) - min(l, last) if i > 0 else h - l)
            push_sum(moves, i, abs(c - last))
            push_max(highs, i, h)
            push_max(minus_lows, i, -l)
            closes[0, i & (RING - 1)] = c
            top, minus_bottom = max_of(highs, i), max_of(minus_lows, i)
            bottom = (-minus_bottom[0], -minus_bottom[1], -minus_bottom[2], -minus_bottom[3])
            ten, ten_bars = sum_of_10(ranges, i), min(at + 1, 10.0)
            fifty, fifty_bars = sum_of_50(ranges, i), min(at + 1, 50.0)
            per_atr = fifty_bars / fifty if fifty > 0 else 0.0
            ema += EMA_WEIGHT * (c - ema)
            if c > o:
                run = max(run, 0.0) + 1
            elif c < o:
                run = min(run, 0.0) - 1
            else:
                run = 0.0
            before, swings = swings, next_swings(swings, at, h, l, c, ten, ten_bars)
            structure = next_structure(structure, before, swings, at, o, h, l, c)
            h2, l2 = (at_bar(highs, 0, i - 2), -at_bar(minus_lows, 0, i - 2)) if i >= 2 else (h, l)
            gaps = next_gaps(gaps, at, h, l, h2, l2)
            tight = (i >= 9) & (fifty > 0) & ((top[2] - bottom[2]) * fifty_bars <= TIGHT * fifty)
            zone = next_zone(zone, at, tight, top[2], bottom[2])
            state = State(
                at, o, h, l, c, last, per_atr, ten * per_atr / ten_bars, ema, run,
                values_ago(closes, i), sum_of(moves, i), top, bottom,
                at_bar(highs, 2, i), -at_bar(minus_lows, 2, i), swings, structure, gaps, zone,
            )  # fmt: skip
            _write(state, out, row)
            last = c


def _cached(sources: int) -> Callable[..., None]:
    @numba.njit(cache=True, error_model="numpy")
    def fill(
        open_: Float, high: Float, low: Float, close: Float, heads: npt.NDArray[np.int64], out: Float
    ) -> None:
        if sources >= 0:  # always; it ties the code on disk to the files that it is made from
            _pass(open_, high, low, close, heads, out)

    compiled: Callable[..., None] = fill
    return compiled


FEATURES = FeatureSet("jade", COLUMNS, _cached(fingerprint(_recent, market_structure, zigzag)))
