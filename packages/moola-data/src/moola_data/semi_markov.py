"""Explicit-duration hidden regimes as sparse expanded states.

A regime that lasts at most D bars has D states, one for each number of bars *still to go*. Only in the last
of them does a regime choose anew, in all others the next state is certain. A step over S states and E
allowed changes of regime therefore costs O(S + E), where a transition matrix costs O(S²).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from moola_data.world import World

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Regimes(NamedTuple):
    """The hidden chain of a world: R regimes of at most D bars, E changes of regime, L looks.

    A state is a regime and the number of bars to go after this one, 0..D-1. Regimes whose bars are
    distributed alike share a look, so that a bar's density is computed once for each look.
    """

    names: tuple[str, ...]
    level: Integers
    """(R,) which drift level an expansion has; -1 for all other regimes."""
    drift: Floats
    """(L,) mean of a body, in volatilities."""
    scale: Floats
    """(L,) factor on gap, body noise and wicks."""
    look: Integers
    """(R,) index of the regime's look."""
    duration: Floats
    """(R, D) P(a regime that enters lasts d + 1 bars)."""
    initial: Floats
    """(R, D) stationary distribution of the states, used for the first bar of every stretch."""
    source: Integers
    """(E,) regime left."""
    target: Integers
    """(E,) regime entered."""
    chance: Floats
    """(E,) probability of the change, given that the source ends."""

    @property
    def label(self) -> npt.NDArray[np.bool_]:
        """(R,) whether the regime is an expansion."""
        return self.level >= 0

    @property
    def arrays(self) -> tuple[Floats, Floats, Integers, Integers, Floats, Integers]:
        """What the compiled passes take: duration, initial, source, target, chance, look."""
        return self.duration, self.initial, self.source, self.target, self.chance, self.look

    @property
    def label_share(self) -> float:
        """Long-run share of bars that lie in an expansion."""
        return float(self.initial[self.label].sum())

    @property
    def longest_span(self) -> int:
        """Longest expansion, in bars."""
        return int(np.flatnonzero(self.duration[self.label].any(axis=0)).max()) + 1


def regimes_of(world: World) -> Regimes:
    """Lays a world's regimes out as sparse expanded states.

    >>> chain = regimes_of(World())
    >>> len(chain.names), chain.duration.shape, round(chain.label_share, 3)
    (19, (19, 30), 0.072)
    """
    rows = _rows(world)
    names = tuple(row.name for row in rows)
    duration = np.zeros((len(rows), max(row.bars[1] for row in rows)))
    for r, row in enumerate(rows):
        least, most = row.bars
        duration[r, least - 1 : most] = 1 / (most - least + 1)
    changes = _changes(world, names)
    source, target = (np.array([c[i] for c in changes], np.int64) for i in (0, 1))
    chance = np.array([c[2] for c in changes], np.float64)

    seen = [(world.snr * row.drift, row.scale) if world.signal else (0.0, 1.0) for row in rows]
    looks = sorted(set(seen))
    return Regimes(
        names=names,
        level=np.array([row.level for row in rows], np.int64),
        drift=np.array([look[0] for look in looks]),
        scale=np.array([look[1] for look in looks]),
        look=np.array([looks.index(look) for look in seen], np.int64),
        duration=duration,
        initial=_stationary(duration, source, target, chance),
        source=source,
        target=target,
        chance=chance,
    )


class _Row(NamedTuple):
    """A regime as the world describes it."""

    name: str
    bars: tuple[int, int]
    drift: float = 0.0
    scale: float = 1.0
    level: int = -1


