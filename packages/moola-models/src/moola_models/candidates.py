"""Marks of the bars in spans, out of any of the structured distributions, by one set of names.

Marks are true where a bar lies in a span; each run of true is one span, and padding is false. Of a `Chain`,
tag 0 means outside and every other tag inside.

B batch, K bars, N sets of spans of each window.
"""

from __future__ import annotations

import torch
from torch import Tensor

from moola_models.chain import Chain
from moola_models.chain_paths import best_path, k_best_paths, sample_paths
from moola_models.segment import Segment, Segments
from moola_models.semi_markov import SemiMarkov
from moola_models.semi_markov_paths import Markings, best_spans, k_best_spans, sample_spans

Distribution = Chain | Segment | SemiMarkov


@torch.no_grad()
def best_marks(distribution: Distribution) -> Tensor:
    """Returns the marks of the most probable outcome of each window, bool (B, K)."""
    if isinstance(distribution, Chain):
        return best_path(distribution) > 0
    if isinstance(distribution, SemiMarkov):
        return best_spans(distribution)
    return _marks_of(distribution.k_best(1), distribution)[:, 0]


@torch.no_grad()
def k_best_marks(distribution: Distribution, k: int) -> Markings:
    """Finds the marks of the k most probable outcomes of each window.

    Raises:
        ValueError: If k is less than 1.
    """
    if isinstance(distribution, Chain):
        paths = k_best_paths(distribution, k)
        return Markings(paths.tags > 0, paths.score)
    if isinstance(distribution, SemiMarkov):
        return k_best_spans(distribution, k)
    segments = distribution.k_best(k)
    return Markings(_marks_of(segments, distribution), segments.score)


@torch.no_grad()
def sample_marks(distribution: Distribution, n: int, *, generator: torch.Generator) -> Tensor:
    """Draws the marks of n independent outcomes of each window, bool (B, n, K).

    Raises:
        ValueError: If n is less than 1.
    """
    if isinstance(distribution, Chain):
        return sample_paths(distribution, n, generator=generator) > 0
    if isinstance(distribution, SemiMarkov):
        return sample_spans(distribution, n, generator=generator)
    return _marks_of(distribution.sample(n, generator=generator), distribution)


@torch.no_grad()
def inside_probability(distribution: Distribution) -> Tensor:
    """Returns the probability that a bar lies in a span, (B, K); 0 at padded bars."""
    if isinstance(distribution, Chain):
        inside_BK = 1 - distribution.log_marginals()[:, :, 0].exp()
    elif isinstance(distribution, SemiMarkov):
        inside_BK = -torch.expm1(distribution.log_outside())
    else:
        inside_BK = distribution.log_marginals().exp()
    return torch.where(distribution.valid, inside_BK.clamp(0, 1), 0)


def thresholded_marks(distribution: Distribution, threshold: float) -> Tensor:
    """Returns the bars whose probability of lying in a span reaches a threshold, bool (B, K).

    The fastest way from a distribution to spans; it ignores that neighbours go together.

    Args:
        distribution: Of the spans.
        threshold: In 0..1; a probability equal to it is positive.

    Raises:
        ValueError: If the threshold is not in 0..1.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: want a number in 0..1, got {threshold}")
    return (inside_probability(distribution) >= threshold) & distribution.valid


def _marks_of(segments: Segments, distribution: Segment) -> Tensor:
    position_K = torch.arange(distribution.start.shape[1], device=segments.start.device)
    return (position_K >= segments.start[:, :, None]) & (position_K <= segments.end[:, :, None])
