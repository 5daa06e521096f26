"""The best path of a chain of two tags, with two operations a bar and none on the way back.

With d the advantage of tag 1 over tag 0 among the best sequences up to a bar, and transitions a, the next is

    max(d + a11, a01) - max(d + a10, a00) + e1 - e0 = clamp(d + a11 - a00, a01 - a00, a11 - a10) + e1 - e0

if keeping the tag is no worse than changing it (a00 + a11 >= a01 + a10). Where the clamp cuts below, tag 0 is
the best way to either tag; where above, tag 1; between, each tag comes from itself. So the way back is the
tag that the nearest later cut says, else that of the last bar. Where changing is better, exchanging the tags
of every second bar makes keeping better.

B batch, K bars.
"""

from __future__ import annotations

import torch
from torch import Tensor

from moola_models.chain import Chain


@torch.no_grad()
def best_of_two_tags(chain: Chain) -> Tensor:
    """Returns the most probable sequence, int64 (B, K), of a chain of two tags without forbidden pairs."""
    B, K, _ = chain.emissions.shape
    a, position_K = chain.transitions, torch.arange(K, device=chain.emissions.device)
    changing_is_better = a[0, 0] + a[1, 1] < a[0, 1] + a[1, 0]
    flip_K = ((position_K % 2 == 1) & changing_is_better).long()
    a00, a01, a10, a11 = (a[i ^ flip_K[:-1], j ^ flip_K[1:], None] for i in (0, 1) for j in (0, 1))
    shift_KB, low_KB, high_KB = (x.expand(-1, B) for x in (a11 - a00, a01 - a00, a11 - a10))
    sign_KB = torch.where(flip_K == 1, -1, 1)[:, None].expand(-1, B)
    gain_KB = sign_KB * (chain.emissions[:, :, 1] - chain.emissions[:, :, 0]).T
    first_B, last_B = (x.expand(B, 2)[:, 1] - x.expand(B, 2)[:, 0] for x in (chain.start, chain.end))
    if chain.lengths is None:
        last_B = last_B * sign_KB[-1]
    else:
        # Padded bars hand both tags on as they are.
        valid_KB = chain.valid.T
        last_B = last_B * sign_KB.gather(0, valid_KB.sum(0, keepdim=True) - 1)[0]
        gain_KB = torch.where(valid_KB, gain_KB, 0)
        shift_KB = torch.where(valid_KB[1:], shift_KB, 0)
        low_KB = torch.where(valid_KB[1:], low_KB, -torch.inf)
        high_KB = torch.where(valid_KB[1:], high_KB, torch.inf)
    ahead_KB = torch.cat([gain_KB[:-1] + shift_KB, gain_KB[-1:]])
    ahead_KB[0] += first_B
    kept_B = torch.empty_like(ahead_KB[0])
    rows = zip(ahead_KB[:-1].unbind(), ahead_KB[1:].unbind(), low_KB.unbind(), high_KB.unbind(), strict=True)
    for now_B, next_B, low_B, high_B in rows:
        torch.clamp(now_B, low_B, high_B, out=kept_B)
        next_B += kept_B
    above_KB = ahead_KB[:-1] > high_KB
    # Larger the later a bar is reached on the way back, so that the largest so far is the nearest later cut.
    rank_K1 = 2 * (K - position_K[1:, None])
    cut_KB = torch.where(above_KB | (ahead_KB[:-1] <= low_KB), rank_K1 + above_KB, 0)
    last_1B = (ahead_KB[-1:] + last_B > 0).long()
    nearest_KB = torch.cat([cut_KB, last_1B]).flip(0).cummax(0).values.flip(0)
    tags_BK = ((nearest_KB & 1) ^ flip_K[:, None]).T
    return tags_BK.masked_fill(~chain.valid, 0) if chain.lengths is not None else tags_BK.contiguous()
