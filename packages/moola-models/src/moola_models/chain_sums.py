"""Sums over all tag sequences of a linear chain, and their gradients, in a tree of log2(K) levels.

The transfer matrix of a bar, exp(transition + emission), takes the weights of the tags before it to those at
it. The matrices are multiplied pairwise: one elementwise product over the whole batch a level instead of K
dependent steps. Going down the tree again, every product hands its adjoint to its two factors; at the bars,
adjoint times matrix is the probability of each pair of neighbouring tags: the gradient of the log-partition,
without a recorded graph. Time and memory are linear in B and K.

B batch, K bars, T tags. Matrices lie as (T, T, bars, B): each of their T x T entries is one plane of memory.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

NEVER = -1e20
"""Log-probability of what cannot happen: below every sum of scores, above the least float32 times K."""


def log_partition(
    emissions: Tensor, start: Tensor, transitions: Tensor, end: Tensor, valid_BK: Tensor | None
) -> Tensor:
    """Log of the summed exponentials of all tag sequences' scores, as probabilities scaled by their largest.

    A tag that a later bar needs must not lie more than the exponent range below the others at one bar,
    whatever the emissions are: that is what `products_hold` makes sure of.

    Args:
        emissions: (B, K, T).
        start: (T,) or (B, T).
        transitions: (T, T).
        end: (T,) or (B, T).
        valid_BK: True on the leading bars that belong to a window; None when all do.

    Returns:
        Shape (B,).
    """
    return cast("Tensor", _LogPartition.apply(emissions, start, transitions, end, valid_BK))


@torch.no_grad()
def products_hold(transitions: Tensor, end: Tensor) -> bool:
    """Whether `log_partition` neither underflows nor overflows, forwards and backwards, for any emissions.

    Let r be the widest range of the transitions to one tag plus that of the end scores. One sequence's share
    of a product of matrices is at least exp(-2 r) of the largest, the adjoint of a product at most exp(2 r),
    and a product's scale at least exp(-r): all of them together must fit into the type's exponents.

    Args:
        transitions: (T, T).
        end: (T,) or (B, T).

    Returns:
        Always False in compiled code and off the CPU: reading a number there breaks a graph.

    Raises:
        ValueError: If a score is not finite.
    """
    if torch.compiler.is_compiling() or transitions.device.type != "cpu":
        return False
    least_T, most_T = transitions.aminmax(dim=0)
    least, most = end.aminmax(dim=-1)
    span = float((most_T - least_T).max()) + float((most - least).max())
    if not math.isfinite(span):
        for name, scores in (("transitions", transitions), ("end", end)):
            if not bool(scores.isfinite().all()):
                raise ValueError(
                    f"{name}: want finite scores, or forbidden=True for -inf, got {scores.tolist()}"
                )
    return span <= math.log(torch.finfo(transitions.dtype).max) / 5


def log_steps(emissions: Tensor, transitions: Tensor, valid_BK: Tensor | None) -> Tensor:
    """Transfer matrices in logarithms, (B, K-1, T, T); the identity where the arriving bar is padding."""
    steps = transitions + emissions[:, 1:, None, :]
    if valid_BK is None:
        return steps
    identity_TT = torch.full_like(transitions, NEVER).fill_diagonal_(0)
    return torch.where(valid_BK[:, 1:, None, None], steps, identity_TT)


def log_sum(first_BT: Tensor, steps: Tensor, end: Tensor) -> Tensor:
    """The same log-partition with every sum a logsumexp: slower, exact for any range, forbidden pairs too.

    Args:
        first_BT: Start plus emission of the first bar.
        steps: As `log_steps` gives them, without -inf.
        end: (T,) or (B, T).
    """
    if steps.shape[1] == 0:
        return torch.logsumexp(first_BT + end, 1)
    while (n := steps.shape[1]) > 1:
        left, right = steps[:, 0 : n - n % 2 : 2], steps[:, 1:n:2]
        product = torch.logsumexp(left[..., :, :, None] + right[..., None, :, :], 3)
        steps = torch.cat([product, steps[:, -1:]], 1) if n % 2 else product
    return torch.logsumexp(first_BT[:, :, None] + steps[:, 0] + end[..., None, :], dim=(1, 2))


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        start: Tensor,
        transitions: Tensor,
        end: Tensor,
        valid_BK: Tensor | None,
    ) -> Tensor:
        B = len(emissions)
        planes_TKB = emissions.permute(2, 1, 0).contiguous()
        first_TB = planes_TKB[:, 0] + start.expand(B, -1).T
        last_TB = end.expand(B, -1).T
        first_scale_B, last_scale_B = first_TB.amax(0), last_TB.amax(0)
        first_TB, last_TB = (first_TB - first_scale_B).exp(), (last_TB - last_scale_B).exp()
        # Each column's largest transition moves to its emission: no factor underflows before the product.
        column_T = transitions.amax(0)
        step_TT = (transitions - column_T).exp()
        arriving_TKB = planes_TKB[:, 1:] + column_T[:, None, None]
        scale_KB = arriving_TKB.amax(0)
        matrices = step_TT[:, :, None, None] * arriving_TKB.sub_(scale_KB).exp_()
        if valid_BK is not None:
            identity_TT = torch.eye(len(step_TT), dtype=matrices.dtype, device=matrices.device)
            matrices = torch.where(valid_BK.T[1:], matrices, identity_TT[:, :, None, None])
            scale_KB = torch.where(valid_BK.T[1:], scale_KB, 0)
        levels, scales, log_B = [matrices], [], scale_KB.sum(0) + first_scale_B + last_scale_B
        while (n := matrices.shape[2]) > 1:
            product = _product(matrices[:, :, 0 : n - n % 2 : 2], matrices[:, :, 1:n:2])
            scale = product.amax((0, 1))
            product /= scale
            log_B = log_B + scale.log().sum(0)
            matrices = torch.cat([product, matrices[:, :, -1:]], 2) if n % 2 else product
            levels.append(matrices)
            scales.append(scale)
        reached_TB = (matrices[:, :, 0] * first_TB[:, None]).sum(0) if matrices.shape[2] else first_TB
        total_B = (reached_TB * last_TB).sum(0)
        ctx.valid_BK = valid_BK
        ctx.save_for_backward(
            emissions, start, transitions, end, first_TB, last_TB, reached_TB, total_B, *levels, *scales
        )
        return total_B.log() + log_B

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (outer_B,) = outer
        emissions, start, transitions, end, first_TB, last_TB, reached_TB, total_B, *rest = ctx.saved_tensors
        valid_BK = ctx.valid_BK
        if torch.is_grad_enabled():
            # Somebody wants the gradient of the gradient: take it from the recorded operations.
            parts = [emissions, start, transitions, end]
            steps = log_steps(emissions, transitions, valid_BK)
            again_B = log_sum(start + emissions[:, 0], steps, end)
            return *torch.autograd.grad(again_B, parts, outer_B, create_graph=True), None
        levels, scales = rest[: (len(rest) + 1) // 2], rest[(len(rest) + 1) // 2 :]
        weight_B = outer_B / total_B
        ends_TB = reached_TB * last_TB * weight_B
        if levels[-1].shape[2]:
            starts_TB = (levels[-1][:, :, 0] * last_TB).sum(1) * first_TB * weight_B
        else:
            starts_TB = ends_TB
        adjoint = (first_TB[:, None] * (last_TB * weight_B))[:, :, None]
        for matrices, scale in zip(reversed(levels[:-1]), reversed(scales), strict=True):
            n = matrices.shape[2]
            half = adjoint[:, :, : n // 2] / scale
            below = torch.empty_like(matrices)
            left, right = matrices[:, :, 0 : n - n % 2 : 2], matrices[:, :, 1:n:2]
            below[:, :, 0 : n - n % 2 : 2] = _product(half, right.transpose(0, 1))
            below[:, :, 1:n:2] = _product(left.transpose(0, 1), half)
            if n % 2:
                below[:, :, -1] = adjoint[:, :, -1]
            adjoint = below
        pairs = levels[0] * adjoint[:, :, : levels[0].shape[2]]
        if valid_BK is not None:
            pairs = pairs * valid_BK.T[1:]
        bars_BKT = torch.cat([starts_TB[:, None], pairs.sum(0)], 1).permute(2, 1, 0)
        return (
            bars_BKT,
            starts_TB.T.sum_to_size(start.shape),
            pairs.sum((2, 3)),
            ends_TB.T.sum_to_size(end.shape),
            None,
        )


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix products of (T, T, n, B) by planes."""
    product = left[:, 0, None] * right[0]
    for k in range(1, len(right)):
        product.addcmul_(left[:, k, None], right[k].expand_as(product))
    return product
