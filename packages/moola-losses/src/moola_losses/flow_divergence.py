"""How far the money an entry moves lies from the money it should move, account by account."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.focal import least_classes
from moola_losses.protocol import LossSum, add_up, full_precision, same_shape, weigh


def log_flow(accounts: Tensor, sides: Tensor, *, lines: Tensor) -> Tensor:
    """Adds up what the lines put on every account, side by side, in logarithms.

    Args:
        accounts: Logits of the account of each line, (B, T, C).
        sides: Logits of its side (0 debit, 1 credit), (B, T, 2).
        lines: bool (B, T), True where there is a line; an entry without any gives -inf.

    Returns:
        log sum_t p_t(side) p_t(account), (B, 2, C), at least 32 bits.
    """
    log_account, log_side = full_precision(accounts).log_softmax(2), full_precision(sides).log_softmax(2)
    joint = log_side.transpose(1, 2)[..., None] + log_account[:, None]
    return joint.masked_fill(~lines[:, None, :, None], float("-inf")).logsumexp(2)


def gold_flow(accounts: Tensor, sides: Tensor, amounts: Tensor, *, lines: Tensor, size: int) -> Tensor:
    """Adds up the amounts an entry books on every account; repeated accounts merge.

    Args:
        accounts: int64 (B, T), any number where there is no line.
        sides: 0 debit, 1 credit, integers (B, T), likewise.
        amounts: At least 0, float (B, T), likewise.
        lines: bool (B, T).
        size: Accounts C of the catalogue.

    Returns:
        Amounts by side and account, (B, 2, C).

    >>> one = torch.tensor([[True, True]])
    >>> gold_flow(one * 0, one * 0, torch.tensor([[0.7, 0.25]]), lines=one, size=2)[0, 0].tolist()
    [0.949999988079071, 0.0]
    """
    place = torch.where(lines, sides.long() * size + accounts.long(), 0)
    flow = amounts.new_zeros(len(accounts), 2 * size)
    return flow.scatter_add(1, place, torch.where(lines, amounts, 0)).reshape(-1, 2, size)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class FlowDivergence:
    """KL(q || p) of each side, in nats: q the gold amounts, p the predicted mass over the whole catalogue.

    Because p is normalised over all accounts and not over the gold ones only, a side with one account costs
    -log p of that account: mass that went elsewhere is seen. A side without gold amounts is left out.

    >>> gold = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    >>> mass = torch.tensor([[[0.25, 0.75], [0.5, 0.5]]]).log()
    >>> loss = FlowDivergence()(mass, gold, torch.tensor([True]), torch.ones(1))
    >>> round(float(loss.total), 4), float(loss.weight)  # ln 4, one side
    (1.3863, 1.0)
    """

    kind: Literal["flow_divergence"] = "flow_divergence"

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares predicted with gold flow.

        Args:
            output: Logarithm of the mass on each account, up to a constant, (B, 2, C): see `log_flow`.
            target: Gold amounts, at least 0, (B, 2, C): see `gold_flow`.
            mask: bool, (B,).
            weight: float, (B,).

        Returns:
            The weighted sum over sides in nats and the weight of the sides with an amount.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        same_shape(output, target)
        gold, weights = self._shares(target, mask, weight)
        log_p = full_precision(output).masked_fill(weights[..., None] == 0, 0).log_softmax(2)
        gold = gold.to(log_p.dtype)
        # An account without gold may have no mass at all: 0 * -inf must stay 0.
        spent = torch.where(gold > 0, gold * (gold.clamp(min=1e-38).log() - log_p), 0)
        return add_up(spent.sum(2), weights)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns 0: p = q."""
        _, weights = self._shares(target, mask, weight)
        return LossSum(torch.zeros_like(weights, dtype=torch.float64).sum(), weights.sum())

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of one mass for each side: the mean of q."""
        gold, weights = self._shares(target, mask, weight)
        weighed = gold * weights[..., None].double()
        blind = sum(least_classes(weighed[:, side].sum(0), gamma=0.0) for side in (0, 1))
        return LossSum(blind - (torch.special.entr(gold).sum(2) * weights).sum(), weights.sum())

    def _shares(self, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        if target.ndim != 3 or target.shape[1] != 2:
            raise ValueError(f"target: want amounts of shape (B, 2, C), got {tuple(target.shape)}")
        if mask.shape != target.shape[:1]:
            raise ValueError(f"mask: want shape ({len(target)},), got {tuple(mask.shape)}")
        weights = weigh(mask, weight, target=target[:, :, 0])
        gold = torch.where(weights[..., None] > 0, target.double(), 0)
        whole = gold.sum(2)
        return gold / torch.where(whole > 0, whole, 1)[..., None], torch.where(whole == 0, 0, weights)
