"""What charts are read for beside swings: breaks of structure, order blocks, fair value gaps, consolidations.

The words are those of chart readers; here each is a rule on closed bars. Blocks, gaps and consolidations are
forgotten after 100 bars, so that no feature depends on what was long before.
"""

from __future__ import annotations

from typing import NamedTuple

from moola_data._fuse import part
from moola_data.zigzag import Swings

AGE = 100.0  # bars after which a stretch of prices is forgotten


class Block(NamedTuple):
    """A stretch of prices, of which `there` says whether it exists (1 or 0)."""

    there: float
    top: float
    bottom: float
    at: float  # bar it came to be


class Structure(NamedTuple):
    """The last break of a swing, the swings still unbroken, and the order blocks that breaks left behind."""

    side: float  # +1 where a close last rose above a swing high, -1 where one fell below a swing low, or 0
    broken_at: float
    open_high: bool  # whether the last swing high stands unbroken
    open_low: bool
    falling: Block  # the last bar that closed below its open
    rising: Block
    above: Block  # order blocks
    below: Block


class Gaps(NamedTuple):
    """The last fair value gap on either side that is not filled."""

    above: Block
    below: Block


@part
def nothing() -> Block:
    """Returns a block that is not there."""
    return Block(0.0, 0.0, 0.0, 0.0)


@part
def no_structure() -> Structure:
    """Returns the state before the first bar."""
    return Structure(0.0, 0.0, False, False, nothing(), nothing(), nothing(), nothing())


@part
def next_structure(
    was: Structure,
    before: Swings,
    now: Swings,
    at: float,
    open_: float,
    high: float,
    low: float,
    close: float,
) -> Structure:
    """Moves by one bar, given the swings before and after it.

    A close beyond the last confirmed swing breaks it, once. The order block of a break upwards is the last
    bar before it that closed below its open; a close below the block ends it. Downwards all is turned round.
    """
    side, broken_at, above, below = was.side, was.broken_at, was.above, was.below
    open_high = was.open_high | ((now.leg.side < 0) & (before.leg.side >= 0))
    open_low = was.open_low | ((now.leg.side > 0) & (before.leg.side <= 0))
    if close < below.bottom or at - below.at > AGE:
        below = nothing()
    if close > above.top or at - above.at > AGE:
        above = nothing()
    if open_high and close > now.high.price:
        side, broken_at, open_high = 1.0, at, False
        below = Block(was.falling.there, was.falling.top, was.falling.bottom, at)
    if open_low and close < now.low.price:
        side, broken_at, open_low = -1.0, at, False
        above = Block(was.rising.there, was.rising.top, was.rising.bottom, at)
    falling = Block(1.0, high, low, at) if close < open_ else was.falling
    rising = Block(1.0, high, low, at) if close > open_ else was.rising
    return Structure(side, broken_at, open_high, open_low, falling, rising, above, below)


@part
def no_gaps() -> Gaps:
    """Returns the state before the first bar."""
    return Gaps(nothing(), nothing())


@part
def next_gaps(was: Gaps, at: float, high: float, low: float, high_2: float, low_2: float) -> Gaps:
    """Moves by one bar, given high and low two bars before it, or its own where there are none.

    A low above the high of two bars before leaves a gap below, until a low comes down to its lower edge; the
    newest gap counts.
    """
    above, below = was.above, was.below
    if low <= below.bottom or at - below.at > AGE:
        below = nothing()
    if high >= above.top or at - above.at > AGE:
        above = nothing()
    if low > high_2:
        below = Block(1.0, low, high_2, at)
    if high < low_2:
        above = Block(1.0, low_2, high, at)
    return Gaps(above, below)


@part
def next_zone(was: Block, at: float, tight: bool, top: float, bottom: float) -> Block:
    """Moves by one bar: where the last bars are tight, their range is the consolidation."""
    if tight:
        return Block(1.0, top, bottom, at)
    return nothing() if at - was.at > AGE else was
