"""The plainest situation: every window holds exactly one expansion, somewhere around its middle.

It is how a hand-made set comes about when a person looks for expansions and cuts a window around each.
Where the expansion lies is then half known before any bar is read, which makes scores look good: without
signal the ceiling here is what position alone is worth.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numba
import numpy as np
import numpy.typing as npt

from moola_data._arrays import Arr, Boundary, Dim
from moola_data.bar_model import bars_of, likelihood_ratios, sample_parts
from moola_data.ceiling import Ceiling, best_scores
from moola_data.posterior import covered
from moola_data.schema import Bars, Spans
from moola_data.world import World

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
LONGEST = 40


class OneExpansion(Boundary):
    """Windows with one expansion each. N bars, n windows, m expansions, one for each base window."""

    bars: Bars
    """A segment for each base window: warm-up, half a window of context, the window, half a window more."""
    spans: Spans
    """Typed by what came before: consolidation or retracement."""
    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """First bars of the windows: each base window, then its shifted copies."""
    offset: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """Bars by which a window is shifted from its base window; 0 for the base window itself."""
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """Base window of each window: copies share bars with it and belong on its side of every split."""
    length: Annotated[int, Dim("K")]
    posterior: Annotated[npt.NDArray[np.float64], Arr("f8", ("N",))]
    """P(bar lies in the expansion | all bars of its segment, and that there is one where people look)."""
    ceiling: Ceiling
    """Best expected scores on the base windows; the causal one is NaN, as it is not computed here."""
    world: World


def one_expansion(
    n: int,
    *,
    seed: int,
    length: int = 105,
    copies: bool = False,
    type_share: float = 0.43,
    snr: float | None = None,
    signal: Literal[0, 1] | None = None,
    warmup: int = 105,
    world: World | None = None,
) -> OneExpansion:
    """Draws n windows with one expansion each.

    In a window of 105 bars the expansion starts at a normal draw around bar 52 with standard deviation 14,
    clipped to 23..85, and lasts a geometric number of bars, 6.5 on average, to bar 95 at the latest; other
    lengths scale the places. A consolidation or a retracement precedes it; all other bars are background.

    Args:
        n: Number of base windows.
        seed: Seed of everything.
        length: Bars a window K, 30 or more.
        copies: Whether to add windows shifted by half a window to either side, cut from the real bars there,
            where they show at least .3 of the expansion.
        type_share: Share of expansions that follow a retracement.
        snr: Replaces the world's.
        signal: Replaces the world's: 0 makes the bars independent of the expansion.
        warmup: Bars before the context on the left.
        world: The parameters of bars, drifts and of what precedes; `World()` if None.

    Returns:
        The windows.

    Raises:
        ValueError: If a number is out of range.

    >>> ones = one_expansion(30, seed=1, copies=True)
    >>> len(ones.spans), int((ones.offset == 0).sum()), len(ones.starts) > 55
    (30, 30, True)
    """
    world = (world or World()).with_changes(snr=snr, signal=signal)
    longest_before = max(world.consolidation_bars[1], world.retracement_bars[1])
    for name, value, least in (
        ("n", n, 1),
        ("length", length, 30),
        ("warmup", warmup, max(0, longest_before - length // 2)),
    ):
        if value < least:
            raise ValueError(f"{name}: want {least} or more, got {value}")
    if not 0 <= type_share <= 1:
        raise ValueError(f"type_share: want 0..1, got {type_share}")
    draw = np.random.default_rng(seed)
    shift = length // 2
    stretch = warmup + length + 2 * shift
    stretches = np.arange(n + 1) * stretch
    base = stretches[:-1] + warmup + shift

    prior = _prior(length)
    place = draw.choice(prior.size, size=n, p=prior.ravel())
    start, bars_in = base + place // LONGEST, place % LONGEST + 1
    follows = (draw.random(n) < type_share).astype(np.int64)
    direction = draw.integers(0, 2, n)
    level = draw.integers(0, len(world.drift_levels), n)
    bounds = np.array([world.consolidation_bars, world.retracement_bars])
    before = draw.integers(bounds[follows, 0], bounds[follows, 1] + 1)

    drift, scale = _looks(world)
    look = np.zeros(stretches[-1], np.int64)
    for i in range(n):
        look[start[i] - before[i] : start[i]] = 1 if follows[i] == 0 else 2 + direction[i]
        look[start[i] : start[i] + bars_in[i]] = 4 + 2 * level[i] + direction[i]
    parts = sample_parts(drift[look], scale[look], stretches, world=world, seed=draw)
    logs = np.log(likelihood_ratios(parts, stretches, drift=drift, scale=scale, world=world))
    table = np.zeros((stretches[-1], LONGEST))
    _enumerate(logs - logs[:, :1], base, prior, bounds, type_share, table)

    spans = Spans(
        start=start,
        end=start + bars_in - 1,
        type=follows,
        weight=np.ones(n, np.float32),
        type_names=("consolidation", "retracement"),
        annotator="truth",
        label="expansion",
    )
    label = covered(table)
    starts, offset, group = _windows(base, spans, length=length, shift=shift if copies else 0)
    return OneExpansion(
        bars=bars_of(parts, stretches, world=world, source=f"moola_data one_expansion, seed {seed}"),
        spans=spans,
        starts=starts,
        offset=offset,
        group=group,
        length=length,
        posterior=label,
        ceiling=best_scores(
            label,
            np.full(len(label), np.nan),
            table,
            spans,
            starts=base,
            length=length,
            stretches=stretches,
            group=np.arange(n),
            context=f"all {stretch} bars around a window, and that it holds one expansion",
        ),
        world=world,
    )


def _prior(length: int) -> Floats:
    """P(the expansion starts at bar s and lasts d + 1 bars), (K, LONGEST)."""
    unit = length / 105
    low, high, last = (round(place * unit) for place in (23, 85, 95))
    cuts = (np.arange(low, high + 2) - 0.5 - (length - 1) / 2) / (14 * unit)
    below = np.array([0.5 * (1 + math.erf(cut / math.sqrt(2))) for cut in cuts])
    below[0], below[-1] = 0.0, 1.0
    prior = np.zeros((length, LONGEST))
    sizes = np.arange(1, LONGEST + 1)
    for s, chance in zip(range(low, high + 1), np.diff(below), strict=True):
        # 6.9 rather than 6.5, because the last bar cuts the long ones off.
        tail = np.where(sizes <= last - s + 1, (1 - 1 / 6.9) ** (sizes - 1.0), 0.0)
        prior[s] = chance * tail / tail.sum()
    return prior


def _looks(world: World) -> tuple[Floats, Floats]:
    """Drift and scale of background, consolidation, retracement before up / down, up / down by level."""
    signs = (1, -1)
    drift = [0.0, 0.0] + [-sign * world.retracement_drift for sign in signs]
    drift += [sign * value for value in world.drift_levels for sign in signs]
    scale = np.ones(len(drift))
    scale[1] = world.consolidation_range
    if not world.signal:
        return np.zeros(len(drift)), np.ones(len(drift))
    return world.snr * np.array(drift), scale


def _windows(base: Integers, spans: Spans, *, length: int, shift: int) -> tuple[Integers, Integers, Integers]:
    """Starts, offsets and groups of base windows and of the copies that show enough of the expansion."""
    offsets = np.array([0, shift, -shift] if shift else [0])
    starts = base[:, None] + offsets
    first = np.maximum(spans.start[:, None], starts)
    last = np.minimum(spans.end[:, None], starts + length - 1)
    share = np.maximum(last - first + 1, 0) / (spans.end - spans.start + 1)[:, None]
    kept = share >= 0.3
    group, column = np.nonzero(kept)
    return starts[kept], offsets[column], group.astype(np.int64)


@numba.njit(cache=True)
def _enumerate(
    logs: Floats, base: Integers, prior: Floats, bounds: Integers, type_share: float, table: Floats
) -> None:
    """Fills table[t, d] with the posterior of every place and length, by summing over all the rest.

    `logs` (N, L) are log likelihood ratios to background, so only the bars of a hypothesis matter.
    """
    looks = logs.shape[1]
    levels = (looks - 4) // 2
    length, longest = prior.shape
    for i in range(len(base)):
        total = 0.0
        for s in range(length):
            t = base[i] + s
            for direction in range(2):
                came = 0.0
                for kind in range(2):
                    look = 1 if kind == 0 else 2 + direction
                    least, most = bounds[kind]
                    share = (type_share if kind else 1 - type_share) / (most - least + 1)
                    run = 0.0
                    for back in range(1, most + 1):
                        run += logs[t - back, look]
                        if back >= least:
                            came += share * math.exp(run)
                for level in range(levels):
                    run = 0.0
                    for d in range(longest):
                        if prior[s, d] == 0:
                            break
                        run += logs[t + d, 4 + 2 * level + direction]
                        chance = prior[s, d] * came * math.exp(run) / (2 * levels)
                        table[t, d] += chance
                        total += chance
        for s in range(length):
            table[base[i] + s] /= total
