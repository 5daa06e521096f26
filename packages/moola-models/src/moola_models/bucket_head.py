"""The countdown as a class: every bar's distance to the start in buckets, fine near it, coarse far off.

Only bars near a start can know how far off it is, so only those count in the likelihood. B batch, K bars,
C buckets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from moola_models.dropout import Dropout
from moola_models.encoders import valid_bars
from moola_models.heads import Head, HeadConfig, States, Widths
from moola_models.odds import full_precision

EDGES = (-20, -10, -5, -2, 0, 1, 3, 6, 11, 21)
"""Eleven buckets: 21 or more bars after a start, 20..11, 10..6, 5..3, 2..1, on it, and the same before it."""


class BucketHeadConfig(HeadConfig):
    """Dropout, one linear layer from a bar's state to a logit per bucket."""

    pooled: ClassVar[bool] = False
    kind: Literal["countdown_buckets"] = "countdown_buckets"
    name: str = "countdown"
    edges: tuple[int, ...] = Field(default=EDGES, min_length=1)
    """Ascending bars; bucket i holds edges[i-1] <= countdown < edges[i], the outer two are open."""
    band: int | None = Field(default=20, ge=0)
    """Bars farther than this from the start do not count in the likelihood; None: all count."""

    @field_validator("edges")
    @classmethod
    def _edges_ascend(cls, edges: tuple[int, ...]) -> tuple[int, ...]:
        if list(edges) != sorted(set(edges)):
            raise ValueError(f"want ascending bars, got {edges}")
        return edges

    def build(self, widths: Widths) -> BucketHead:
        """Makes the module, with freshly drawn parameters."""
        return BucketHead(self, widths)


class BucketHead(Head):
    """With targets a log-likelihood a window; without, the expected countdown of every bar."""

    def __init__(self, config: BucketHeadConfig, widths: Widths) -> None:
        super().__init__()
        self.edges, self.band = config.edges, config.band
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(widths.bar, len(config.edges) + 1)

    def distribution(self, states: States) -> Tensor:
        """Log-probabilities of the buckets, (B, K, C)."""
        return full_precision(self.linear(self.dropout(states.bars))).log_softmax(2)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns (B,) log-likelihoods given a target, else (B, K) expected bars to the start.

        A bucket stands for its middle, an open one for the bar next to its edge.

        Args:
            states: Of the batch.
            target: Countdown in bars, not clipped, (B, K). A bar where it is nan, beyond the band or padded
                does not count; a window without one that counts gets 0.
        """
        log_BKC = self.distribution(states)
        if target is None:
            return log_BKC.exp() @ bucket_middles(self.edges).to(log_BKC)
        known_BK = informative(target, band=self.band)
        if states.lengths is not None:
            known_BK = known_BK & valid_bars(target, states.lengths)
        label_BK = bucket_of(torch.where(known_BK, target, 0.0), edges=self.edges)
        chosen_BK = log_BKC.gather(2, label_BK[:, :, None]).squeeze(2)
        return torch.where(known_BK, chosen_BK, 0.0).sum(1)


def bucket_of(countdown: Tensor, *, edges: tuple[int, ...] = EDGES) -> Tensor:
    """Sorts countdowns in bars into buckets: how many edges are at most the countdown, int64, same shape.

    >>> bucket_of(torch.tensor([-30.0, -1.0, 0.0, 2.0, 21.0])).tolist()
    [0, 4, 5, 6, 10]
    """
    return torch.bucketize(countdown, torch.tensor(edges, device=countdown.device), right=True)


def informative(countdown: Tensor, *, band: int | None) -> Tensor:
    """True where a countdown in bars is known and not beyond `band`; None: wherever it is known."""
    return countdown.isfinite() if band is None else countdown.abs() <= band


def bucket_middles(edges: tuple[int, ...]) -> Tensor:
    """The countdown each bucket stands for, in bars, f4 (C,).

    >>> bucket_middles((-2, 0, 1, 3)).tolist()
    [-3.0, -1.5, 0.0, 1.5, 3.0]
    """
    inner = [(low + high - 1) / 2 for low, high in pairwise(edges)]
    return torch.tensor([float(edges[0] - 1), *inner, float(edges[-1])])
