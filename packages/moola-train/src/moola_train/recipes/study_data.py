"""The data of a study: a draw to train and choose on, and fresh windows that nothing was chosen on.

In every set part 0 is trained on, part 1 is what choices may see, part 2 is reported. Drawn data have an
exact ceiling; those of `moola_train.recipes.study_real` have none.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from moola_data.ceiling import Ceiling
from moola_data.expansion_rule import label_expansions
from moola_data.features import compute_features
from moola_data.jitter import feature_scale
from moola_data.leaky_random_split import LeakWarning, LeakyRandomSplit
from moola_data.mirror import with_mirrored
from moola_data.one_expansion import one_expansion
from moola_data.schema import Bars, FeatureMatrix, Spans, WindowSet
from moola_data.synthetic import benchmark
from moola_data.window_join import join, renumber_groups
from moola_data.window_set import build_window_set
from moola_data.window_split import WindowSplit
from moola_data.window_subset import select
from moola_train.recipes.run_config import DataSection
from moola_train.recipes.study_real import FuturesSource, StocksSource, real_windows

Count = Annotated[int, Field(ge=1)]
FRESH, FREE = 1_000_000, 2_000_000
"""Added to a seed: the fresh and the unlabelled windows are other draws of the same world."""


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    snr: float = 1.25
    signal: Literal[0, 1] = 1
    fresh: Count = 500
    """Windows of the reported part, of another draw."""
    inner: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the first draw that choices may see."""
    unlabelled: Annotated[int, Field(ge=0)] = 0
    """Windows without labels, of a third draw."""
    noise_features: bool = False
    """Replace every feature by independent standard normal numbers."""
    jitter: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Add two copies of the training windows with normal noise of so many of each feature's deviations."""


class OneExpansionSource(_Source):
    """The brief's situation: one expansion near the middle of every window, shifted copies beside it."""

    kind: Literal["one_expansion"] = "one_expansion"
    base: Count = 102
    """Underlying windows; the copies make about twice as many more."""
    copies: bool = True
    slide: Count | None = None
    """Take windows at every so many bars around each underlying one, as far as they show .3 of its expansion;
    in place of the copies."""
    limit: Count | None = None
    """Take only so many windows, drawn at random."""
    split: Literal["row", "group"] = "group"
    """Who is inner: windows drawn one by one, whose copies may be trained on, or whole groups."""


class BenchmarkSource(_Source):
    """Semi-Markov regimes: none, one or several expansions in a window."""

    kind: Literal["benchmark"] = "benchmark"
    windows: Count = 210
    noise: Literal["none", "careful", "typical", "hasty"] = "none"
    """Who labelled the first draw; the fresh windows are scored against the truth."""
    noise_reported: bool = False
    """Score the fresh windows against labels of the same person too, and let the ceiling be theirs."""


DrawnSource = OneExpansionSource | BenchmarkSource
AnySource = DrawnSource | StocksSource | FuturesSource
SOURCES: TypeAdapter[AnySource] = TypeAdapter(Annotated[AnySource, Field(discriminator="kind")])
"""Reads a source from JSON."""


class Unlabelled(NamedTuple):
    """Bars without labels, for pretraining, with what a simple rule says of them."""

    features: npt.NDArray[np.float32]
    """(N, F)."""
    starts: npt.NDArray[np.int64]
    """First bars of windows, (n,)."""
    rule: Spans
    """Spans by `moola_data.expansion_rule`, which looks at later bars too."""


class Material(NamedTuple):
    """What a trial trains on."""

    windows: WindowSet
    bar_ceiling: float | None
    """Best expected bar F1 on the fresh windows, where it is known."""
    span_ceiling: float | None
    leaked: int
    """Inner windows that share bars with training windows."""
    bars: tuple[Bars, ...]
    """Of the first and of the fresh draw, or one real market's; without mirror images the features' rows."""
    unlabelled: Unlabelled | None = None
    """More bars of the same world, if the source has any."""


class _Draw(NamedTuple):
    bars: Bars
    spans: Spans
    starts: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    ceiling: Ceiling


def material(source: AnySource, section: DataSection, *, seed: int) -> Material:
    """Draws the data of one trial, or cuts those of a real market, which no seed changes.

    Args:
        source: What kind of it.
        section: How bars become windows; its stride, fractions and block do not apply.
        seed: Seed of the bars, the labels and the parts.

    Returns:
        The windows with their parts, and the ceilings of the reported part.

    >>> drawn = material(BenchmarkSource(windows=10, fresh=5), DataSection(), seed=0)
    >>> np.bincount(drawn.windows.split).tolist()
    [8, 2, 5]
    """
    if isinstance(source, StocksSource | FuturesSource):
        real = real_windows(source, section)
        windows = with_mirrored(real.windows) if section.mirror else real.windows
        return Material(windows, bar_ceiling=None, span_ceiling=None, leaked=0, bars=(real.bars,))
    known, fresh = _draws(source, section.length, seed)
    chance = np.random.default_rng([seed, 1])
    if isinstance(source, OneExpansionSource) and source.slide is not None:
        known = _slid(known, every=source.slide, length=section.length)
    chosen = np.arange(len(known.starts))
    if isinstance(source, OneExpansionSource) and source.limit is not None:
        chosen = np.sort(chance.permutation(len(chosen))[: source.limit])
    starts, group = known.starts[chosen], known.group[chosen]
    split = _parts(source, starts, group, length=section.length, seed=seed)
    labelled = _windows(known, starts, group, split, source, section, chance)
    training = labelled.group[labelled.split == 0]
    leaked = int(np.isin(labelled.group[labelled.split == 1], training).sum())
    if section.mirror:
        labelled = with_mirrored(labelled)
    if source.jitter:
        labelled = _jittered(labelled, source.jitter, np.random.default_rng([seed, 4]))
    reported = _windows(
        fresh, fresh.starts, fresh.group, np.full(len(fresh.starts), 2, np.int8), source, section, chance
    )
    reported = renumber_groups(reported, first=int(labelled.group.max()) + 1)
    return Material(
        windows=join(labelled, reported),
        unlabelled=_unlabelled(source, section, seed=seed),
        bar_ceiling=fresh.ceiling.bar.f1,
        span_ceiling=fresh.ceiling.span.f1,
        leaked=leaked,
        bars=(known.bars, fresh.bars),
    )


