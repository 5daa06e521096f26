"""Windows of the synthetic benchmark as likelihood ratios, and its hidden chain, the same on every side."""

import numpy as np

from moola_data.bar_model import likelihood_ratios, sample_parts
from moola_data.semi_markov import Regimes, regimes_of, sample_regimes
from moola_data.world import World


def windows(n: int = 40, length: int = 105) -> tuple[np.ndarray, np.ndarray, Regimes]:
    world = World()
    chain = regimes_of(world)
    stretches = np.arange(n + 1) * length
    draw = np.random.default_rng(0)
    look = chain.look[sample_regimes(chain, stretches, seed=draw)]
    parts = sample_parts(chain.drift[look], chain.scale[look], stretches, world=world, seed=draw)
    ratios = likelihood_ratios(parts, stretches, drift=chain.drift, scale=chain.scale, world=world)
    return ratios, stretches, chain


def transition(chain: Regimes) -> tuple[np.ndarray, np.ndarray]:
    """The whole matrix over the states that can occur, and their numbers among all R x D."""
    regimes, longest = chain.duration.shape
    matrix = np.zeros((regimes * longest, regimes * longest))
    for r in range(regimes):
        for k in range(1, longest):
            matrix[r * longest + k, r * longest + k - 1] = 1
    for a, b, p in zip(chain.source, chain.target, chain.chance, strict=True):
        matrix[a * longest, b * longest : (b + 1) * longest] += p * chain.duration[b]
    used = np.flatnonzero(chain.initial.ravel() > 0)
    return matrix[np.ix_(used, used)], used
