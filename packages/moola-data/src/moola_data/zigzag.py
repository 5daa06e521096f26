"""The swing detector of the "jade" features: legs up and down, each ended by a close, none redrawn later."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from moola_data._fuse import part

# ATR10 from a leg's extreme to the close that confirms it as a swing; a hair less, so that equality confirms
# whatever the rounding of prices that are no binary fractions.
TURN = 1.5 * (1 - 1e-9)
LEAST_LEG = 3.0  # bars from one confirmation to the next


class Swing(NamedTuple):
    """A confirmed swing; price and bar mean nothing while `there` is 0."""

    there: float
    price: float
    at: float  # bar of the extreme, not of its confirmation


class Leg(NamedTuple):
    """The leg under way, in coordinates in which it goes up: prices times `side`.

    Before the first leg, `extreme` is the highest price so far and `reply` the lowest, as they stand.
    """

    side: float  # +1 after a confirmed swing low, -1 after a swing high, 0 before the first
    extreme: float  # its farthest price so far
    extreme_at: float
    reply: float  # the farthest way back since then, or since the confirmation
    reply_at: float
    confirmed_at: float


class Swings(NamedTuple):
    """What is known of the swings after a bar."""

    leg: Leg
    high: Swing
    low: Swing


@part
def no_swings(high: float, low: float) -> Swings:
    """Returns the detector before its first bar, which has this high and low."""
    return Swings(Leg(0.0, high, 0.0, low, 0.0, 0.0), Swing(0.0, 0.0, 0.0), Swing(0.0, 0.0, 0.0))


@part
def next_swings(
    was: Swings, at: float, high: float, low: float, close: float, tr_sum: float, count: float
) -> Swings:
    """Moves the detector by one bar.

    A leg ends when a close comes back from its extreme by 1.5 ATR10 (the sum of `count` true ranges over
    their number), on a later bar than the extreme and at least three bars after the leg was confirmed. Its
    extreme becomes a swing; the next leg's extreme is the farthest way back since then, or since the leg was
    confirmed if that was later.
    """
    leg = was.leg
    if leg.side == 0:
        return _first_leg(was, at, high, low, close, tr_sum, count)
    up = leg.side > 0
    top = high if up else -low
    if top > leg.extreme:
        return Swings(Leg(leg.side, top, at, np.inf, at, leg.confirmed_at), was.high, was.low)
    bottom = low if up else -high
    reply, reply_at = (bottom, at) if bottom < leg.reply else (leg.reply, leg.reply_at)
    back = (leg.extreme - leg.side * close) * count >= TURN * tr_sum
    if not (back & (tr_sum > 0) & (at - leg.confirmed_at >= LEAST_LEG)):
        going = Leg(leg.side, leg.extreme, leg.extreme_at, reply, reply_at, leg.confirmed_at)
        return Swings(going, was.high, was.low)
    swing = Swing(1.0, leg.side * leg.extreme, leg.extreme_at)
    turned = Leg(-leg.side, -reply, reply_at, np.inf, at, at)
    return Swings(turned, swing if up else was.high, was.low if up else swing)


@part
def _first_leg(
    was: Swings, at: float, high: float, low: float, close: float, tr_sum: float, count: float
) -> Swings:
    leg = was.leg
    top, top_at = (high, at) if high > leg.extreme else (leg.extreme, leg.extreme_at)
    bottom, bottom_at = (low, at) if low < leg.reply else (leg.reply, leg.reply_at)
    falls = (tr_sum > 0) & (top_at < at) & ((top - close) * count >= TURN * tr_sum)
    rises = (tr_sum > 0) & (bottom_at < at) & ((close - bottom) * count >= TURN * tr_sum)
    if falls == rises:  # if both, neither came first
        return Swings(Leg(0.0, top, top_at, bottom, bottom_at, 0.0), was.high, was.low)
    if falls:
        return Swings(Leg(-1.0, -low, at, np.inf, at, at), Swing(1.0, top, top_at), was.low)
    return Swings(Leg(1.0, high, at, np.inf, at, at), was.high, Swing(1.0, bottom, bottom_at))
