"""The linear-chain conditional random field: a distribution over tag sequences of a window.

A sequence y of tags has the score

    start[y_0] + sum_k emission[k, y_k] + sum_k transition[y_(k-1), y_k] + end[y_last]

and the probability exp(score - log Z) (Lafferty, McCallum and Pereira 2001). Two tags reward persistence but
do not force a span to be one piece; forbidden transitions do.

B batch, K bars, T tags.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moola_models.chain_sums import NEVER, log_partition, log_steps, log_sum, products_hold


@dataclass(frozen=True)
class Chain:
    """A batch of linear chains.

    Args:
        emissions: Score of each tag at each bar, (B, K, T); float, at least 32 bits for exact sums.
        start: Score of each tag at the first bar, (T,) or (B, T); -inf forbids one, if `forbidden`.
        transitions: Score of a pair of neighbours, (T, T), from row to column; -inf forbids the pair.
        end: Score of each tag at the last valid bar, (T,) or (B, T).
        lengths: Valid leading bars of each window, (B,) int64 in 1..K; None when all K are valid.
        forbidden: Must be true when `start`, `transitions` or `end` holds -inf.

    Padded bars change nothing, whatever finite emissions they hold.
    """

    emissions: Tensor
    start: Tensor
    transitions: Tensor
    end: Tensor
    lengths: Tensor | None = None
    forbidden: bool = False

    @property
    def valid(self) -> Tensor:
        """True where a bar belongs to the window."""
        B, K, _ = self.emissions.shape
        position_K = torch.arange(K, device=self.emissions.device)
        if self.lengths is None:
            return torch.ones(B, K, dtype=torch.bool, device=self.emissions.device)
        return position_K < self.lengths.to(position_K.device)[:, None]

    def score(self, tags_BK: Tensor) -> Tensor:
        """Unnormalised log score of given tags.

        Args:
            tags_BK: Tags in 0..T-1, int64; at padded bars any tag.

        Returns:
            Shape (B,).
        """
        valid_BK = self.valid
        emitted_BK = self.emissions.gather(2, tags_BK[:, :, None]).squeeze(2)
        T = len(self.transitions)
        # How often each pair occurs: a look-up for each bar would have a slow gradient.
        pairs = torch.zeros_like(valid_BK[:, :1], dtype=emitted_BK.dtype).repeat(1, T * T)
        pairs.scatter_add_(1, tags_BK[:, :-1] * T + tags_BK[:, 1:], valid_BK[:, 1:].to(pairs.dtype))
        moved = torch.where(pairs > 0, pairs * self.transitions.flatten(), 0)
        last_B1 = tags_BK.gather(1, valid_BK.sum(1, keepdim=True) - 1)
        first, last = self.start.expand_as(self.emissions[:, 0]), self.end.expand_as(self.emissions[:, 0])
        return (
            first.gather(1, tags_BK[:, :1]).squeeze(1)
            + torch.where(valid_BK, emitted_BK, 0).sum(1)
            + moved.sum(1)
            + last.gather(1, last_B1).squeeze(1)
        )

    def log_partition(self) -> Tensor:
        """Log of the summed exponentials of all tag sequences' scores, shape (B,).

        The chain's transfer matrices are multiplied pairwise in a tree of log2(K) levels: as probabilities
        where their range allows it, else as logarithms, which no range of scores can exhaust. With
        `forbidden`, and off the CPU, where asking for the range would wait for the device, always as
        logarithms (`moola_models.chain_sums`).

        Raises:
            ValueError: If transitions or ends are not finite and `forbidden` is off (asked on a CPU only).
        """
        if self.forbidden or not products_hold(self.transitions, self.end):
            return log_sum(self.start + self.emissions[:, 0], self.steps(), self.end)
        valid_BK = None if self.lengths is None else self.valid
        return log_partition(self.emissions, self.start, self.transitions, self.end, valid_BK)

    def log_prob(self, tags_BK: Tensor) -> Tensor:
        """Log-likelihood of given tags, shape (B,), at most 0."""
        return self.score(tags_BK) - self.log_partition()

    def log_marginals(self) -> Tensor:
        """Log-probability of every tag at every bar, shape (B, K, T); meaningless at padded bars."""
        joint_BKT = self.before() + self.after()
        return joint_BKT - torch.logsumexp(joint_BKT, 2, keepdim=True)

    def before(self) -> Tensor:
        """Forward messages: log of the summed scores up to a bar, its own included, by its tag; (B, K, T)."""
        steps = self.steps()
        messages = [self.start + self.emissions[:, 0]]
        for k in range(steps.shape[1]):
            messages.append(torch.logsumexp(messages[-1][:, :, None] + steps[:, k], 1))
        return torch.stack(messages, 1)

    def after(self) -> Tensor:
        """Backward messages: log of the summed scores after a bar, by its tag; (B, K, T)."""
        steps = self.steps()
        messages = [self.end.expand_as(self.emissions[:, 0])]
        for k in reversed(range(steps.shape[1])):
            messages.append(torch.logsumexp(steps[:, k] + messages[-1][:, None, :], 2))
        return torch.stack(messages[::-1], 1)

    def steps(self) -> Tensor:
        """Transfer matrices in logarithms, (B, K-1, T, T); the identity where the arriving bar is padding."""
        transitions = self.transitions
        if self.forbidden:
            # A finite stand-in for -inf: its exponential is 0 just the same and gradients stay free of nan.
            transitions = transitions.clamp(min=NEVER)
        return log_steps(self.emissions, transitions, None if self.lengths is None else self.valid)
