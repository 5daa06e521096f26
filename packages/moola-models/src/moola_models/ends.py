"""A distribution over a span's two ends, from a score of each bar as the first and as the last one.

A span (s, e), both inclusive, s <= e, has probability exp(start[s] + end[e]) over the sum of all such pairs,
so no mass lies on spans that end before they start, as it would with two independent softmaxes. Running sums
make everything linear in the bars. B batch, K bars.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moola_models.encoders import valid_bars


@dataclass(frozen=True)
class Ends:
    """A batch of such distributions.

    Args:
        start: Score of each bar as the first, (B, K).
        end: Score of each bar as the last, (B, K).
        lengths: Valid leading bars, (B,) int64 in 1..K; None when all K are valid.
    """

    start: Tensor
    end: Tensor
    lengths: Tensor | None = None

    def log_partition(self) -> Tensor:
        """Log of the summed exponentials of all spans' scores, shape (B,)."""
        start_BK, end_BK = self._scores()
        return torch.logsumexp(start_BK.logcumsumexp(1) + end_BK, 1)

    def log_prob(self, start_B: Tensor, end_B: Tensor) -> Tensor:
        """Log-likelihood of one span each, first and last bar int64 (B,), start <= end < K; shape (B,)."""
        start_BK, end_BK = self._scores()
        score_B1 = start_BK.gather(1, start_B[:, None]) + end_BK.gather(1, end_B[:, None])
        return score_B1.squeeze(1) - self.log_partition()

    def log_start(self) -> Tensor:
        """Log-probability that a bar is the first, (B, K); hugely negative at padded bars."""
        start_BK, end_BK = self._scores()
        return start_BK + end_BK.flip(1).logcumsumexp(1).flip(1) - self.log_partition()[:, None]

    def log_end(self) -> Tensor:
        """Log-probability that a bar is the last, (B, K); hugely negative at padded bars."""
        start_BK, end_BK = self._scores()
        return start_BK.logcumsumexp(1) + end_BK - self.log_partition()[:, None]

    def mean(self) -> tuple[Tensor, Tensor]:
        """Expected first and last bar, float (B,) each, 0 <= start <= end <= K - 1."""
        position_K = torch.arange(self.start.shape[1], device=self.start.device, dtype=self.start.dtype)
        return self.log_start().exp() @ position_K, self.log_end().exp() @ position_K

    @torch.no_grad()
    def best(self) -> tuple[Tensor, Tensor]:
        """The most probable span's first and last bar, int64 (B,) each."""
        start_BK, end_BK = self._scores()
        opening = start_BK.cummax(1)
        end_B = (opening.values + end_BK).argmax(1)
        return opening.indices.gather(1, end_B[:, None]).squeeze(1), end_B

    def _scores(self) -> tuple[Tensor, Tensor]:
        if self.lengths is None:
            return self.start, self.end
        valid_BK = valid_bars(self.start, self.lengths)
        # Far below any score yet finite, so that gradients stay free of nan.
        never = torch.finfo(self.start.dtype).min / 4
        return torch.where(valid_BK, self.start, never), torch.where(valid_BK, self.end, never)
