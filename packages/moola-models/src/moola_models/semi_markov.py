"""Any number of spans a window, each with a learned duration: a semi-Markov conditional random field.

Every bar is outside (score 0) or in a span (Sarawagi and Cohen 2004). A span from bar s to bar e, of
d = e - s + 1 bars, has the score

    start[s] + end[e] + inside[s] + … + inside[e] + duration[min(d, D)] + tail * max(d - D, 0)

so durations up to D have a free prior and longer ones a geometric tail: nothing is cut off. Between two spans
lies at least one outside bar, so marks of bars and sets of spans tell the same.

B batch, K bars, D free durations.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moola_models.chain import Chain
from moola_models.semi_markov_sums import (
    Messages,
    both_messages,
    log_partition,
    messages,
    recorded_messages,
    suffixes,
    turned,
)


@dataclass(frozen=True)
class SemiMarkov:
    """A batch of distributions over sets of spans.

    Args:
        start: Score of a span's first bar, (B, K).
        end: Score of a span's last bar, (B, K).
        inside: Score of each bar in a span, (B, K).
        duration: Score of a span's length 1..D, (D,) with D at least 2.
        tail: Score of each bar beyond D, scalar.
        lengths: Valid leading bars, (B,) int64 in 1..K; None when all K are valid.
    """

    start: Tensor
    end: Tensor
    inside: Tensor
    duration: Tensor
    tail: Tensor
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        if self.duration.ndim != 1 or len(self.duration) < 2:
            raise ValueError(
                f"duration: want shape (D,) with D of 2 or more, got {tuple(self.duration.shape)}"
            )

    @property
    def valid(self) -> Tensor:
        """True where a bar belongs to the window, (B, K)."""
        B, K = self.inside.shape
        if self.lengths is None:
            return torch.ones(B, K, dtype=torch.bool, device=self.inside.device)
        return torch.arange(K, device=self.inside.device) < self.lengths.to(self.inside.device)[:, None]

    def log_partition(self) -> Tensor:
        """Log of the summed exponentials of all sets' scores, shape (B,)."""
        return log_partition(self.start, self.end, self.inside, self.duration, self.tail, self.valid.sum(1))

    def log_prob(self, marks_BK: Tensor) -> Tensor:
        """Log-likelihood of marked bars, shape (B,); each run of True is a span.

        Args:
            marks_BK: bool.
        """
        return self.score(marks_BK) - self.log_partition()

    def score(self, marks_BK: Tensor) -> Tensor:
        """Unnormalised log score of marked bars, shape (B,)."""
        marks_BK = marks_BK & self.valid
        before = torch.nn.functional.pad(marks_BK, (1, 0))[:, :-1]
        after = torch.nn.functional.pad(marks_BK, (0, 1))[:, 1:]
        opens, closes = marks_BK & ~before, marks_BK & ~after
        K, D = marks_BK.shape[1], len(self.duration)
        position_K = torch.arange(K, device=marks_BK.device)
        since_BK = position_K - torch.where(opens, position_K, 0).cummax(1).values
        # How often each duration occurs: a look-up for each bar would have a slow gradient.
        counts_BD = torch.zeros_like(self.inside[:, :1]).repeat(1, D)
        counts_BD.scatter_add_(1, since_BK.clamp(max=D - 1), closes.to(counts_BD.dtype))
        beyond_B = torch.where(closes, (since_BK - (D - 1)).clamp(min=0), 0).sum(1)
        parts = (
            torch.where(opens, self.start, 0),
            torch.where(marks_BK, self.inside, 0),
            torch.where(closes, self.end, 0),
        )
        bars_B = sum(parts, torch.zeros_like(self.inside)).sum(1)
        return bars_B + (counts_BD * self.duration).sum(1) + self.tail * beyond_B

    def log_outside(self) -> Tensor:
        """Log of the probability that a bar lies in no span, (B, K); meaningless at padded bars.

        What comes after a bar is what comes before it in the reversed window with starts and ends swapped.
        """
        length_B = self.valid.sum(1)
        parts = (self.start, self.end, self.inside, self.duration, self.tail)
        if torch.compiler.is_compiling() or (
            torch.is_grad_enabled() and any(part.requires_grad for part in parts)
        ):
            before = recorded_messages(*parts)
            after = recorded_messages(
                turned(self.end, length_B),
                turned(self.start, length_B),
                turned(self.inside, length_B),
                self.duration,
                self.tail,
            )
        else:
            before, after = both_messages(*parts, length_B)
        total_B1 = before.any_end().gather(1, length_B[:, None])
        # With bar k outside, the bars after it may hold any set of spans.
        return before.outside[:, 1:] + suffixes(after.any_end(), length_B)[:, 1:] - total_B1

    def messages(self) -> Messages:
        """Log sums over the sets of spans in prefixes of 0..K bars, without gradients."""
        return messages(self.start, self.end, self.inside, self.duration, self.tail)

    @torch.no_grad()
    def chain(self) -> Chain:
        """The same distribution as a linear chain whose tags count a span's bars.

        Tag 0 is outside after an outside bar, tag 1 outside after a span, tag 1 + d the d-th bar of a span,
        D or more counted as D: a tag above 1 means that the bar lies in a span. `moola_models.chain_paths`
        can search and sample it, `moola_models.semi_markov_paths` does so sooner.
        """
        B, D = len(self.inside), len(self.duration)
        ended_BK = torch.nn.functional.pad(self.end, (1, 0))[:, :-1]
        tag_scores = [torch.zeros_like(self.inside), ended_BK, self.start + self.inside]
        emissions = torch.stack([*tag_scores, *[self.inside] * (D - 1)], 2)
        moves = torch.full((D + 2, D + 2), -torch.inf, dtype=emissions.dtype, device=emissions.device)
        moves[:2, 0] = 0.0
        moves[:2, 2] = 0.0
        for d in range(2, D + 1):
            moves[d, d + 1] = 0.0
        moves[2:, 1] = self.duration
        moves[D + 1, D + 1] = self.tail
        first = torch.full((D + 2,), -torch.inf, dtype=emissions.dtype, device=emissions.device)
        first[0] = first[2] = 0.0
        last_B1 = self.valid.sum(1, keepdim=True) - 1
        closing_BD = self.end.gather(1, last_B1) + self.duration
        last_BT = torch.cat([torch.zeros_like(closing_BD[:, :1]).expand(B, 2), closing_BD], 1)
        return Chain(emissions, first, moves, last_BT, self.lengths, True)