def _draws(source: DrawnSource, length: int, seed: int) -> tuple[_Draw, _Draw]:
    if isinstance(source, OneExpansionSource):
        ones = (
            one_expansion(n, seed=drawn, copies=copies, length=length, snr=source.snr, signal=source.signal)
            for n, drawn, copies in (
                (source.base, seed, source.copies and source.slide is None),
                (source.fresh, seed + FRESH, False),
            )
        )
        known, fresh = (_Draw(d.bars, d.spans, d.starts, d.group, d.ceiling) for d in ones)
        return known, fresh
    first = benchmark(
        source.windows, seed=seed, noise=source.noise, length=length, snr=source.snr, signal=source.signal
    )
    second = benchmark(
        source.fresh,
        seed=seed + FRESH,
        noise=source.noise if source.noise_reported else "none",
        length=length,
        snr=source.snr,
        signal=source.signal,
    )
    return (
        _Draw(first.bars, first.spans, first.starts, first.group, first.ceiling),
        _Draw(second.bars, second.spans, second.starts, second.group, second.label_ceiling),
    )


def _slid(draw: _Draw, *, every: int, length: int) -> _Draw:
    """Windows around each underlying one, in its group, that show at least .3 of its expansion."""
    half = length // 2
    offsets = np.arange(-(half // every) * every, half + 1, every)
    starts = (draw.starts[:, None] + offsets).ravel()
    first = np.searchsorted(draw.spans.start, draw.starts)  # each underlying window holds one, in order
    start, end = (np.repeat(x[first], len(offsets)) for x in (draw.spans.start, draw.spans.end))
    shown = np.minimum(end, starts + length - 1) - np.maximum(start, starts) + 1
    kept = shown >= 0.3 * (end - start + 1)
    return draw._replace(starts=starts[kept], group=np.repeat(draw.group, len(offsets))[kept])


def _unlabelled(source: DrawnSource, section: DataSection, *, seed: int) -> Unlabelled | None:
    if not source.unlabelled:
        return None
    if isinstance(source, OneExpansionSource):
        drawn = one_expansion(
            source.unlabelled, seed=seed + FREE, length=section.length, snr=source.snr, signal=source.signal
        )
        bars, starts = drawn.bars, drawn.starts
    else:
        stream = benchmark(
            source.unlabelled, seed=seed + FREE, length=section.length, snr=source.snr, signal=source.signal
        )
        bars, starts = stream.bars, stream.starts
    features = compute_features(bars, section.feature_set).values
    if source.noise_features:
        features = np.random.default_rng([seed, 3]).standard_normal(features.shape, dtype=np.float32)
    return Unlabelled(features, starts, label_expansions(bars))


def _jittered(windows: WindowSet, sigma: float, chance: np.random.Generator) -> WindowSet:
    """Adds two noisy copies of the training windows; inner windows stay as they are."""
    training = select(windows, windows.split == 0)
    scale = sigma * feature_scale(windows)
    for _ in range(2):
        noise = chance.standard_normal(training.features.shape, dtype=np.float32)
        noisy = training.features + scale * noise
        windows = join(windows, training.model_copy(update={"features": noisy, "purged": {}}))
    return windows


def _parts(
    source: DrawnSource,
    starts: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    *,
    length: int,
    seed: int,
) -> npt.NDArray[np.int8]:
    """Draws the inner part, 1 among 0: rows one by one, or whole groups."""
    part = np.zeros(len(starts), np.int8)
    if isinstance(source, OneExpansionSource) and source.split == "row":
        leaky = LeakyRandomSplit(
            prediction_times=starts, evaluation_times=starts + length - 1, test_size=source.inner, seed=seed
        )
        with warnings.catch_warnings():  # asked for by name, and counted in the result
            warnings.simplefilter("ignore", LeakWarning)
            ((_, inner),) = leaky.split()
        part[inner] = 1
        return part
    groups = np.random.default_rng([seed, 2]).permutation(np.unique(group))
    part[np.isin(group, groups[: max(1, round(source.inner * len(groups)))])] = 1
    return part


def _windows(
    draw: _Draw,
    starts: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    split: npt.NDArray[np.int8],
    source: DrawnSource,
    section: DataSection,
    chance: np.random.Generator,
) -> WindowSet:
    features = compute_features(draw.bars, section.feature_set)
    if source.noise_features:
        noise = chance.standard_normal(features.values.shape, dtype=np.float32)
        features = FeatureMatrix(values=noise, names=features.names, feature_set=features.feature_set)
    return build_window_set(
        draw.bars,
        features,
        draw.spans,
        length=section.length,
        position=section.position,
        pointer_encoding=section.pointer_encoding,
        countdown_form=section.countdown_form,
        countdown_band=section.countdown_band,
        span_form=section.span_form,
        split=WindowSplit(starts=starts, length=section.length, group=group, split=split, purged={}),
    )
