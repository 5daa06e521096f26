"""The exact posterior of the expansions in synthetic bars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data._forward_backward import draw_paths, forward, smooth_stretches
from moola_data.bar_model import BarParts, Prices, likelihood_ratios, parts_of
from moola_data.schema import Bars
from moola_data.semi_markov import Regimes, regimes_of
from moola_data.world import World

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Posterior(NamedTuple):
    """What a stretch of bars says about its labels; N bars, D the longest span in bars."""

    label: Floats
    """(N,) P(bar lies in an expansion | all bars of its stretch)."""
    causal: Floats
    """(N,) P(bar lies in an expansion | this bar and those before it in its stretch)."""
    spans: Floats
    """(N, D) P(an expansion starts at bar t and shows d + 1 bars | all bars of its stretch).

    A span that began before the stretch starts at its first bar; one that outlasts it ends at its last.
    """
    log_evidence: float
    """Sum over bars of the log of the predicted likelihood ratio; differences between worlds mean nothing."""


def posterior(bars: Bars, *, world: World) -> Posterior:
    """Exact posterior of the expansions in bars of a synthetic world.

    Each segment is a stretch of its own: its first regime is drawn from the stationary distribution and its
    volatility starts at rest, as `benchmark` draws them.

    Args:
        bars: Bars made by `world` and not rounded to ticks.
        world: The world they were made by.

    Returns:
        The posterior, a row for each bar.

    Raises:
        ValueError: If the world rounds its prices, because rounding is no part of the density.
    """
    if world.tick:
        raise ValueError(f"world: want tick 0, as rounding is no part of the density, got {world.tick:g}")
    stretches = stretches_of(bars.segment)
    prices = Prices(bars.open, bars.high, bars.low, bars.close)
    return posterior_of(parts_of(prices, stretches, price=world.price), stretches, world=world)


def stretches_of(segment: Integers) -> Integers:
    """First bar of each run of equal segment numbers, then the number of bars: (g + 1,) int64.

    >>> stretches_of(np.array([3, 3, 4])).tolist()
    [0, 2, 3]
    """
    change = np.flatnonzero(np.diff(segment)) + 1
    return np.concatenate([[0], change, [len(segment)]]).astype(np.int64)


def posterior_of(parts: BarParts, stretches: Integers, *, world: World) -> Posterior:
    """The same as `posterior` from gap, body and wicks, whose `stretches` (g + 1,) end with N."""
    chain = regimes_of(world)
    ratios = likelihood_ratios(parts, stretches, drift=chain.drift, scale=chain.scale, world=world)
    return smooth(ratios, stretches, chain)


def smooth(ratios: Floats, stretches: Integers, chain: Regimes) -> Posterior:
    """Forward-backward.

    Args:
        ratios: (N, L) likelihood of each bar under each look of the chain, up to a factor for each bar.
        stretches: (g + 1,) first bar of each stretch, then N.
        chain: The hidden chain.

    Returns:
        The posterior, a row for each bar.
    """
    n = len(ratios)
    causal, unit = np.empty(n), np.empty(n)
    spans = np.zeros((n, chain.longest_span))
    smooth_stretches(ratios, stretches, *chain.arrays, chain.label, unit, causal, spans)
    return Posterior(np.minimum(covered(spans), 1.0), causal, spans, float(-np.log(unit).sum()))


def sample_paths(ratios: Floats, chain: Regimes, *, draws: int, seed: int) -> tuple[Integers, Integers]:
    """Draws paths of one stretch from the posterior (forward filtering, backward sampling).

    Args:
        ratios: (T, L) likelihood of each bar of the stretch under each look.
        chain: The hidden chain.
        draws: Number of paths.
        seed: Seed of the draws.

    Returns:
        Two arrays (draws, T): index of each bar's regime, and how many bars it has to go after this one.
    """
    n = len(ratios)
    uniform = np.random.default_rng(seed).random((draws, n, 2))
    unit, causal = np.empty((2, n))
    enter, ends = np.empty((2, n, len(chain.names)))
    final = forward(ratios, *chain.arrays, chain.label, unit, enter, ends, causal)
    regime, left = np.empty((2, draws, n), np.int64)
    draw_paths(ratios, *chain.arrays, unit, enter, ends, final, uniform, regime, left)
    return regime, left


def covered(spans: Floats) -> Floats:
    """Adds up P(bar lies in a span) from the posterior of spans, `Posterior.spans` (N, D): (N,).

    >>> covered(np.array([[0.0, 0.5], [0.25, 0.0], [0.0, 0.0]])).tolist()
    [0.5, 0.75, 0.0]
    """
    beyond = np.cumsum(spans[:, ::-1], axis=1)[:, ::-1]
    out = beyond[:, 0].copy()
    for reached in range(1, min(spans.shape)):
        out[reached:] += beyond[:-reached, reached]
    return out
