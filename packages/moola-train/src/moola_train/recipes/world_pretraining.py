"""Pretraining on drawn markets whose marks are known: what an expansion looks like, without a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from moola_data.features import compute_features
from moola_data.mirror import mirror_features
from moola_data.one_expansion import one_expansion
from moola_data.schema import Bars, Spans
from moola_data.span_mask import span_mask
from moola_data.spans import visible_spans
from moola_data.synthetic import benchmark
from moola_data.trade_market import trade_market
from moola_data.windows import gather
from moola_losses.log_likelihood import LogLikelihood
from moola_models import Jade
from moola_train.batches import Examples
from moola_train.recipes.expansion import LOSSES
from moola_train.recipes.run_config import DataSection, PretrainSection
from moola_train.task import Task

STRENGTHS = (0.6, 0.9, 1.25, 1.7, 2.3)
"""Signal-to-noise ratios of worlds that have one, in equal shares."""
HEAD = "readouts.span_head."


class _Drawn(NamedTuple):
    bars: Bars
    spans: Spans
    starts: npt.NDArray[np.int64]


def _trades(n: int, length: int, seed: int) -> list[_Drawn]:
    market = trade_market(n, seed=seed, length=length)
    return [_Drawn(market.bars, market.spans, market.starts)]


def _one_expansion(n: int, length: int, seed: int) -> list[_Drawn]:
    shares = _shares(n)
    draws = [one_expansion(m, seed=seed + i, length=length, snr=s) for i, (m, s) in enumerate(shares)]
    return [_Drawn(d.bars, d.spans, d.starts) for d in draws]


def _semi_markov(n: int, length: int, seed: int) -> list[_Drawn]:
    draws = [benchmark(m, seed=seed + i, length=length, snr=s) for i, (m, s) in enumerate(_shares(n))]
    return [_Drawn(d.bars, d.truth, d.starts) for d in draws]


WORLDS: dict[str, Callable[[int, int, int], list[_Drawn]]] = {
    "trades": _trades,
    "one_expansion": _one_expansion,
    "semi_markov": _semi_markov,
}


def world_job(model: Jade, section: PretrainSection, data: DataSection) -> tuple[Examples, Task]:
    """Draws the windows and their marks.

    Args:
        model: With a span head alone.
        section: Which worlds, how many windows in all, and the seed.
        data: How bars become windows; mirrored windows are added if it says so.

    Returns:
        The examples, and the task of the span head.
    """
    seeds = np.random.default_rng([section.seed, 11]).integers(2**31, size=len(section.worlds))
    each = -(-section.windows // len(section.worlds))
    inputs, marks = [], []
    for name, seed in zip(section.worlds, seeds.tolist(), strict=True):
        for drawn in WORLDS[name](each, data.length, seed):
            features = compute_features(drawn.bars, data.feature_set)
            matrices = [features.values]
            if data.mirror:
                matrices.append(
                    mirror_features(features.values, tuple(features.names), features=data.feature_set)
                )
            seen = visible_spans(drawn.spans, drawn.starts, length=data.length)
            mark = span_mask(seen, windows=len(drawn.starts), length=data.length)
            for matrix in matrices:
                inputs.append(gather(matrix, drawn.starts, length=data.length, position=data.position))
                marks.append(mark)
    x, target = torch.from_numpy(np.concatenate(inputs)), torch.from_numpy(np.concatenate(marks))
    kind = next(head.kind for head in model.config.heads if head.name == "span")
    return Examples(x, targets={"span": target}), Task("span", LOSSES.get(kind, LogLikelihood)())


def _shares(n: int) -> list[tuple[int, float]]:
    counts = [len(part) for part in np.array_split(np.arange(n), len(STRENGTHS))]
    return [(count, strength) for count, strength in zip(counts, STRENGTHS, strict=True) if count]
