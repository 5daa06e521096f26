"""How a synthetic bar looks, given the bars before it and its regime.

A bar is four numbers: the log gap from the last close to the open, the log body from open to close, and
the log wicks above and below the body. They and (open, high, low, close) determine each other once the last
close is known. Volatility is driven by *observed* bodies only (Beta-t-EGARCH: Harvey & Chakravarty 2008;
Harvey 2013), so a bar's density given a regime and the past is a closed formula and no state is hidden but
the regime. Fat tails, volatility clustering and bid-ask bounce therefore cost no exactness.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from moola_data.schema import Bars
from moola_data.world import World

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
MINUTE = np.timedelta64(60_000_000_000, "ns")


class BarParts(NamedTuple):
    """Bars as gap, body and wicks, each (N,) float64 in log price; wicks are not negative."""

    gap: Floats
    body: Floats
    upper: Floats
    lower: Floats


class Prices(NamedTuple):
    """Bars as prices, each (N,) float64."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats


def prices_of(parts: BarParts, stretches: Integers, *, price: float) -> Prices:
    """Composes prices; each stretch starts from `price`.

    Args:
        parts: The bars, N of them.
        stretches: (g + 1,) first bar of each stretch, then N.
        price: Close before the first bar of every stretch.

    Returns:
        The prices, of which high and low always enclose open and close.
    """
    total = np.cumsum(parts.gap + parts.body)
    before = np.concatenate([[0.0], total])[stretches[:-1]]
    close = price * np.exp(total - np.repeat(before, np.diff(stretches)))
    last = np.concatenate([[price], close[:-1]])
    last[stretches[:-1]] = price
    opening = last * np.exp(parts.gap)
    high = np.maximum(opening, close) * np.exp(parts.upper)
    low = np.minimum(opening, close) * np.exp(-parts.lower)
    return Prices(opening, high, low, close)


def bars_of(parts: BarParts, stretches: Integers, *, world: World, source: str) -> Bars:
    """Prices drawn bars, a minute each and an hour between stretches: one symbol, a segment a stretch."""
    prices = prices_of(parts, stretches, price=world.price)
    if world.tick:
        prices = Prices(*(np.round(p / world.tick) * world.tick for p in prices))
    segment = np.repeat(np.arange(len(stretches) - 1), np.diff(stretches))
    time = np.datetime64("2020-01-01", "ns") + (np.arange(len(segment)) + 60 * segment) * MINUTE
    return Bars(
        time=time,
        open=prices.open,
        high=prices.high,
        low=prices.low,
        close=prices.close,
        symbol=np.zeros(len(segment), np.int32),
        segment=segment,
        symbols=("SYN",),
        source=source,
    )


def parts_of(prices: Prices, stretches: Integers, *, price: float) -> BarParts:
    """Takes prices apart; the inverse of `prices_of` up to rounding of float64.

    >>> parts = BarParts(*(np.array([x]) for x in (0.001, 0.002, 0.0, 0.003)))
    >>> there = prices_of(parts, np.array([0, 1]), price=100.0)
    >>> bool(np.allclose(parts_of(there, np.array([0, 1]), price=100.0), parts, atol=1e-15))
    True
    """
    last = np.concatenate([[price], prices.close[:-1]])
    last[stretches[:-1]] = price
    return BarParts(
        gap=np.log(prices.open / last),
        body=np.log(prices.close / prices.open),
        upper=np.log(prices.high / np.maximum(prices.open, prices.close)),
        lower=np.log(np.minimum(prices.open, prices.close) / prices.low),
    )


def sample_parts(
    drift: Floats, scale: Floats, stretches: Integers, *, world: World, seed: np.random.Generator
) -> BarParts:
    """Draws bars with the given drift and scale.

    Args:
        drift: (N,) mean of each body, in volatilities.
        scale: (N,) factor on gap, body noise and wicks.
        stretches: (g + 1,) first bar of each stretch, then N. Volatility starts at rest in each.
        world: Its bar parameters are used.
        seed: The generator to draw from.

    Returns:
        N bars.
    """
    n = len(drift)
    dof = world.body_dof
    gap = world.gap_scale * scale * seed.laplace(size=n)
    noise = scale * math.sqrt((dof - 2) / dof) * seed.standard_t(dof, n)
    upper = world.wick_scale * scale * seed.standard_gamma(world.wick_shape, n)
    lower = world.wick_scale * scale * seed.standard_gamma(world.wick_shape, n)
    body = np.empty(n)
    volatility = np.empty(n)
    _drive(drift + noise, stretches, *_dynamics(world), body, volatility)
    return BarParts(gap * volatility, body, upper * volatility, lower * volatility)


def past_of(body: Floats, stretches: Integers, *, world: World) -> tuple[Floats, Floats]:
    """Computes what the past says about each bar: its volatility and its expected bounce.

    Args:
        body: (N,) log bodies.
        stretches: (g + 1,) first bar of each stretch, then N.
        world: Its bar parameters are used.

    Returns:
        volatility (N,) > 0 in log price, and bounce (N,) in volatilities. Neither reads its own bar.
    """
    volatility = np.empty(len(body))
    bounce = np.empty(len(body))
    _follow(body, stretches, *_dynamics(world), volatility, bounce)
    return volatility, bounce