def _rows(world: World) -> list[_Row]:
    signs = (("up", 1), ("down", -1))
    # Background lasts by changing into itself.
    rows = [
        _Row("background", (1, 1)),
        _Row("consolidation", world.consolidation_bars, scale=world.consolidation_range),
    ]
    for kind in ("expansion", "surge"):
        for level, drift in enumerate(world.drift_levels):
            for word, sign in signs:
                kept = level if kind == "expansion" else -1
                rows.append(_Row(f"{kind} {word} {level}", world.expansion_bars, sign * drift, level=kept))
    rows.append(_Row("burst", world.burst_bars, scale=world.burst_range))
    middle = world.drift_levels[len(world.drift_levels) // 2]
    for word, sign in signs:
        rows.append(_Row(f"breakout {word}", world.breakout_bars, sign * middle))
        rows.append(_Row(f"reversal {word}", world.reversal_bars, -sign * middle))
    return rows


def _changes(world: World, names: tuple[str, ...]) -> list[tuple[int, int, float]]:
    """Lists (regime left, regime entered, probability given that the first one ends)."""
    by_kind = {
        kind: [i for i, name in enumerate(names) if name.startswith(kind)]
        for kind in ("background", "consolidation", "expansion", "surge", "burst", "breakout", "reversal")
    }
    leave = 1 / world.background_bars
    burst_share = max(0.0, 1 - world.consolidation_share - world.surge_share)
    fade = max(0.0, 1 - world.expansion_after_consolidation - world.breakout_after_consolidation)
    shares = [
        ("background", "background", 1 - leave),
        ("background", "consolidation", leave * world.consolidation_share),
        ("background", "surge", leave * world.surge_share),
        ("background", "burst", leave * burst_share),
        ("consolidation", "expansion", world.expansion_after_consolidation),
        ("consolidation", "breakout", world.breakout_after_consolidation),
        ("consolidation", "background", fade),
        ("expansion", "background", 1.0),
        ("surge", "background", 1.0),
        ("burst", "background", 1.0),
        ("reversal", "background", 1.0),
    ]
    changes = [
        (i, j, share / len(by_kind[b])) for a, b, share in shares for i in by_kind[a] for j in by_kind[b]
    ]
    changes += [(i, j, 1.0) for i, j in zip(by_kind["breakout"], by_kind["reversal"], strict=True)]
    return [change for change in changes if change[2] > 0]


def _stationary(duration: Floats, source: Integers, target: Integers, chance: Floats) -> Floats:
    """Long-run probability of each state: visits of its regime times P(it lasts longer than that)."""
    n = len(duration)
    matrix = np.zeros((n, n))
    matrix[source, target] = chance
    system = np.vstack([matrix.T - np.eye(n), np.ones(n)])
    visits = np.linalg.lstsq(system, np.concatenate([np.zeros(n), [1.0]]), rcond=None)[0]
    still = np.cumsum(duration[:, ::-1], axis=1)[:, ::-1]
    mass = np.maximum(visits, 0)[:, None] * still
    return np.asarray(mass / mass.sum())


def sample_regimes(chain: Regimes, stretches: Integers, *, seed: np.random.Generator) -> Integers:
    """Draws the regimes of independent stretches, each from the stationary distribution on.

    Args:
        chain: The chain.
        stretches: (g + 1,) first bar of each stretch, then the number of bars N.
        seed: The generator to draw from.

    Returns:
        (N,) index of each bar's regime.
    """
    uniform = seed.random((int(stretches[-1]), 2))
    out = np.empty(int(stretches[-1]), np.int64)
    _walk(uniform, stretches, *chain.arrays[:5], out)
    return out


@numba.njit(cache=True)
def _walk(
    uniform: Floats,
    stretches: Integers,
    duration: Floats,
    initial: Floats,
    source: Integers,
    target: Integers,
    chance: Floats,
    out: Integers,
) -> None:
    longest = duration.shape[1]
    initial_sum = np.cumsum(initial.ravel())
    for g in range(len(stretches) - 1):
        begin = stretches[g]
        state = np.searchsorted(initial_sum, uniform[begin, 0] * initial_sum[-1], side="right")
        r, rest = state // longest, state % longest
        out[begin] = r
        for t in range(begin + 1, stretches[g + 1]):
            if rest > 0:
                rest -= 1
            else:
                left = uniform[t, 0]
                goal = r
                for e in range(len(source)):
                    if source[e] == r:
                        goal = target[e]
                        left -= chance[e]
                        if left < 0:
                            break
                r = goal
                left = uniform[t, 1]
                for k in range(longest):
                    if duration[r, k] > 0:
                        rest = k
                        left -= duration[r, k]
                        if left < 0:
                            break
            out[t] = r
