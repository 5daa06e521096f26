"""Sums over all sets of spans of a semi-Markov field, and their gradients, in one walk over the bars.

What comes after a bar is what comes before it in the reversed window with starts and ends swapped, so one
walk over twice the batch gives both, and the probabilities of all parts, which are the gradient, follow.
Time and memory are linear in B, K and D.

B batch, K bars, D free durations. Messages lie as (K + 1, B): row t is about the prefix of t bars.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from moola_models.chain_sums import NEVER


class Messages(NamedTuple):
    """Log sums over prefixes of 0..K bars, (B, K + 1) each.

    Attributes:
        outside: Over those whose last bar is outside; the empty prefix counts as such.
        closed: Over those whose last bar closes a span.
    """

    outside: Tensor
    closed: Tensor

    def any_end(self) -> Tensor:
        """Over all."""
        return _either(self.outside, self.closed)


def log_partition(
    start: Tensor, end: Tensor, inside: Tensor, duration: Tensor, tail: Tensor, length_B: Tensor
) -> Tensor:
    """Log of the summed exponentials of all sets' scores, shape (B,).

    Args:
        start: (B, K), as `end` and `inside`.
        end: Score of a span's last bar.
        inside: Score of each bar in a span.
        duration: (D,).
        tail: Scalar.
        length_B: Valid leading bars, int64.
    """
    if torch.compiler.is_compiling():
        recorded = recorded_messages(start, end, inside, duration, tail)
        return recorded.any_end().gather(1, length_B[:, None]).squeeze(1)
    return cast("Tensor", _LogPartition.apply(start, end, inside, duration, tail, length_B))


def turned(values_BK: Tensor, length_B: Tensor) -> Tensor:
    """Each window's valid bars in reversed order; padding stays where it is."""
    position_K = torch.arange(values_BK.shape[1], device=values_BK.device)
    length_B1 = length_B[:, None]
    return values_BK.gather(1, torch.where(position_K < length_B1, length_B1 - 1 - position_K, position_K))


def recorded_messages(start: Tensor, end: Tensor, inside: Tensor, duration: Tensor, tail: Tensor) -> Messages:
    """The messages by operations that autograd and the compiler can follow."""
    K, D = inside.shape[1], len(duration)
    summed = torch.nn.functional.pad(inside.cumsum(1), (1, 0))
    never = torch.full_like(summed[:, :1], NEVER)
    outside, closed = [torch.zeros_like(never)], [never]
    # What opened at each of the last D bars, the oldest first, less the inside scores of all bars before; and
    # everything older.
    recent, older = never.expand(-1, D), never
    openings, closings = start - summed[:, :-1], end + summed[:, 1:]
    durations = duration.flip(0)
    for t in range(K):
        older = _either(older, recent[:, :1] + duration[-1]) + tail
        recent = torch.cat([recent[:, 1:], outside[-1] + openings[:, t : t + 1]], 1)
        ways = torch.cat([recent + durations, older], 1)
        outside.append(_either(outside[-1], closed[-1]))
        closed.append(torch.logsumexp(ways, 1, keepdim=True) + closings[:, t : t + 1])
    return Messages(torch.cat(outside, 1), torch.cat(closed, 1))


@torch.no_grad()
def messages(start: Tensor, end: Tensor, inside: Tensor, duration: Tensor, tail: Tensor) -> Messages:
    """The same messages without a graph, in memory laid out beforehand."""
    (B, K), D = inside.shape, len(duration)
    summed_KB = torch.nn.functional.pad(inside.T.cumsum(0), (0, 0, 1, 0))
    openings, closings = start.T - summed_KB[:-1], end.T + summed_KB[1:]
    outside, closed = torch.zeros_like(summed_KB), torch.full_like(summed_KB, NEVER)
    # Row D + t: what opened at bar t. The last row of `ways` holds everything older than D bars.
    opened = inside.new_full((D + K, B), NEVER)
    ways = inside.new_full((D + 1, B), NEVER)
    free, older = ways[:D], ways[D]
    durations_D1, dropped = duration.flip(0)[:, None], torch.empty_like(older)
    for t in range(K):
        torch.add(outside[t], openings[t], out=opened[D + t])
        torch.add(opened[t], duration[-1], out=dropped)
        torch.logaddexp(older, dropped, out=older)
        older += tail
        torch.add(opened[t + 1 : t + 1 + D], durations_D1, out=free)
        torch.logsumexp(ways, 0, out=closed[t + 1])
        closed[t + 1] += closings[t]
        torch.logaddexp(outside[t], closed[t], out=outside[t + 1])
    return Messages(outside.T, closed.T)