def log_density(
    parts: BarParts, volatility: Floats, bounce: Floats, *, drift: float, scale: float, world: World
) -> Floats:
    """Log density of bars given their past and the look of their regime.

    Args:
        parts: The bars, N of them.
        volatility: (N,) from `past_of`.
        bounce: (N,) from `past_of`.
        drift: Mean of a body, in volatilities.
        scale: Factor on gap, body noise and wicks.
        world: Its bar parameters are used.

    Returns:
        (N,) log density with respect to gap, body and the two wicks.
    """
    unit = volatility * scale
    dof, shape = world.body_dof, world.wick_shape
    body_unit = unit * math.sqrt((dof - 2) / dof)
    t = (parts.body - volatility * (drift + bounce)) / body_unit
    gap = -np.abs(parts.gap) / (world.gap_scale * unit) - np.log(2 * world.gap_scale * unit)
    body = (
        math.lgamma((dof + 1) / 2)
        - math.lgamma(dof / 2)
        - 0.5 * math.log(dof * math.pi)
        - (dof + 1) / 2 * np.log1p(t * t / dof)
        - np.log(body_unit)
    )
    wicks = np.zeros_like(volatility)
    for wick in (parts.upper, parts.lower):
        x = wick / (world.wick_scale * unit)
        power = 0.0 if shape == 1 else (shape - 1) * np.log(x)
        wicks += power - x - math.lgamma(shape) - np.log(world.wick_scale * unit)
    return np.asarray(gap + body + wicks)


def likelihood_ratios(
    parts: BarParts, stretches: Integers, *, drift: Floats, scale: Floats, world: World
) -> Floats:
    """Density of each bar under each look, divided by the largest of them.

    What all looks share cancels in a posterior and is left out; a wick of length 0 does no harm.

    Args:
        parts: The bars, N of them.
        stretches: (g + 1,) first bar of each stretch, then N.
        drift: (L,) drift of each look.
        scale: (L,) scale of each look.
        world: Its bar parameters are used.

    Returns:
        (N, L) float64 in 0..1, with a 1 in every row.
    """
    volatility, bounce = past_of(parts.body, stretches, world=world)
    size = np.abs(parts.gap) / world.gap_scale + (parts.upper + parts.lower) / world.wick_scale
    out = np.empty((len(parts.body), len(drift)))
    dof = world.body_dof
    _ratios(
        parts.body / volatility - bounce, size / volatility, drift, scale, dof, 2 + 2 * world.wick_shape, out
    )
    return out


def _dynamics(world: World) -> tuple[float, float, float, float, float, float]:
    return (
        math.log(world.volatility),
        world.persistence,
        world.reaction,
        world.bounce,
        world.bounce_clip,
        world.body_dof,
    )


@numba.njit(cache=True)
def _next(level: float, z: float, rest: float, persistence: float, reaction: float, dof: float) -> float:
    """Next log volatility: the t score of the standardised body, in -1..dof, moves it."""
    square = z * z * dof / (dof - 2)
    score = (dof + 1) * square / (dof + square) - 1
    return rest + persistence * (level - rest) + reaction * score


@numba.njit(cache=True)
def _drive(
    shock: Floats,
    stretches: Integers,
    rest: float,
    persistence: float,
    reaction: float,
    bounce: float,
    clip: float,
    dof: float,
    body: Floats,
    volatility: Floats,
) -> None:
    for g in range(len(stretches) - 1):
        level = rest
        z = 0.0
        for t in range(stretches[g], stretches[g + 1]):
            z = shock[t] - bounce * min(max(z, -clip), clip)
            volatility[t] = math.exp(level)
            body[t] = volatility[t] * z
            level = _next(level, z, rest, persistence, reaction, dof)


@numba.njit(cache=True)
def _follow(
    body: Floats,
    stretches: Integers,
    rest: float,
    persistence: float,
    reaction: float,
    bounce: float,
    clip: float,
    dof: float,
    volatility: Floats,
    expected: Floats,
) -> None:
    for g in range(len(stretches) - 1):
        level = rest
        z = 0.0
        for t in range(stretches[g], stretches[g + 1]):
            volatility[t] = math.exp(level)
            expected[t] = -bounce * min(max(z, -clip), clip)
            z = body[t] / volatility[t]
            level = _next(level, z, rest, persistence, reaction, dof)


@numba.njit(cache=True)
def _ratios(
    body: Floats, size: Floats, drift: Floats, scale: Floats, dof: float, dimensions: float, out: Floats
) -> None:
    n, looks = out.shape
    log_scale = dimensions * np.log(scale)
    body_unit = scale * math.sqrt((dof - 2) / dof)
    for t in range(n):
        best = -np.inf
        for k in range(looks):
            x = (body[t] - drift[k]) / body_unit[k]
            out[t, k] = -size[t] / scale[k] - 0.5 * (dof + 1) * math.log1p(x * x / dof) - log_scale[k]
            best = max(best, out[t, k])
        for k in range(looks):
            out[t, k] = math.exp(out[t, k] - best)
