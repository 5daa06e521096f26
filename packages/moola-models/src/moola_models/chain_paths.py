"""Single tag sequences of a `Chain`: the best, the k best, and samples. No gradients; no loop over the batch.

B batch, K bars, T tags, N sequences of each window. Tags at padded bars are 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from moola_models.chain import Chain
from moola_models.two_tags import best_of_two_tags


class Paths(NamedTuple):
    """Tag sequences, the best first.

    Attributes:
        tags: int64, (B, N, K).
        score: Unnormalised log score, (B, N); subtract the log-partition for log-probabilities. -inf marks
            places that remain empty when a window has fewer than N possible sequences.
    """

    tags: Tensor
    score: Tensor


@torch.no_grad()
def best_path(chain: Chain) -> Tensor:
    """Returns the most probable tag sequence of each window, int64 (B, K) (Viterbi 1967)."""
    if chain.emissions.shape[2] == 2 and not chain.forbidden:
        return best_of_two_tags(chain)
    return k_best_paths(chain, 1).tags[:, 0]


@torch.no_grad()
def k_best_paths(chain: Chain, k: int) -> Paths:
    """Finds the k most probable tag sequences of each window.

    Args:
        chain: The distribution.
        k: How many, at least 1.

    Raises:
        ValueError: If k is less than 1.
    """
    if k < 1:
        raise ValueError(f"k: want 1 or more, got {k}")
    B, K, T = chain.emissions.shape
    steps, valid_BK = chain.steps(), chain.valid
    # Slot n of tag t: the n-th best sequence so far that ends in t. The flat index of a slot is t * k + n.
    score_BTk = (chain.start + chain.emissions[:, 0])[:, :, None].repeat(1, 1, k)
    score_BTk[:, :, 1:] = -torch.inf
    itself = torch.arange(T * k, device=steps.device).reshape(T, k).expand(B, T, k)
    pointers = []
    for bar in range(1, K):
        moved = (score_BTk[:, :, :, None] + steps[:, bar - 1, :, None, :]).reshape(B, T * k, T)
        best_BkT, came_BkT = moved.topk(k, dim=1)
        goes_on = valid_BK[:, bar, None, None]
        score_BTk = torch.where(goes_on, best_BkT.mT, score_BTk)
        pointers.append(torch.where(goes_on, came_BkT.mT, itself).reshape(B, T * k))
    final = (score_BTk + chain.end.expand(B, T)[:, :, None]).reshape(B, T * k)
    score_Bk, slot_Bk = final.topk(k, dim=1)
    tags = [slot_Bk // k]
    for came in reversed(pointers):
        slot_Bk = came.gather(1, slot_Bk)
        tags.append(slot_Bk // k)
    found = torch.stack(tags[::-1], 2).masked_fill(~valid_BK[:, None], 0)
    # Below half of NEVER a sequence contains a forbidden pair.
    return Paths(found, score_Bk.masked_fill(score_Bk < -1e19, -torch.inf))


@torch.no_grad()
def sample_paths(chain: Chain, n: int, *, generator: torch.Generator) -> Tensor:
    """Draws tag sequences from the distribution: backward messages once, then bars from first to last.

    Args:
        chain: The distribution.
        n: How many of each window, at least 1.
        generator: Source of randomness, on the chain's device.

    Returns:
        Independent sequences, int64 (B, n, K).

    Raises:
        ValueError: If n is less than 1.
    """
    if n < 1:
        raise ValueError(f"n: want 1 or more, got {n}")
    B, K, T = chain.emissions.shape
    steps, after_BKT = chain.steps(), chain.after()
    first_BT = chain.start + chain.emissions[:, 0] + after_BKT[:, 0]
    tag_Bn = torch.multinomial(first_BT.softmax(1), n, replacement=True, generator=generator)
    tags = [tag_Bn]
    for bar in range(1, K):
        onward_BTT = (steps[:, bar - 1] + after_BKT[:, bar, None, :]).softmax(2)
        rows = onward_BTT.gather(1, tag_Bn[:, :, None].expand(B, n, T)).reshape(B * n, T)
        tag_Bn = torch.multinomial(rows, 1, generator=generator).reshape(B, n)
        tags.append(tag_Bn)
    return torch.stack(tags, 2).masked_fill(~chain.valid[:, None], 0)
