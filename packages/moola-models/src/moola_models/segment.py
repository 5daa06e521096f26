"""One span a window, or none: a distribution normalised over every (start, end) at once.

A span from bar s to bar e, both inclusive, has the score

    start[s] + end[e] + inside[s] + … + inside[e]

and no span has the score `empty`; probabilities are exp(score) over the sum. Running sums make partition,
likelihood and marginals linear in the bars, in time and memory.

B batch, K bars, N spans of each window. Spans are (start, end) bar numbers; (-1, -1) stands for no span.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Segments(NamedTuple):
    """Spans, the best first.

    Attributes:
        start: First bar, int64 (B, N); -1 for no span.
        end: Last bar, int64 (B, N); -1 for no span.
        score: Unnormalised log score, (B, N); -inf marks places that remain empty.
    """

    start: Tensor
    end: Tensor
    score: Tensor


@dataclass(frozen=True)
class Segment:
    """A batch of one-span distributions.

    Args:
        start: Score of a span's first bar, (B, K).
        end: Score of a span's last bar, (B, K).
        inside: Score of each bar in a span, (B, K).
        empty: Score of there being no span, scalar or (B,); -inf if there always is one.
        lengths: Valid leading bars, (B,) int64 in 1..K; None when all K are valid.
    """

    start: Tensor
    end: Tensor
    inside: Tensor
    empty: Tensor
    lengths: Tensor | None = None

    @property
    def valid(self) -> Tensor:
        """True where a bar belongs to the window, (B, K)."""
        B, K = self.start.shape
        if self.lengths is None:
            return torch.ones(B, K, dtype=torch.bool, device=self.start.device)
        return torch.arange(K, device=self.start.device) < self.lengths.to(self.start.device)[:, None]

    def log_partition(self) -> Tensor:
        """Log of the summed exponentials of all outcomes' scores, shape (B,)."""
        opened_BK, closed_BK = self._split()
        ending_BK = torch.logcumsumexp(opened_BK, 1) + closed_BK
        return torch.logaddexp(torch.logsumexp(ending_BK, 1), self.empty.expand(ending_BK.shape[0]))

    def log_prob(self, start_B: Tensor, end_B: Tensor) -> Tensor:
        """Log-likelihood of one span each, shape (B,).

        Args:
            start_B: First bars, int64; -1 for no span.
            end_B: Last bars, int64; -1 for no span.
        """
        opened_BK, closed_BK = self._split()
        first, last = (x.clamp(min=0)[:, None] for x in (start_B, end_B))
        score_B = (opened_BK.gather(1, first) + closed_BK.gather(1, last)).squeeze(1)
        return torch.where(start_B < 0, self.empty, score_B) - self.log_partition()

    def log_prob_of_marks(self, marks_BK: Tensor) -> Tensor:
        """Log-likelihood that the window's span is one of those marked, shape (B,).

        With one marked run this is `log_prob` of it; with several, the log of their summed probabilities;
        without any, that of no span.

        Args:
            marks_BK: bool; each run of True is a span.
        """
        marks_BK = marks_BK & self.valid
        K = marks_BK.shape[1]
        position_K = torch.arange(K, device=marks_BK.device)
        before = torch.nn.functional.pad(marks_BK, (1, 0))[:, :-1]
        after = torch.nn.functional.pad(marks_BK, (0, 1))[:, 1:]
        # Each bar's nearest end of a run, itself or later: that of its own run where it starts one.
        ends_BK = torch.where(marks_BK & ~after, position_K, K - 1)
        end_BK = ends_BK.flip(1).cummin(1).values.flip(1)
        opened_BK, closed_BK = self._split()
        score_BK = opened_BK + closed_BK.gather(1, end_BK)
        lowest = torch.finfo(score_BK.dtype).min
        runs_B = torch.logsumexp(torch.where(marks_BK & ~before, score_BK, lowest), 1)
        return torch.where(marks_BK.any(1), runs_B, self.empty) - self.log_partition()

    def log_marginals(self) -> Tensor:
        """Log of the probability that a bar lies in the span, shape (B, K); meaningless at padded bars."""
        opened_BK, closed_BK = self._split()
        # Spans over bar k open at k or before and close at k or after, and any such pair is a span.
        closing_BK = closed_BK.flip(1).logcumsumexp(1).flip(1)
        return opened_BK.logcumsumexp(1) + closing_BK - self.log_partition()[:, None]

    @torch.no_grad()
    def k_best(self, k: int) -> Segments:
        """Finds the k most probable outcomes of each window; no span is one of them.

        Raises:
            ValueError: If k is less than 1.
        """
        if k < 1:
            raise ValueError(f"k: want 1 or more, got {k}")
        K = self.start.shape[1]
        outcomes = self._outcomes()
        score, index = outcomes.topk(min(k, outcomes.shape[1]), 1)
        if score.shape[1] < k:
            lacking = k - score.shape[1]
            score = torch.nn.functional.pad(score, (0, lacking), value=-torch.inf)
            index = torch.nn.functional.pad(index, (0, lacking), value=K * K)
        return Segments(*self._bars(index), score)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator) -> Segments:
        """Draws n independent outcomes of each window.

        Raises:
            ValueError: If n is less than 1.
        """
        if n < 1:
            raise ValueError(f"n: want 1 or more, got {n}")
        outcomes = self._outcomes()
        index = torch.multinomial(outcomes.softmax(1), n, replacement=True, generator=generator)
        return Segments(*self._bars(index), outcomes.gather(1, index))

    def _split(self) -> tuple[Tensor, Tensor]:
        """The score of (s, e) as opened[s] + closed[e]; padded bars can neither open nor close a span."""
        summed_BK = self.inside.cumsum(1)
        # Far below any score yet finite, so that gradients stay free of nan.
        never = torch.finfo(summed_BK.dtype).min / 4
        opened_BK = torch.where(self.valid, self.start - summed_BK + self.inside, never)
        closed_BK = torch.where(self.valid, self.end + summed_BK, never)
        return opened_BK, closed_BK

    def _outcomes(self) -> Tensor:
        """Scores of all spans, row by row, then of none; what cannot be is -inf. (B, K * K + 1)."""
        opened_BK, closed_BK = self._split()
        K = opened_BK.shape[1]
        possible = torch.ones(K, K, dtype=torch.bool, device=opened_BK.device).triu() & self.valid[:, None, :]
        table = (opened_BK[:, :, None] + closed_BK[:, None, :]).masked_fill(~possible, -torch.inf).flatten(1)
        return torch.cat([table, self.empty.expand(table.shape[0])[:, None]], 1)

    def _bars(self, index: Tensor) -> tuple[Tensor, Tensor]:
        K = self.start.shape[1]
        none = index == K * K
        return (index // K).masked_fill(none, -1), (index % K).masked_fill(none, -1)
