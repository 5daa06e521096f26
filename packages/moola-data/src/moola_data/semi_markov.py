"""Explicit-duration hidden regimes as sparse expanded states.

A regime that lasts at most D bars becomes D states, one for each number of bars *still to go* (this one
included). State k > 1 has one successor, k - 1; only the last bar of a regime chooses anew. A step over S
states and E allowed changes of regime therefore costs O(S + E) where a transition matrix costs O(S²).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from moola_data.world import World

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Regimes(NamedTuple):
    """The hidden chain of a world, R regimes, S expanded states, E changes of regime, L looks.

    Regime r owns the states ``first[r]`` (one bar to go) to ``first[r + 1] - 1``. Regimes whose bars are
    distributed alike share a look, so that a bar's density is computed once for each look.
    """

    names: tuple[str, ...]
    label: npt.NDArray[np.bool_]
    """(R,) whether the regime is an expansion."""
    level: Integers
    """(R,) which drift level an expansion has; -1 for all other regimes."""
    look: Integers
    """(R,) index of the regime's look."""
    drift: Floats
    """(L,) mean of a body, in volatilities."""
    scale: Floats
    """(L,) factor on gap, body noise and wicks."""
    first: Integers
    """(R + 1,) first state of each regime."""
    duration: Floats
    """(S,) probability that a regime, when entered, is entered in this state."""
    source: Integers
    """(E,) regime left."""
    target: Integers
    """(E,) regime entered."""
    chance: Floats
    """(E,) probability of the change, given that the source ends."""
    initial: Floats
    """(S,) stationary distribution of the states, used for the first bar of every stretch."""

    @property
    def state_regime(self) -> Integers:
        """(S,) regime of each state."""
        return np.repeat(np.arange(len(self.names)), np.diff(self.first))

    @property
    def label_share(self) -> float:
        """Long-run share of bars that lie in an expansion."""
        return float(self.initial[self.label[self.state_regime]].sum())

    @property
    def longest_span(self) -> int:
        """Longest expansion, in bars."""
        return int(np.diff(self.first)[self.label].max())


def regimes_of(world: World) -> Regimes:
    """Lays a world's regimes out as sparse expanded states.

    >>> chain = regimes_of(World())
    >>> len(chain.names), int(chain.first[-1]), round(chain.label_share, 3)
    (19, 240, 0.072)
    """
    rows: list[tuple[str, float, float, tuple[int, int], int]] = [
        ("background", 0.0, 1.0, (1, 1), -1),
        ("consolidation", 0.0, world.consolidation_range, world.consolidation_bars, -1),
    ]
    for kind in ("expansion", "surge"):
        for level, drift in enumerate(world.drift_levels):
            for word, sign in (("up", 1), ("down", -1)):
                kept = level if kind == "expansion" else -1
                rows.append((f"{kind} {word} {level}", sign * drift, 1.0, world.expansion_bars, kept))
    rows.append(("burst", 0.0, world.burst_range, world.burst_bars, -1))
    middle = world.drift_levels[len(world.drift_levels) // 2]
    for word, sign in (("up", 1), ("down", -1)):
        rows.append((f"breakout {word}", sign * middle, 1.0, world.breakout_bars, -1))
        rows.append((f"reversal {word}", -sign * middle, 1.0, world.reversal_bars, -1))

    names = tuple(row[0] for row in rows)
    first = np.concatenate([[0], np.cumsum([row[3][1] for row in rows])]).astype(np.int64)
    duration = np.zeros(first[-1])
    for at, (_, _, _, (least, most), _) in zip(first, rows, strict=False):
        duration[at + least - 1 : at + most] = 1 / (most - least + 1)
    changes = _changes(world, names)
    source, target = (np.array([c[i] for c in changes], np.int64) for i in (0, 1))
    chance = np.array([c[2] for c in changes], np.float64)

    seen = [(world.snr * row[1], row[2]) if world.signal else (0.0, 1.0) for row in rows]
    looks = sorted(set(seen))
    kept_level = np.array([row[4] for row in rows], np.int64)
    return Regimes(
        names=names,
        label=kept_level >= 0,
        level=kept_level,
        look=np.array([looks.index(look) for look in seen], np.int64),
        drift=np.array([look[0] for look in looks]),
        scale=np.array([look[1] for look in looks]),
        first=first,
        duration=duration,
        source=source,
        target=target,
        chance=chance,
        initial=_stationary(first, duration, source, target, chance),
    )


def _changes(world: World, names: tuple[str, ...]) -> list[tuple[int, int, float]]:
    """Lists (regime left, regime entered, probability); background changes to itself to last on."""
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


def _stationary(
    first: Integers, duration: Floats, source: Integers, target: Integers, chance: Floats
) -> Floats:
    """Long-run probability of each state: visits of its regime times P(duration is at least k)."""
    n = len(first) - 1
    matrix = np.zeros((n, n))
    matrix[source, target] = chance
    system = np.vstack([matrix.T - np.eye(n), np.ones(n)])
    visits = np.linalg.lstsq(system, np.concatenate([np.zeros(n), [1.0]]), rcond=None)[0]
    still = np.concatenate([np.cumsum(duration[a:b][::-1])[::-1] for a, b in pairwise(first.tolist())])
    mass = np.repeat(np.maximum(visits, 0), np.diff(first)) * still
    return np.asarray(mass / mass.sum())


def sample_states(regimes: Regimes, stretches: Integers, *, seed: np.random.Generator) -> Integers:
    """Draws the hidden states of independent stretches, each from the stationary distribution on.

    Args:
        regimes: The chain.
        stretches: (g + 1,) first bar of each stretch, then the number of bars.
        seed: The generator to draw from.

    Returns:
        (N,) index of the expanded state at each bar.
    """
    uniform = seed.random((int(stretches[-1]), 2))
    out = np.empty(int(stretches[-1]), np.int64)
    _walk(
        uniform,
        stretches,
        regimes.first,
        regimes.duration,
        regimes.source,
        regimes.target,
        regimes.chance,
        np.cumsum(regimes.initial),
        out,
    )
    return out


@numba.njit(cache=True)
def _walk(uniform, stretches, first, duration, source, target, chance, initial_sum, out):  # type: ignore[no-untyped-def]
    regime_of = np.empty(len(duration), np.int64)
    for r in range(len(first) - 1):
        regime_of[first[r] : first[r + 1]] = r
    for g in range(len(stretches) - 1):
        state = min(np.searchsorted(initial_sum, uniform[stretches[g], 0], side="right"), len(duration) - 1)
        for t in range(stretches[g], stretches[g + 1]):
            if t > stretches[g]:
                r = regime_of[state]
                if state > first[r]:
                    state -= 1
                else:
                    left = uniform[t, 0]
                    goal = -1
                    for e in range(len(source)):
                        if source[e] == r:
                            goal = target[e]
                            left -= chance[e]
                            if left < 0:
                                break
                    left = uniform[t, 1]
                    for s in range(first[goal], first[goal + 1]):
                        if duration[s] > 0:
                            state = s
                            left -= duration[s]
                            if left < 0:
                                break
            out[t] = state
