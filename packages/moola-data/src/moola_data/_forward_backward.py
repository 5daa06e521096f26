"""The compiled passes behind `moola_data.posterior`: forward, backward, and sampling of paths.

Rabiner (1989) forward-backward, scaled at every bar, on the layout of `moola_data.semi_markov`. Only what
enters and ends in each regime is kept of the forward pass: with the backward messages that determines every
span, and spans determine their bars. No message is ever stored for all bars and states.

Sums may be reordered (`reassoc`) and rows are taken as views, or a processor's vector units would lie idle.
"""

from __future__ import annotations

import numba
import numpy as np

FREE = {"reassoc", "contract", "nsz"}
LANES = 8


@numba.njit(cache=True)
def smooth_stretches(  # type: ignore[no-untyped-def]
    ratios, stretches, duration, initial, source, target, chance, look, label, unit, causal, spans
):
    """Runs both passes over every stretch."""
    regimes = len(duration)
    for g in range(len(stretches) - 1):
        a, b = stretches[g], stretches[g + 1]
        enter, ends = np.empty((b - a, regimes)), np.empty((b - a, regimes))
        forward(
            ratios[a:b],
            duration,
            initial,
            source,
            target,
            chance,
            look,
            label,
            unit[a:b],
            enter,
            ends,
            causal[a:b],
        )
        backward(
            ratios[a:b],
            duration,
            initial,
            source,
            target,
            chance,
            look,
            label,
            unit[a:b],
            enter,
            spans[a:b],
        )


@numba.njit(cache=True)
def _reach(duration, initial):  # type: ignore[no-untyped-def]
    """Counts the states of each regime that can occur, rounded up to whole vectors of the processor."""
    regimes, longest = duration.shape
    reach = np.empty(regimes, np.int64)
    for r in range(regimes):
        last = 0
        for k in range(longest):
            if duration[r, k] > 0 or initial[r, k] > 0:
                last = k
        reach[r] = min(longest, (last + LANES) // LANES * LANES)
    return reach


@numba.njit(cache=True, fastmath=FREE)
def forward(  # type: ignore[no-untyped-def]
    ratios, duration, initial, source, target, chance, look, label, unit, enter, ends, causal
):
    """Fills what each bar and those before it say, and returns the states of the last bar (R, D).

    unit (T,): 1 / P(bar | earlier bars), in terms of ratios. enter (T, R): P(regime r enters here | earlier
    bars), initial states left out. ends (T, R): P(r ends here). causal (T,): P(label).
    """
    regimes, longest = duration.shape
    # The column past the longest duration stays 0: nothing comes from there.
    here, there = np.zeros((regimes, longest + 1)), np.zeros((regimes, longest + 1))
    reach = _reach(duration, initial)
    into, over = np.empty(regimes), np.zeros(regimes)
    scale = 1.0
    for r in range(regimes):
        # The states of the first bar, put where they would have been one bar before.
        here[r, 1:] = initial[r]
    for t in range(len(ratios)):
        into[:] = 0.0
        for e in range(len(source)):
            into[target[e]] += over[source[e]] * chance[e]
        total = 0.0
        marked = 0.0
        for r in range(regimes):
            like = ratios[t, look[r]]
            # `here` is not normalised yet: its scale is 1 / its total.
            stay, come = scale * like, into[r] * like
            old, new, entry = here[r, 1:], there[r], duration[r]
            mass = 0.0
            for k in range(reach[r]):
                value = old[k] * stay + entry[k] * come
                new[k] = value
                mass += value
            total += mass
            marked += mass * label[r]
        scale = 1.0 / total
        unit[t] = scale
        causal[t] = min(marked * scale, 1.0)
        for r in range(regimes):
            over[r] = there[r, 0] * scale
            enter[t, r] = into[r]
            ends[t, r] = over[r]
        if t == 0:
            here[:, longest] = 0.0
        here, there = there, here
    return here[:, :longest] * scale


@numba.njit(cache=True, fastmath=FREE)
def backward(  # type: ignore[no-untyped-def]
    ratios, duration, initial, source, target, chance, look, label, unit, enter, spans
):
    """Adds P(a labelled regime starts at bar t and shows d + 1 bars | all bars) to spans (T, D)."""
    regimes, longest = duration.shape
    shown = spans.shape[1]
    labelled = np.flatnonzero(label)
    beta, ahead = np.ones((regimes, longest + 1)), np.ones((regimes, longest + 1))
    begin, after, chances = np.empty(regimes), np.empty(regimes), np.empty(shown)
    reach = _reach(duration, initial)
    for t in range(len(ratios) - 1, -1, -1):
        for r in range(regimes):
            # The message of one bar earlier: a bar more to go.
            like = ratios[t, look[r]] * unit[t]
            message, earlier, entry = beta[r], ahead[r, 1:], duration[r]
            total = 0.0
            for k in range(reach[r]):
                value = message[k] * like
                total += entry[k] * value
                earlier[k] = value
            begin[r] = total
        # All that outlast the stretch show alike.
        most = min(shown, len(ratios) - t) - 1
        chances[:] = 0.0
        for chosen in labelled:
            entered, lasts, sequel = enter[t, chosen], duration[chosen], ahead[chosen, 1:]
            for d in range(shown):
                chances[d] += entered * lasts[d] * sequel[d]
            if t == 0:
                for d in range(shown):
                    chances[d] += initial[chosen, d] * sequel[d]
        for d in range(shown):
            spans[t, min(d, most)] += chances[d]
        after[:] = 0.0
        for e in range(len(source)):
            after[source[e]] += chance[e] * begin[target[e]]
        for r in range(regimes):
            ahead[r, 0] = after[r]
        beta, ahead = ahead, beta


@numba.njit(cache=True)
def draw_paths(  # type: ignore[no-untyped-def]
    ratios, duration, initial, source, target, chance, look, unit, enter, ends, final, uniform, regime, left
):
    """Draws paths backwards, regime by regime: first where one ends, then how long it has lasted.

    Fills regime and left (draws, T): which regime each bar lies in, and its bars to go after this one.
    """
    longest = duration.shape[1]
    weight = np.empty(max(len(source), longest))
    flat = final.ravel()
    for i in range(len(uniform)):
        t = len(ratios) - 1
        state = _draw(flat, len(flat), uniform[i, t, 0])
        r, rest = state // longest, state % longest
        while True:
            # Regime r has `rest` bars to go after bar t; it entered `back` bars before.
            product = 1.0
            count = min(longest - rest, t + 1)
            for back in range(count):
                u = t - back
                product *= ratios[u, look[r]] * unit[u]
                k = rest + back
                weight[back] = product * (initial[r, k] if u == 0 else enter[u, r] * duration[r, k])
            lasted = _draw(weight, count, uniform[i, t, 1]) + 1
            for back in range(lasted):
                regime[i, t - back] = r
                left[i, t - back] = rest + back
            t -= lasted
            if t < 0:
                break
            for e in range(len(source)):
                weight[e] = ends[t, source[e]] * chance[e] if target[e] == r else 0.0
            r, rest = source[_draw(weight, len(source), uniform[i, t, 0])], 0


@numba.njit(cache=True)
def _draw(weight, count, uniform):  # type: ignore[no-untyped-def]
    left = uniform * weight[:count].sum()
    last = 0
    for i in range(count):
        if weight[i] > 0:
            last = i
            left -= weight[i]
            if left < 0:
                break
    return last
