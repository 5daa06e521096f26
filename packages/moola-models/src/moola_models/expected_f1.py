"""The decision that promises the best span F1: not the most probable spans, but those expected to match most.

The most probable set of spans can be one that hardly any other agrees with. Given sets drawn from the
distribution, each candidate has an expected F1 against them, and the candidate with the greatest is the
minimum-Bayes-risk decision (Goel and Byrne 2000).

A predicted and a true span match if intersection over union reaches `iou`, at least 1/2. As a bar lies
between any two spans of a set, no span can match two: matching is counting.

B batch, K bars, M candidates, N drawn sets, S spans of a set.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from moola_models.candidates import Distribution, best_marks, k_best_marks, sample_marks

Average = Literal["window", "pooled"]
PAIRS = 4_000_000
"""Pairs of spans compared at a time: bounds the memory."""


class Decision(NamedTuple):
    """What was decided for each window.

    Attributes:
        marks: bool, (B, K).
        expected: Expected F1 of the window against the drawn sets, (B,); the same F1 whatever the average.
    """

    marks: Tensor
    expected: Tensor


@torch.no_grad()
def decode_for_f1(
    distribution: Distribution,
    *,
    generator: torch.Generator,
    samples: int = 64,
    k_best: int = 8,
    iou: float = 0.5,
    average: Average = "window",
) -> Decision:
    """Chooses for each window the candidate with the greatest expected span F1.

    Candidates are the most probable set, the k best and all the drawn ones.

    Args:
        distribution: Of the spans.
        generator: Source of randomness, on the distribution's device.
        samples: Sets drawn, at least 1: both candidates and what they are judged by.
        k_best: How many of the most probable sets are candidates, at least 1.
        iou: Smallest intersection over union that counts as found, 0.5..1.
        average: "window": mean F1 of windows, where nothing found in an empty window is an F1 of 1; "pooled":
            F1 of all windows' spans counted together, so the decision depends on the batch, which should be
            large.

    Returns:
        The marks, never with a lower expected F1 (pooled: of the batch) than those of `best_marks`.

    Raises:
        ValueError: If a number is out of range, or `average` is neither.
    """
    for name, number in (("samples", samples), ("k_best", k_best)):
        if number < 1:
            raise ValueError(f"{name}: want 1 or more, got {number}")
    drawn_BNK = sample_marks(distribution, samples, generator=generator)
    likely = k_best_marks(distribution, k_best) if k_best > 1 else None
    first_B1K = best_marks(distribution)[:, None] if likely is None else likely.marks
    candidates_BMK = torch.cat([first_B1K, drawn_BNK], 1)
    return choose_for_f1(candidates_BMK, drawn_BNK, iou=iou, average=average)


@torch.no_grad()
def choose_for_f1(
    candidates_BMK: Tensor, drawn_BNK: Tensor, *, iou: float = 0.5, average: Average = "window"
) -> Decision:
    """Chooses among given candidates; of equals, the first.

    Args:
        candidates_BMK: Marks, bool.
        drawn_BNK: Marks of equally likely truths, bool.
        iou: Smallest intersection over union that counts as found, 0.5..1.
        average: As in `decode_for_f1`.

    Raises:
        ValueError: If `iou` is out of range, or `average` is neither.
    """
    if average not in ("window", "pooled"):
        raise ValueError(f"average: want 'window' or 'pooled', got {average!r}")
    said_BM, true_BN = (_opens(marks).sum(2).double() for marks in (candidates_BMK, drawn_BNK))
    if average == "window":
        f1_BM = _f1(match_counts(candidates_BMK, drawn_BNK, iou=iou), said_BM, true_BN)
        # Rounding must not prefer a later candidate that is as good.
        chosen_B1 = (f1_BM >= f1_BM.amax(1, keepdim=True) - 1e-12).int().argmax(1, keepdim=True)
    else:
        gain_BM = 2 * mean_matches(candidates_BMK, drawn_BNK, iou=iou)
        chosen_B1 = _pooled_choice(gain_BM, said_BM, true_BN.mean(1))
    K = candidates_BMK.shape[2]
    marks_B1K = candidates_BMK.gather(1, chosen_B1[:, :, None].expand(-1, 1, K))
    expected_B1 = _f1(match_counts(marks_B1K, drawn_BNK, iou=iou), said_BM.gather(1, chosen_B1), true_BN)
    return Decision(marks_B1K.squeeze(1), expected_B1.squeeze(1))


def match_counts(first_BMK: Tensor, second_BNK: Tensor, *, iou: float = 0.5) -> Tensor:
    """Counts the spans of each first set that match one of each second set, float64 (B, M, N).

    Args:
        first_BMK: Marks, bool.
        second_BNK: Marks, bool.
        iou: Smallest intersection over union of a match, 0.5..1.

    Raises:
        ValueError: If `iou` is out of range.
    """
    _check_iou(iou)
    found = torch.zeros(1, device=first_BMK.device)
    found = found.expand(first_BMK.shape[0], first_BMK.shape[1], second_BNK.shape[1]).clone()
    first, second = _bounds(first_BMK), _bounds(second_BNK)
    for start_BM, end_BM in zip(*(x[..., None].unbind(2) for x in first), strict=True):
        for start_BN, end_BN in zip(*(x[:, None].unbind(3) for x in second), strict=True):
            found += _matches(start_BM, end_BM, start_BN, end_BN, iou)
    return found.double()


def mean_matches(first_BMK: Tensor, second_BNK: Tensor, *, iou: float = 0.5) -> Tensor:
    """Mean over the second sets of `match_counts`, float64 (B, M); each span is looked at once a window.

    Sets drawn from one distribution have most spans in common, so that this costs far less than all pairs of
    sets.

    Args:
        first_BMK: Marks, bool.
        second_BNK: Marks, bool.
        iou: Smallest intersection over union of a match, 0.5..1.

    Raises:
        ValueError: If `iou` is out of range.
    """
    _check_iou(iou)
    B, M, K = first_BMK.shape
    (said, of_set), (true, _) = _codes(first_BMK), _codes(second_BNK)
    said, of_span = said.unique(return_inverse=True)
    true, often = true.unique(return_counts=True)
    many_B = (true // K**2).bincount(minlength=B)
    # The true spans of each window in a row of a table; how often each was drawn is 0 where a row is shorter.
    place = torch.arange(len(true), device=true.device) - (many_B.cumsum(0) - many_B)[true // K**2]
    table = torch.zeros(3, B, max(int(many_B.max()), 1) if B else 1, device=true.device)
    for row, values in zip(table, (true // K % K, true % K, often), strict=True):
        row[true // K**2, place] = values.float()
    worth = torch.empty(len(said), dtype=torch.float64, device=said.device)
    rows = max(PAIRS // table.shape[2], 1)
    for first in range(0, len(said), rows):
        some = said[first : first + rows, None]
        start, end, times = table[:, some[:, 0] // K**2]
        found = _matches((some // K % K).float(), (some % K).float(), start, end, iou)
        worth[first : first + rows] = torch.where(found, times, 0).double().sum(1)
    sums = torch.zeros(B * M, dtype=torch.float64, device=said.device).index_add_(0, of_set, worth[of_span])
    return sums.view(B, M) / second_BNK.shape[1]


def _matches(start: Tensor, end: Tensor, other_start: Tensor, other_end: Tensor, iou: float) -> Tensor:
    # Rounding must not refuse an overlap equal to the limit.
    least = iou - 1e-6
    shared = torch.minimum(end, other_end).sub_(torch.maximum(start, other_start)).add_(1)
    # shared >= least * (size + size - shared); spans apart share less than one bar.
    wanted = (least / (1 + least)) * ((end - start + 1) + (other_end - other_start + 1))
    return shared >= wanted.clamp_(min=0.5)


def _f1(found_BMN: Tensor, said_BM: Tensor, true_BN: Tensor) -> Tensor:
    both_BMN = said_BM[:, :, None] + true_BN[:, None, :]
    return torch.where(both_BMN > 0, 2 * found_BMN / both_BMN.clamp(min=1), 1.0).mean(2)


def _check_iou(iou: float) -> None:
    if not 0.5 <= iou <= 1:
        raise ValueError(f"iou: want a number in 0.5..1, got {iou}")


def _codes(marks_BNK: Tensor) -> tuple[Tensor, Tensor]:
    """Of each span window * K² + first bar * K + last bar, and the number of its set, window * N + set."""
    _, N, K = marks_BNK.shape
    # Both go through windows, sets and bars in order, so the n-th opening belongs to the n-th closing.
    window, number, start = _opens(marks_BNK).nonzero(as_tuple=True)
    end = _closes(marks_BNK).nonzero(as_tuple=True)[2]
    return (window * K + start) * K + end, window * N + number


def _pooled_choice(gain_BM: Tensor, said_BM: Tensor, true_B: Tensor) -> Tensor:
    """The ratio of sums is best where twice the matches less ratio times spans is (Dinkelbach 1967)."""
    ratio = torch.zeros((), dtype=gain_BM.dtype, device=gain_BM.device)
    chosen_B1 = torch.zeros_like(said_BM[:, :1], dtype=torch.int64)
    for turn in range(50):
        gain, said = (x.gather(1, chosen_B1).sum() for x in (gain_BM, said_BM))
        better = gain / (said + true_B.sum()).clamp(min=1e-12)
        if turn and better <= ratio:  # in the first, nothing found by the first candidates is no end
            break
        ratio = better
        value_BM = gain_BM - ratio * said_BM
        chosen_B1 = (value_BM >= value_BM.amax(1, keepdim=True) - 1e-12).int().argmax(1, keepdim=True)
    return chosen_B1


def _opens(marks: Tensor) -> Tensor:
    return marks & ~torch.nn.functional.pad(marks, (1, 0))[..., :-1]


def _closes(marks: Tensor) -> Tensor:
    return marks & ~torch.nn.functional.pad(marks, (0, 1))[..., 1:]


def _bounds(marks: Tensor) -> tuple[Tensor, Tensor]:
    """First and last bars of the spans, float32 (B, N, S) each; 0 and -1 where a set has fewer than S."""
    opens, closes = _opens(marks), _closes(marks)
    most = int(opens.sum(-1).max()) if opens.numel() else 0
    position = torch.arange(marks.shape[-1], device=marks.device).expand(marks.shape)

    def place(edges: Tensor, missing: int) -> Tensor:
        bars = torch.full((*marks.shape[:-1], most + 1), missing, device=marks.device)
        slot = torch.where(edges, edges.cumsum(-1) - 1, most)
        return bars.scatter_(-1, slot, position)[..., :most].float()

    return place(opens, 0), place(closes, -1)
