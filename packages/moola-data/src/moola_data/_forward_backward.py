"""The compiled passes behind `moola_data.posterior`: forward, backward, and backward sampling.

Rabiner (1989) forward-backward, scaled at every bar, on the layout of `moola_data.semi_markov`. The forward
messages are kept only at the start of each block of bars and computed again inside it on the way back, so
memory does not grow with bars times states.
"""

from __future__ import annotations

import numba
import numpy as np

BLOCK = 128
"""Bars between two kept forward messages; a block of 240 states then fits a core's cache."""


@numba.njit(cache=True)
def _advance(before, ratio, first, duration, source, target, chance, look, entry, after):  # type: ignore[no-untyped-def]
    """One forward step; `before` empty means the first bar, whose prior stands in `after`. Returns P(bar)."""
    regimes = len(first) - 1
    entry[:] = 0.0
    for e in range(len(source)):
        entry[target[e]] += before[first[source[e]]] * chance[e]
    total = 0.0
    for r in range(regimes):
        a, b = first[r], first[r + 1]
        like = ratio[look[r]]
        enter = entry[r]
        for s in range(a, b - 1):
            after[s] = (before[s + 1] + enter * duration[s]) * like
            total += after[s]
        after[b - 1] = enter * duration[b - 1] * like
        total += after[b - 1]
    after /= total
    return total


@numba.njit(cache=True)
def _begin(ratio, first, initial, look, after):  # type: ignore[no-untyped-def]
    total = 0.0
    for r in range(len(first) - 1):
        for s in range(first[r], first[r + 1]):
            after[s] = initial[s] * ratio[look[r]]
            total += after[s]
    after /= total
    return total


@numba.njit(cache=True)
def _label_mass(state, first, label):  # type: ignore[no-untyped-def]
    mass = 0.0
    for r in range(len(first) - 1):
        if label[r]:
            for s in range(first[r], first[r + 1]):
                mass += state[s]
    return mass


@numba.njit(cache=True)
def smooth_stretch(  # type: ignore[no-untyped-def]
    ratios,
    first,
    duration,
    source,
    target,
    chance,
    initial,
    look,
    is_label,
    label,
    causal,
    spans,
):
    block, n = BLOCK, len(ratios)
    regimes, states = len(first) - 1, len(initial)
    blocks = (n + block - 1) // block
    kept = np.empty((blocks, states))
    norm = np.empty(n)
    entry = np.empty((n, regimes))
    here, there = np.empty(states), np.empty(states)
    evidence = 0.0
    for t in range(n):
        if t == 0:
            norm[0] = _begin(ratios[0], first, initial, look, there)
        else:
            norm[t] = _advance(
                here, ratios[t], first, duration, source, target, chance, look, entry[t], there
            )
        evidence += np.log(norm[t])
        causal[t] = _label_mass(there, first, is_label)
        if t % block == 0:
            kept[t // block] = there
        here, there = there, here

    alpha = np.empty((block, states))
    beta, ahead = np.ones(states), np.empty(states)
    into, out = np.empty(regimes), np.empty(regimes)
    for b in range(blocks - 1, -1, -1):
        begin, end = b * block, min((b + 1) * block, n)
        alpha[0] = kept[b]
        for t in range(begin + 1, end):
            _advance(
                alpha[t - 1 - begin],
                ratios[t],
                first,
                duration,
                source,
                target,
                chance,
                look,
                into,
                alpha[t - begin],
            )
        for t in range(end - 1, begin - 1, -1):
            if t < n - 1:
                # `beta` is the message at t + 1; weigh it by that bar, then step back.
                for r in range(regimes):
                    like = ratios[t + 1, look[r]] / norm[t + 1]
                    into[r] = 0.0
                    for s in range(first[r], first[r + 1]):
                        ahead[s] = like * beta[s]
                        into[r] += duration[s] * ahead[s]
                out[:] = 0.0
                for e in range(len(source)):
                    out[source[e]] += chance[e] * into[target[e]]
                for r in range(regimes):
                    beta[first[r]] = out[r]
                    for s in range(first[r] + 1, first[r + 1]):
                        beta[s] = ahead[s - 1]
            mass = 0.0
            for r in range(regimes):
                if is_label[r]:
                    like = ratios[t, look[r]] / norm[t]
                    for s in range(first[r], first[r + 1]):
                        together = alpha[t - begin, s] * beta[s]
                        mass += together
                        if t > 0:
                            together = entry[t, r] * duration[s] * like * beta[s]
                        spans[t, min(s - first[r], n - 1 - t)] += together
            label[t] = min(mass, 1.0)
    return evidence


@numba.njit(cache=True)
def _draw(weight, uniform):  # type: ignore[no-untyped-def]
    left = uniform * weight.sum()
    last = 0
    for i in range(len(weight)):
        if weight[i] > 0:
            last = i
            left -= weight[i]
            if left < 0:
                break
    return last


@numba.njit(cache=True)
def sample_stretch(  # type: ignore[no-untyped-def]
    ratios,
    first,
    duration,
    source,
    target,
    chance,
    initial,
    look,
    regime_of,
    uniform,
    out,
):
    block, n, states, regimes = BLOCK, len(ratios), len(initial), len(first) - 1
    blocks = (n + block - 1) // block
    kept = np.empty((blocks, states))
    entry = np.empty(regimes)
    here, there = np.empty(states), np.empty(states)
    for t in range(n):
        if t == 0:
            _begin(ratios[0], first, initial, look, there)
        else:
            _advance(here, ratios[t], first, duration, source, target, chance, look, entry, there)
        if t % block == 0:
            kept[t // block] = there
        here, there = there, here

    alpha = np.empty((block, states))
    # Ways into a state: the same regime one bar earlier, or the end of a regime that may change into it.
    weight = np.empty(1 + len(source))
    for b in range(blocks - 1, -1, -1):
        begin, end = b * block, min((b + 1) * block, n)
        alpha[0] = kept[b]
        for t in range(begin + 1, end):
            _advance(
                alpha[t - 1 - begin],
                ratios[t],
                first,
                duration,
                source,
                target,
                chance,
                look,
                entry,
                alpha[t - begin],
            )
        for d in range(len(uniform)):
            for t in range(end - 1, begin - 1, -1):
                if t == n - 1:
                    out[d, t] = _draw(alpha[t - begin], uniform[d, t])
                    continue
                state = out[d, t + 1]
                r = regime_of[state]
                weight[0] = alpha[t - begin, state + 1] if state + 1 < first[r + 1] else 0.0
                for e in range(len(source)):
                    arrives = target[e] == r
                    weight[1 + e] = (
                        alpha[t - begin, first[source[e]]] * chance[e] * duration[state] if arrives else 0.0
                    )
                way = _draw(weight, uniform[d, t])
                out[d, t] = state + 1 if way == 0 else first[source[way - 1]]
