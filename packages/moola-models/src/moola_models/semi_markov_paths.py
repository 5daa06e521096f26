"""Single sets of spans of a `SemiMarkov`: the best, the k best, and samples. No gradients.

Sets are marks: a bar is true where it lies in a span, and each run of true is one span; padding is false.

B batch, K bars, D free durations, N sets of each window.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from moola_models.chain_sums import NEVER
from moola_models.semi_markov import SemiMarkov


class Markings(NamedTuple):
    """Marks, the best first.

    Attributes:
        marks: bool, (B, N, K).
        score: Unnormalised log score, (B, N); -inf marks places that remain empty.
    """

    marks: Tensor
    score: Tensor


@torch.no_grad()
def best_spans(spans: SemiMarkov) -> Tensor:
    """Returns the marks of the most probable set of spans of each window, bool (B, K).

    One walk forward keeps for each bar the best start of a span that ends there; one walk back picks spans.
    """
    (B, K), D = spans.inside.shape, len(spans.duration)
    openings, closings = _openings_and_closings(spans)
    outside, closed = torch.zeros(K + 1, B).to(openings), torch.full((K + 1, B), NEVER).to(openings)
    opened, ways = openings.new_full((D + K, B), NEVER), openings.new_full((D + 1, B), NEVER)
    begin_KB = torch.zeros(K, B, dtype=torch.int64, device=openings.device)
    free, older, durations_D1 = ways[:D], ways[D], spans.duration.flip(0)[:, None]
    older_begin = torch.zeros_like(begin_KB[0])
    for t in range(K):
        torch.add(outside[t], openings[t], out=opened[D + t])
        dropped = opened[t] + spans.duration[-1]
        older_begin = torch.where(dropped > older, t - D, older_begin)
        torch.maximum(older, dropped, out=older)
        older += spans.tail
        torch.add(opened[t + 1 : t + 1 + D], durations_D1, out=free)
        best, way = ways.max(0)
        torch.add(best, closings[t], out=closed[t + 1])
        torch.where(way == D, older_begin, way + (t + 1 - D), out=begin_KB[t])
        torch.maximum(outside[t], closed[t], out=outside[t + 1])
    position_K1 = torch.arange(K, device=openings.device)[:, None]
    valid_KB = spans.valid.T
    nowhere = K + 2
    begin_KB = torch.where((closed[1:] > outside[1:]) & valid_KB, begin_KB, nowhere)
    # The bar before a span is outside, so a span may end at bar k only if the one after starts beyond k + 1.
    begin_B = torch.full_like(older_begin, nowhere)
    begins = []
    for k in reversed(range(K)):
        begin_B = torch.where(begin_B > k + 1, torch.minimum(begin_B, begin_KB[k]), begin_B)
        begins.append(begin_B)
    return (torch.stack(begins[::-1]) <= position_K1).T & spans.valid


@torch.no_grad()
def k_best_spans(spans: SemiMarkov, k: int) -> Markings:
    """Finds the k most probable sets of spans of each window, by the k best prefixes of every bar.

    Places that remain empty are unmarked.

    Raises:
        ValueError: If k is less than 1.
    """
    if k < 1:
        raise ValueError(f"k: want 1 or more, got {k}")
    (B, K), D = spans.inside.shape, len(spans.duration)
    openings, closings = _openings_and_closings(spans)
    closings = torch.where(spans.valid.T, closings, -torch.inf)
    # k prefixes of each number of bars whose last is outside; those that end in a span; spans by first bar.
    outside = openings.new_full((K + 1, B, k), -torch.inf)
    outside[0, :, 0] = 0
    closed = older = openings.new_full((B, k), -torch.inf)
    opened = openings.new_full((D + K, B, k), -torch.inf)
    numbers = torch.arange(k, device=openings.device).expand(B, k)
    older_begin, older_rank = torch.zeros_like(numbers), numbers
    came = torch.zeros(K + 1, B, k, dtype=torch.int64, device=openings.device)
    begin, rank = torch.zeros_like(came[1:]), torch.zeros_like(came[1:])
    durations_D11 = spans.duration.flip(0)[:, None, None]
    # The j-th of a list can be among the k best only if fewer than k - j lists begin better.
    lists = min(k, D + 1)
    list_P, entry_P = (
        torch.tensor(pairs, device=openings.device)
        for pairs in zip(*((i, j) for i in range(lists) for j in range(k - i)), strict=True)
    )
    window_B1 = torch.arange(B, device=openings.device)[:, None]
    for t in range(K):
        opened[D + t] = outside[t] + openings[t][:, None]
        older, which = torch.cat([older, opened[t] + spans.duration[-1]], 1).topk(k, 1)
        older = older + spans.tail
        older_begin = torch.cat([older_begin, torch.full_like(older_begin, t - D)], 1).gather(1, which)
        older_rank = torch.cat([older_rank, numbers], 1).gather(1, which)
        ways = torch.cat([opened[t + 1 : t + 1 + D] + durations_D11, older[None]])
        best_lists = ways[:, :, 0].T.topk(lists, 1).indices
        score, place = ways[best_lists[:, list_P], window_B1, entry_P].topk(k, 1)
        way, entry = best_lists.gather(1, list_P[place]), entry_P[place]
        begin[t] = torch.where(way == D, older_begin.gather(1, entry), way + (t + 1 - D))
        rank[t] = torch.where(way == D, older_rank.gather(1, entry), entry)
        outside[t + 1], came[t + 1] = torch.cat([outside[t], closed], 1).topk(k, 1)
        closed = score + closings[t][:, None]
    score, last = torch.cat([outside[K], closed], 1).topk(k, 1)
    marks = _walk_back(begin, rank, came, last) & (score > -torch.inf)[:, :, None]
    return Markings(marks & spans.valid[:, None], score)


def _walk_back(begin: Tensor, rank: Tensor, came: Tensor, last: Tensor) -> Tensor:
    """Marks of prefixes of all bars, bool (B, k, K).

    A prefix is a number: below k one that ends outside, from k on one that ends in a span. ``came`` holds the
    prefix before an outside bar, ``begin`` and ``rank`` the first bar of a span and the prefix before that.
    """
    K, _, k = begin.shape
    prefix, bars = last, torch.full_like(last, K)
    first = torch.full_like(last, K + 2)
    firsts = []
    for t in reversed(range(K)):
        here, number = bars == t + 1, prefix % k
        ends = here & (prefix >= k)
        first = torch.where(ends, begin[t].gather(1, number), first)
        firsts.append(first)
        before = torch.where(ends, rank[t].gather(1, number), came[t + 1].gather(1, number))
        prefix = torch.where(here, before, prefix)
        bars = torch.where(ends, first, torch.where(here, t, bars))
    return torch.stack(firsts[::-1], 2) <= torch.arange(K, device=last.device)


@torch.no_grad()
def sample_spans(spans: SemiMarkov, n: int, *, generator: torch.Generator) -> Tensor:
    """Draws sets of spans from the distribution: prefix sums once, then bars from last to first.

    Args:
        spans: The distribution.
        n: How many of each window, at least 1.
        generator: Source of randomness, on the distribution's device.

    Returns:
        Marks of independent sets, bool (B, n, K).

    Raises:
        ValueError: If n is less than 1.
    """
    if n < 1:
        raise ValueError(f"n: want 1 or more, got {n}")
    (B, K), D = spans.inside.shape, len(spans.duration)
    outside = spans.messages().outside.T
    openings, closings = _openings_and_closings(spans)
    opened = torch.cat([openings.new_full((D, B), NEVER), outside[:-1] + openings])
    # Of a prefix that ends in bar k: outside, or a span of 1..D bars, or a longer one; as a staircase.
    ways_KBW = torch.cat(
        [
            outside[1:, :, None],
            opened[1:].unfold(0, D, 1).flip(2) + spans.duration + closings[:, :, None],
            torch.full_like(outside[1:, :, None], NEVER),
        ],
        2,
    )
    stop_KB, older = torch.empty_like(closings), torch.full_like(closings[0], NEVER)
    for k in range(K):
        dropped = opened[k] + spans.duration[-1]
        longer = torch.logaddexp(older, dropped)
        # That the span which is older than D bars at bar k is no older than D + 1.
        stop_KB[k] = (dropped - longer).exp()
        older = longer + spans.tail
        ways_KBW[k, :, -1] = older + closings[k]
    stairs_KBW = ways_KBW.double().softmax(2).cumsum(2)
    none = K + 2
    begin = torch.full((B, n), none, device=openings.device)
    waiting = torch.zeros_like(begin, dtype=torch.bool)
    begins, valid_KB = [], spans.valid.T
    for k in reversed(range(K)):
        chance = torch.rand(B, n, generator=generator, device=openings.device, dtype=torch.float64)
        way = torch.searchsorted(stairs_KBW[k], chance, right=True).clamp(max=D + 1)
        ends_here = (begin > k + 1) & ~waiting & (way > 0) & valid_KB[k, :, None]
        begin = torch.where(ends_here & (way <= D), k + 1 - way, begin)
        # An older span's start is found bar by bar; the bar that chose it draws anew for its start.
        again = torch.rand(B, n, generator=generator, device=openings.device, dtype=torch.float64)
        waiting = waiting | (ends_here & (way == D + 1))
        found = waiting & (again < stop_KB[k, :, None])
        begin = torch.where(found, k - D, begin)
        begins.append(torch.where(waiting, k, begin))
        waiting = waiting & ~found
    position_K = torch.arange(K, device=openings.device)
    return (torch.stack(begins[::-1], 2) <= position_K) & spans.valid[:, None]


def _openings_and_closings(spans: SemiMarkov) -> tuple[Tensor, Tensor]:
    """The score of a span (s, e) but for its duration's as openings[s] + closings[e], (K, B) each."""
    summed_KB = torch.nn.functional.pad(spans.inside.T.cumsum(0), (0, 0, 1, 0))
    return spans.start.T - summed_KB[:-1], spans.end.T + summed_KB[1:]
