"""A run trained anew on parts of its labels, each scored on the run's inner part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.schema import Bars, Spans, WindowSet
from moola_data.window_subset import select
from moola_eval.schema import Truth
from moola_eval.threshold import choose_threshold
from moola_train.fit import fit
from moola_train.recipes.answers import answers_of
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.experiment import experiment
from moola_train.recipes.first_weights import first_weights
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.trial import decided_span_f1, seeded


class Point(NamedTuple):
    """One training on a part of the labels."""

    share: float
    """Of the training part's blocks of time."""
    windows: float
    """Bars that were trained on, in windows."""
    score: float
    """Span F1 on the inner part; too good by the choices made there, at every share alike."""


def curve_points(
    bars: Bars,
    spans: Spans,
    config: RunConfig,
    *,
    shares: Sequence[float] = (0.25, 0.5, 1.0),
    repeats: int = 2,
    seed: int = 0,
    told: Callable[[int, int], None] | None = None,
) -> list[Point]:
    """Trains on blocks of time drawn at random, with every part's own seed, and scores.

    Args:
        bars: The run's.
        spans: The run's.
        config: The run's; its seeds are replaced.
        shares: Of the blocks of the training part.
        repeats: Trainings a share.
        seed: Of the draws and the trainings.
        told: Of finished trainings, and how many there are.

    Raises:
        ValueError: A share is not in (0, 1], or the input does not allow a run.
    """
    for share in shares:
        if not 0 < share <= 1:
            raise ValueError(f"shares: want shares above 0 and at most 1, got {share}")
    if repeats < 1:
        raise ValueError(f"repeats: want 1 or more, got {repeats}")
    windows, _ = expansion_windows(bars, spans, config)
    points = []
    for number, share in enumerate(share for share in shares for _ in range(repeats)):
        settings = seeded(config, seed + number)
        few = _part(windows, share, np.random.default_rng([seed, number]))
        made = experiment(few, settings)
        first_weights(made, bars, settings)
        fit(made.model, made.data, made.tasks, made.balancer, settings.fit, select=made.scores)
        inner = np.flatnonzero(few.split == 1)
        found = answers_of(made.model, made.data, inner, settings.data, settings.decoding)
        chosen = choose_threshold(found.probability, Truth.model_validate(made.inner))
        score = decided_span_f1(made.inner, found, chosen.threshold)
        points.append(Point(share, labelled_windows(few, len(bars)), score))
        if told is not None:
            told(len(points), len(shares) * repeats)
    return points


def labelled_windows(windows: WindowSet, bars: int) -> float:
    """Bars of the training part, each counted once and without mirror images, in windows."""
    starts = windows.starts[windows.split == 0]
    starts = starts[starts < bars]  # mirrored windows lie after the bars
    return len(np.unique(starts[:, None] + np.arange(windows.length))) / windows.length


def _part(windows: WindowSet, share: float, chance: np.random.Generator) -> WindowSet:
    """Keeps some blocks of the training part, mirror images with them, and one with a span at least."""
    training = windows.split == 0
    blocks = chance.permutation(np.unique(windows.group[training]))
    marked = windows.spans.window[windows.spans.weight > 0]
    with_span = np.isin(blocks, windows.group[marked][windows.split[marked] == 0])
    first = np.flatnonzero(with_span)[:1]
    blocks = np.concatenate([blocks[first], np.delete(blocks, first)])
    kept: npt.NDArray[np.int64] = blocks[: max(1, round(share * len(blocks)))]
    return select(windows, ~training | np.isin(windows.group, kept))
