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

NEVER = -1e20
"""Log-probability of what cannot happen: below every sum of scores, above the least float32 times K."""


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
        moved_BK = self.transitions[tags_BK[:, :-1], tags_BK[:, 1:]]
        last_B1 = tags_BK.gather(1, valid_BK.sum(1, keepdim=True) - 1)
        first, last = self.start.expand_as(self.emissions[:, 0]), self.end.expand_as(self.emissions[:, 0])
        return (
            first.gather(1, tags_BK[:, :1]).squeeze(1)
            + torch.where(valid_BK, emitted_BK, 0).sum(1)
            + torch.where(valid_BK[:, 1:], moved_BK, 0).sum(1)
            + last.gather(1, last_B1).squeeze(1)
        )

    def log_partition(self) -> Tensor:
        """Log of the summed exponentials of all tag sequences' scores, shape (B,).

        The chain's transfer matrices are multiplied pairwise in a tree of log2(K) levels, as probabilities
        scaled by their largest entry: one batched matrix product a level instead of K dependent steps. A tag
        that a later bar needs must not lie more than the exponent range below the others at one bar; finite
        transitions of moderate size guarantee that and forbidden ones do not, so with `forbidden` the same
        tree runs on logarithms.
        """
        first_BT = self.start + self.emissions[:, 0]
        steps = self.steps()
        if self.forbidden:
            paths_BTT = _log_product(steps)
            return torch.logsumexp(first_BT[:, :, None] + paths_BTT + self.end[..., None, :], dim=(1, 2))
        first_scale_B1 = first_BT.detach().amax(1, keepdim=True)
        end_scale = self.end.detach().amax(-1, keepdim=True)
        product_BTT, log_B = _scaled_product(steps)
        first_B1T = (first_BT - first_scale_B1).exp()[:, None, :]
        total_B = ((first_B1T @ product_BTT).squeeze(1) * (self.end - end_scale).exp()).sum(1)
        return total_B.log() + log_B + first_scale_B1.squeeze(1) + end_scale.squeeze(-1)

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
        steps = self.transitions + self.emissions[:, 1:, None, :]
        if self.forbidden:
            # A finite stand-in for -inf: its exponential is 0 just the same and gradients stay free of nan.
            steps = steps.clamp(min=NEVER)
        if self.lengths is None:
            return steps
        identity_TT = torch.full_like(self.transitions, NEVER).fill_diagonal_(0)
        return torch.where(self.valid[:, 1:, None, None], steps, identity_TT)


def _scaled_product(steps: Tensor) -> tuple[Tensor, Tensor]:
    """Ordered product of exp(steps) along bars as (product (B, T, T), log of its scale (B,))."""
    B, K, T, _ = steps.shape
    if K == 0:
        return torch.eye(T, dtype=steps.dtype, device=steps.device).expand(B, T, T), steps.new_zeros(B)
    # Scales are constants of the gradient: what they take from a product they add to its logarithm.
    scale = steps.detach().amax((2, 3))
    matrices, log_B = (steps - scale[:, :, None, None]).exp(), scale.sum(1)
    while (n := matrices.shape[1]) > 1:
        pairs = matrices[:, : n - n % 2].reshape(B, n // 2, 2, T, T)
        product = pairs[:, :, 0] @ pairs[:, :, 1]
        scale = product.detach().amax((2, 3))
        log_B = log_B + scale.log().sum(1)
        product = product / scale[:, :, None, None]
        matrices = torch.cat([product, matrices[:, -1:]], 1) if n % 2 else product
    return matrices[:, 0], log_B


def _log_product(steps: Tensor) -> Tensor:
    """Log of the same product with every sum a logsumexp: slower, exact for any range."""
    B, K, T, _ = steps.shape
    if K == 0:
        identity_TT = torch.full((T, T), NEVER, dtype=steps.dtype, device=steps.device).fill_diagonal_(0)
        return identity_TT.expand(B, T, T)
    while (n := steps.shape[1]) > 1:
        left, right = steps[:, 0 : n - n % 2 : 2], steps[:, 1:n:2]
        product = torch.logsumexp(left[..., :, :, None] + right[..., None, :, :], 3)
        steps = torch.cat([product, steps[:, -1:]], 1) if n % 2 else product
    return steps[:, 0]
