"""A benchmark whose best possible score is known, because its truth was drawn from a written-down world."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt

from moola_data._arrays import Arr, Boundary, Dim
from moola_data.annotators import Preset, annotate, marked_spans
from moola_data.bar_model import BarParts, bars_of, parts_of, prices_of, sample_parts
from moola_data.ceiling import Ceiling, best_scores
from moola_data.posterior import covered, posterior_of
from moola_data.schema import Bars, Spans
from moola_data.semi_markov import Regimes, regimes_of, sample_regimes
from moola_data.world import World

Integers = npt.NDArray[np.int64]
Noise = Literal["none"] | Preset


class Benchmark(Boundary):
    """Synthetic bars, their labels, and how well anybody can do. N bars, n windows.

    Windows hold none, one or several expansions, whole or cut by an edge.
    """

    bars: Bars
    """A segment for each stretch; the unlabelled stretch, if asked for, is the last."""
    spans: Spans
    """The labels as a person gave them (equal to the truth without noise); none in the unlabelled stretch."""
    truth: Spans
    """All expansions. Their type is the level of their drift, which a mirrored price keeps."""
    regime: Annotated[npt.NDArray[np.int64], Arr("i8", ("N",))]
    """Index into `regime_names`. Hidden: a model that reads it is cheating."""
    regime_names: tuple[str, ...]
    posterior: Annotated[npt.NDArray[np.float64], Arr("f8", ("N",))]
    """P(bar lies in a true expansion | all bars of its stretch); NaN in the unlabelled stretch."""
    causal: Annotated[npt.NDArray[np.float64], Arr("f8", ("N",))]
    """P(bar lies in a true expansion | this bar and those before it); NaN in the unlabelled stretch."""
    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """First bars of the windows; they do not overlap."""
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """Stretch of each window. Stretches are independent, windows of one stretch are not."""
    length: Annotated[int, Dim("K")]
    warmup: int
    """Bars before the first window of each stretch, for features to warm up."""
    unlabelled_from: int
    """First bar of the unlabelled stretch; N if there is none."""
    ceiling: Ceiling
    """Best expected scores against the truth."""
    label_ceiling: Ceiling
    """Best expected scores against `spans`, whose noise nobody can foresee."""
    world: World


def benchmark(
    n: int,
    *,
    seed: int,
    snr: float | None = None,
    signal: Literal[0, 1] | None = None,
    noise: Noise = "none",
    length: int = 105,
    warmup: int = 105,
    per_stretch: int = 1,
    unlabelled: int = 0,
    world: World | None = None,
) -> Benchmark:
    """Draws n windows of synthetic bars, their expansions and the best scores possible on them.

    With ``per_stretch=1`` every window stands alone: the ceiling knows its warm-up and its bars, as a model
    does. With ``per_stretch=n`` the windows lie end to end in one stream and the ceiling knows all of it,
    which is more than a model that looks at one window; its ceiling is an upper bound for that model.

    Args:
        n: Number of labelled windows.
        seed: Seed of everything. The same seed gives the same bars and truth at every `noise`.
        snr: Replaces the world's: .5 is hard (best bar F1 about .6), 2 easy (.9).
        signal: Replaces the world's: 0 makes bars independent of the regimes.
        noise: "none", or the kind of person who marks the expansions, see `moola_data.annotators`.
        length: Bars a window K.
        warmup: Bars before the first window of each stretch.
        per_stretch: Windows in each uninterrupted stretch; must divide n.
        unlabelled: Bars of one more stretch without labels, for pretraining.
        world: The parameters of regimes and bars; `World()` if None.

    Returns:
        The benchmark.

    Raises:
        ValueError: If a number is too small or `per_stretch` does not divide `n`.

    >>> bench = benchmark(40, seed=1)
    >>> len(bench.bars), bench.ceiling.windows
    (8400, 40)
    >>> bool(0.7 < bench.ceiling.bar.f1 < 0.95)
    True
    """
    for name, value, least in (
        ("n", n, 1),
        ("length", length, 1),
        ("warmup", warmup, 0),
        ("per_stretch", per_stretch, 1),
        ("unlabelled", unlabelled, 0),
    ):
        if value < least:
            raise ValueError(f"{name}: want {least} or more, got {value}")
    if n % per_stretch:
        raise ValueError(f"per_stretch: want a divisor of n={n}, got {per_stretch}")
    if noise not in ("none", "careful", "typical", "hasty"):
        raise ValueError(f"noise: want 'none', 'careful', 'typical' or 'hasty', got {noise!r}")
    world = (world or World()).with_changes(snr=snr, signal=signal)
    chain = regimes_of(world)

    groups, labelled = n // per_stretch, warmup + per_stretch * length
    stretches = np.arange(groups + 1) * labelled
    known = int(stretches[-1])
    seeds = np.random.SeedSequence(seed).spawn(3)
    regime, parts = _draw(chain, stretches, world=world, seed=seeds[0])
    everything = stretches
    if unlabelled:
        # From a seed of its own, so that it leaves the labelled bars as they are.
        more, others = _draw(chain, np.array([0, unlabelled]), world=world, seed=seeds[1])
        regime = np.concatenate([regime, more])
        parts = BarParts(*(np.concatenate(pair) for pair in zip(parts, others, strict=True)))
        everything = np.append(stretches, known + unlabelled)
    source = f"moola_data benchmark, seed {seed}, snr {world.snr:g}, signal {world.signal}, noise {noise}"
    bars = bars_of(parts, everything, world=world, source=source)
    truth = _expansions(chain.level[regime], everything, world=world)

    if not world.tick:
        # So that `posterior(bars, world=world)` gives the same numbers to the last bit.
        prices = prices_of(parts, everything, price=world.price)
        parts = parts_of(prices, everything, price=world.price)
    exact = posterior_of(BarParts(*(part[:known] for part in parts)), stretches, world=world)
    starts = (stretches[:-1, None] + warmup + np.arange(per_stretch) * length).ravel()
    group = np.repeat(np.arange(groups), per_stretch)
    best = partial(
        best_scores,
        starts=starts,
        length=length,
        stretches=stretches,
        group=group,
        context=f"all bars of a stretch: {warmup} of warm-up, then {per_stretch} window(s) of {length}",
    )
    labels = _before(truth, known)
    ceiling = best(exact.label, exact.causal, exact.spans, labels)
    label_ceiling = ceiling
    if noise != "none":
        labels = annotate(labels, noise, bars=bars, seed=int(seeds[2].generate_state(1)[0]))
        marks = marked_spans(exact.spans, stretches, preset=noise)
        label_ceiling = best(covered(marks), np.full(known, np.nan), marks, labels)
    unknown = np.full(unlabelled, np.nan)
    return Benchmark(
        bars=bars,
        spans=labels,
        truth=truth,
        regime=regime,
        regime_names=chain.names,
        posterior=np.concatenate([exact.label, unknown]),
        causal=np.concatenate([exact.causal, unknown]),
        starts=starts,
        group=group,
        length=length,
        warmup=warmup,
        unlabelled_from=known,
        ceiling=ceiling,
        label_ceiling=label_ceiling,
        world=world,
    )


def _draw(
    chain: Regimes, stretches: Integers, *, world: World, seed: np.random.SeedSequence
) -> tuple[Integers, BarParts]:
    """Draws the regime and the bars of stretches."""
    hidden, visible = (np.random.default_rng(child) for child in seed.spawn(2))
    regime = sample_regimes(chain, stretches, seed=hidden)
    look = chain.look[regime]
    drift, scale = chain.drift[look], chain.scale[look]
    return regime, sample_parts(drift, scale, stretches, world=world, seed=visible)


def _expansions(level: Integers, stretches: Integers, *, world: World) -> Spans:
    inside = level >= 0
    head = inside.copy()
    head[1:] &= ~inside[:-1]
    head[stretches[:-1]] = inside[stretches[:-1]]
    tail = inside.copy()
    tail[:-1] &= ~inside[1:]
    tail[stretches[1:] - 1] = inside[stretches[1:] - 1]
    start = np.flatnonzero(head)
    return Spans(
        start=start,
        end=np.flatnonzero(tail),
        type=level[start],
        weight=np.ones(len(start), np.float32),
        type_names=tuple(f"drift {drift:g}" for drift in world.drift_levels),
        annotator="truth",
        label="expansion",
    )


def _before(spans: Spans, bar: int) -> Spans:
    kept = spans.start < bar
    fields = ("start", "end", "type", "weight")
    return spans.model_copy(update={name: getattr(spans, name)[kept] for name in fields})