@torch.no_grad()
def both_messages(
    start: Tensor, end: Tensor, inside: Tensor, duration: Tensor, tail: Tensor, length_B: Tensor
) -> tuple[Messages, Messages]:
    """The messages of the windows and of the turned windows, in one walk."""
    B = len(inside)
    starts, ends = torch.cat([start, turned(end, length_B)]), torch.cat([end, turned(start, length_B)])
    found = messages(starts, ends, torch.cat([inside, turned(inside, length_B)]), duration, tail)
    return Messages(*(x[:B] for x in found)), Messages(*(x[B:] for x in found))


def _either(a: Tensor, b: Tensor) -> Tensor:
    """Log of the sum; `torch.logaddexp` has a second derivative of nan where one lies far below the other."""
    return torch.logsumexp(torch.stack([a, b]), 0)


def suffixes(prefixes: Tensor, length_B: Tensor) -> Tensor:
    """Sums over suffixes that start at bar 0..K, (B, K + 1), from those over prefixes of turned windows."""
    position = torch.arange(prefixes.shape[1], device=prefixes.device)
    return prefixes.gather(1, (length_B[:, None] - position).clamp(min=0))


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        start: Tensor,
        end: Tensor,
        inside: Tensor,
        duration: Tensor,
        tail: Tensor,
        length_B: Tensor,
    ) -> Tensor:
        if any(ctx.needs_input_grad):
            before, turned_after = both_messages(start, end, inside, duration, tail, length_B)
            ctx.save_for_backward(start, end, inside, duration, tail, length_B, *before, *turned_after)
        else:
            before = messages(start, end, inside, duration, tail)
        return before.any_end().gather(1, length_B[:, None]).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (outer_B,) = outer
        start, end, inside, duration, tail, length_B, *saved = ctx.saved_tensors
        if torch.is_grad_enabled():
            # Somebody wants the gradient of the gradient: take it from the recorded operations.
            parts = [start, end, inside, duration, tail]
            again = recorded_messages(*parts).any_end().gather(1, length_B[:, None]).squeeze(1)
            return *torch.autograd.grad(again, parts, outer_B, create_graph=True), None
        before, (turned_outside, turned_closed) = Messages(*saved[:2]), saved[2:]
        (_, K), D = inside.shape, len(duration)
        total_B1 = before.any_end().gather(1, length_B[:, None])
        # Suffixes that start with an outside bar or are empty, and suffixes that start with a span.
        rest_outside, rest_closed = (
            suffixes(x, length_B) - total_B1 for x in (turned_outside, turned_closed)
        )
        valid_BK = torch.arange(K, device=inside.device) < length_B[:, None]
        opens = torch.where(valid_BK, before.outside[:, :-1] + rest_closed[:, :-1], NEVER).exp()
        closes = torch.where(valid_BK, before.closed[:, 1:] + rest_outside[:, 1:], NEVER).exp()
        none = before.outside[:, 1:] + torch.logaddexp(rest_outside, rest_closed)[:, 1:]
        inside_BK = torch.where(valid_BK, -torch.expm1(none), 0)
        summed = torch.nn.functional.pad(inside.cumsum(1), (1, 0))
        first = before.outside[:, :-1] + start - summed[:, :-1]
        last = torch.where(valid_BK, end + summed[:, 1:] + rest_outside[:, 1:], NEVER)
        ends_BKD = torch.nn.functional.pad(last, (0, D - 1), value=NEVER).unfold(1, D, 1)
        free_BD = (first[:, :, None] + ends_BKD + duration).exp_().sum(1)
        # Older than D bars at a bar: opened D bars before it or earlier, and yet to close.
        position_K = torch.arange(K, device=inside.device, dtype=inside.dtype)
        risen = torch.nn.functional.pad(first - tail * position_K, (D, 0), value=NEVER)[:, :K].logcumsumexp(1)
        falling = (last + tail * position_K).flip(1).logcumsumexp(1).flip(1)
        base = risen + duration[-1] - tail * (D - 1)
        longer_B = (base + last + tail * position_K).exp().sum(1)
        beyond_B = (base + falling).exp().sum(1)
        free_BD[:, -1] += longer_B
        weight_B1 = outer_B[:, None]
        return (
            opens * weight_B1,
            closes * weight_B1,
            inside_BK * weight_B1,
            (free_BD * weight_B1).sum(0),
            (beyond_B * outer_B).sum().reshape(tail.shape),
            None,
        )
