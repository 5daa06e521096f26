"""A drawn market whose bars are made of trades: another family than the worlds with a known ceiling.

Volatility is a hidden autoregression, trends swell and fade, bars are the first, highest, lowest and last
of some trades, and every stretch has settings of its own. Nothing here can be inverted, so there is no
ceiling; it is meant for learning from, before labels of a market that matters.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from moola_data.bar_model import MINUTE
from moola_data.schema import Bars, Spans

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
TRADES = 16
"""Trades a bar."""
WARMUP = 120
"""Bars of a stretch before its first window."""


class TradeMarket(NamedTuple):
    """Drawn bars, where the trends out of a calm lie, and windows end to end."""

    bars: Bars
    spans: Spans
    """Without types: only what a calm came before is marked."""
    starts: Integers
    """First bars of the windows, (n,)."""
    length: int


def trade_market(n: int, *, seed: int, length: int = 105, per_stretch: int = 10) -> TradeMarket:
    """Draws bars in which expansions are trends that follow a calm.

    Quiet trade is broken by calms and by things that only look like an expansion: trends out of nothing,
    false breaks, bursts of volatility. Of each stretch the strength of trends (.3 to 1.6 volatilities a bar
    at their height), the depth of calms, the persistence of volatility, the tails of a trade and the bounce
    between bid and ask are drawn anew.

    Args:
        n: Windows.
        seed: Of everything.
        length: Bars a window.
        per_stretch: Windows to a stretch; nothing crosses from one to the next.

    Returns:
        The market; prices are positive, and no span leaves its stretch.

    Raises:
        ValueError: A number is below 1.

    >>> market = trade_market(20, seed=0)
    >>> len(market.starts), len(market.bars) == 2 * (10 * 105 + WARMUP), len(market.spans) > 5
    (20, True, True)
    """
    for name, value in (("n", n), ("length", length), ("per_stretch", per_stretch)):
        if value < 1:
            raise ValueError(f"{name}: want 1 or more, got {value}")
    draw = np.random.default_rng(seed)
    stretch = WARMUP + per_stretch * length
    count = -(-n // per_stretch)
    bars = count * stretch
    drift, scale, marked = np.zeros(bars), np.ones(bars), np.zeros(bars, np.int64)
    settings = np.empty((count, 4))
    for number in range(count):
        here = slice(number * stretch, (number + 1) * stretch)
        settings[number] = draw.uniform((0.9, 0.05, 0.0, 3.0), (0.99, 0.2, 0.4, 8.0))
        _episodes(drift[here], scale[here], marked[here], draw)
    noise = draw.standard_normal(bars)
    trades = draw.standard_t(np.repeat(settings[:, 3], stretch)[:, None], (bars, TRADES))
    prices = _trade(drift, scale, noise, trades, settings, stretch)
    segment = np.repeat(np.arange(count), stretch)
    edges = np.diff(np.concatenate([[0], marked, [0]]))
    start = np.flatnonzero((edges != 0) & (np.concatenate([marked, [0]]) > 0))
    end = np.flatnonzero((edges != 0) & (np.concatenate([[0], marked]) > 0)) - 1
    first = np.arange(count)[:, None] * stretch + WARMUP + np.arange(per_stretch) * length
    return TradeMarket(
        bars=Bars(
            time=np.datetime64("2020-01-01", "ns") + (np.arange(bars) + 60 * segment) * MINUTE,
            open=prices[:, 0],
            high=prices[:, 1],
            low=prices[:, 2],
            close=prices[:, 3],
            symbol=np.zeros(bars, np.int32),
            segment=segment,
            symbols=("TRADES",),
            source=f"moola_data trade_market, seed {seed}",
        ),
        spans=Spans(
            start=start,
            end=end,
            type=np.full(len(start), -1, np.int64),
            weight=np.ones(len(start), np.float32),
            type_names=("consolidation", "retracement"),
            annotator="truth",
            label="expansion",
        ),
        starts=first.ravel()[:n],
        length=length,
    )


def _episodes(drift: Floats, scale: Floats, marked: Integers, draw: np.random.Generator) -> None:
    """Writes what happens in a stretch: drift in volatilities, factor on volatility, number of the span."""
    strength = math.exp(draw.uniform(math.log(0.3), math.log(1.6)))
    depth, apart = draw.uniform(0.35, 0.85), draw.uniform(15, 70)
    at, number = int(draw.exponential(apart)), 0
    while at < len(drift):
        calm = draw.random() < 0.7
        if calm:
            last = at + int(draw.integers(8, 36))
            scale[at:last] = depth
            at = last
        if at >= len(drift):
            return
        kind, sign = draw.random(), 1.0 if draw.random() < 0.5 else -1.0
        bars = int(np.clip(round(math.exp(draw.normal(2.1, 0.4))), 4, 25))
        here = slice(at, min(at + bars, len(drift)))
        if kind < 0.6:
            swell = np.sin(math.pi * (np.arange(bars) + 1) / (bars + 1)) ** draw.uniform(0.2, 1.0)
            drift[here] = (sign * strength * draw.uniform(0.7, 1.3) * swell)[: here.stop - here.start]
            if calm and here.stop == at + bars:
                number += 1
                marked[here] = number
        elif kind < 0.8:
            there = int(draw.integers(1, 4))
            drift[at : at + there] = sign * 2 * strength
            drift[at + there : at + 2 * there] = -sign * 2 * strength
            bars = 2 * there
        else:
            scale[here] = draw.uniform(1.4, 2.2)
        at += bars + 1 + int(draw.exponential(apart))


@numba.njit(cache=True)
def _trade(
    drift: Floats, scale: Floats, noise: Floats, trades: Floats, settings: Floats, stretch: int
) -> Floats:
    """Gives open, high, low, close, (N, 4); prices of a stretch begin at 100."""
    bars, each = trades.shape
    out = np.empty((bars, 4))
    price = hidden = 0.0
    for t in range(bars):
        stays, moves, bounce, dof = settings[t // stretch]
        if t % stretch == 0:
            price, hidden = math.log(100.0), 0.0
        hidden = stays * hidden + moves * noise[t]
        volatility = 0.002 * math.exp(hidden)
        unit = scale[t] * volatility * math.sqrt((dof - 2) / dof / each)
        first = most = least = last = 0.0
        for k in range(each):
            price += drift[t] * volatility / each + unit * trades[t, k]
            # A trade is at the bid or the ask; which one, the size of its own move says.
            seen = price + bounce * volatility * (0.5 if trades[t, k] > 0 else -0.5)
            if k == 0:
                first = most = least = seen
            most, least = max(most, seen), min(least, seen)
            last = seen
        out[t, 0], out[t, 1], out[t, 2], out[t, 3] = (
            math.exp(first),
            math.exp(most),
            math.exp(least),
            math.exp(last),
        )
    return out
