"""What labels alone are worth: what a constant or the place in the window reaches without reading a bar."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.schema import WindowSet

Numbers = dict[str, float]
Float = npt.NDArray[np.float64]
CLIP = 20
ROUNDS = 60


class Drawn(NamedTuple):
    """Windows of a draw, one expansion each."""

    windows: WindowSet
    """All parts."""
    anywhere: WindowSet
    """The same expansions, windows cut wherever they show one: no place is likelier than another."""

    def mask(self, *parts: int) -> Float:
        """Marks of the windows of some parts, (n, K)."""
        chosen: Float = marks(self.windows)[np.isin(self.windows.split, parts)]
        return chosen


def marks(windows: WindowSet) -> Float:
    """1 in an expansion, else 0, (n, K)."""
    return np.asarray(windows.targets["span"], np.float64)


def raw_countdown(mask: Float) -> Float:
    """Bars from each bar to the first marked one, (n, K)."""
    count: Float = mask.argmax(axis=1)[:, None] - np.arange(mask.shape[1], dtype=np.float64)
    return count


def clipped(drawn: Drawn, *parts: int) -> Float:
    """The countdown cut at 20 bars; of the training part unless others are named."""
    cut: Float = np.clip(raw_countdown(drawn.mask(*(parts or (0,)))), -CLIP, CLIP)
    return cut


def pointers(drawn: Drawn) -> Float:
    """Centre and length of the training windows' expansions, in windows, (n, 2)."""
    mask = drawn.mask(0)
    length = mask.shape[1]
    start = mask.argmax(axis=1)
    end = length - 1 - mask[:, ::-1].argmax(axis=1)
    both: Float = np.stack([(start + end) / 2, end - start], axis=1) / length
    return both


def huber(residual: Float, *, delta: float) -> Float:
    """Huber loss: half the square near 0, a line beyond `delta`."""
    size = np.abs(residual)
    return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


def best_constant(values: Float, *, delta: float, axis: int | None = None) -> Float:
    """Finds the constant of least Huber loss, by moving along its mean slope; the median starts it."""
    at = np.median(values, axis=axis, keepdims=True)
    for _ in range(ROUNDS):
        off = values - at
        inside = np.maximum((np.abs(off) < delta).mean(axis=axis, keepdims=True), 0.02)
        at = at + 0.5 * np.clip(off, -delta, delta).mean(axis=axis, keepdims=True) / inside
    return at


def countdown_levels(drawn: Drawn, seed: int) -> Numbers:
    """Losses of the countdown without reading a bar.

    Returns:
        ``constant`` and ``position``, Huber losses of the clipped countdown at the best constant and at the
        best constant of every place, fitted on the training and told on the inner windows;
        ``raw_constant``, of the unclipped one on the windows that are no copies; ``normalised_constant``
        and ``normalised_position``, in [0, 1]; ``over_105_constant``, of the raw one divided by 105;
        ``saturated``, share of bars 20 or more from the start; ``in_bars_normalised``, the reported .05 as
        a root mean square in bars; ``in_bars_raw``, the reported 10.08 as a mean error in bars;
        ``quadratic``, share of bars whose normalised error a prediction in [0, 1] keeps within the
        quadratic zone.
    """
    seen, told = clipped(drawn, 0), clipped(drawn, 1)
    base = raw_countdown(marks(drawn.windows)[drawn.windows.split == 2])
    norm_seen, norm_told = (seen + CLIP) / (2 * CLIP), (told + CLIP) / (2 * CLIP)
    raw = raw_countdown(drawn.mask(0))
    return {
        "constant": _level(seen, told, delta=1.0, axis=None),
        "position": _level(seen, told, delta=1.0, axis=0),
        "raw_constant": _level(base, base, delta=1.0, axis=None),
        "normalised_constant": _level(norm_seen, norm_told, delta=1.0, axis=None),
        "normalised_position": _level(norm_seen, norm_told, delta=1.0, axis=0),
        "over_105_constant": _level(raw / 105, raw_countdown(drawn.mask(1)) / 105, delta=1.0, axis=None),
        "saturated": float((np.abs(seen) >= CLIP).mean()),
        "in_bars_normalised": float(np.sqrt(2 * 0.05) * 2 * CLIP),
        "in_bars_raw": 10.08 + 0.5,
        "quadratic": float((np.maximum(norm_seen, 1 - norm_seen) <= 1).mean()),
    }


def _level(seen: Float, told: Float, *, delta: float, axis: int | None) -> float:
    at = best_constant(seen, delta=delta, axis=axis)
    return float(huber(told - at, delta=delta).mean())


def position_prior(drawn: Drawn, seed: int) -> Numbers:
    """Marks bars by their place alone: the share of other windows that are marked there.

    Returns:
        Mean F1 of windows, each told by the nine tenths that it is not in, threshold and all: ``prior`` of
        all windows that are not fresh; ``prior_base`` of windows that are no copies; ``prior_anywhere`` of
        windows cut anywhere; ``all``, ``all_base`` and ``all_anywhere``, when every bar is marked.
    """
    numbers = {}
    for name, mask in (
        ("", drawn.mask(0, 1)),
        ("_base", drawn.mask(2)),
        ("_anywhere", marks(drawn.anywhere)[drawn.anywhere.split < 2]),
    ):
        tenth = np.random.default_rng([seed, 20]).permutation(len(mask)) % 10
        told = [_by_place(mask[tenth != k], mask[tenth == k]) for k in range(10)]
        numbers[f"prior{name}"] = float(np.average(told, weights=np.bincount(tenth, minlength=10)))
        numbers[f"all{name}"] = window_f1(np.ones_like(mask, bool), mask)
    return numbers


def _by_place(seen: Float, told: Float) -> float:
    """F1 of marking the places that are marked often enough in the windows that are seen."""
    share = seen.mean(axis=0)
    rules = (share >= np.unique(share)[:, None]).astype(np.float64)
    both = seen @ rules.T
    best = rules[(2 * both / (rules.sum(axis=1) + seen.sum(axis=1)[:, None])).mean(axis=0).argmax()]
    return window_f1(np.tile(best > 0.5, (len(told), 1)), told)


def window_f1(marked: npt.NDArray[np.bool_], mask: Float) -> float:
    """Mean over windows of the F1 of bars."""
    both = (marked & (mask > 0.5)).sum(axis=1)
    return float((2 * both / (marked.sum(axis=1) + mask.sum(axis=1))).mean())


def pooled_f1(marked: npt.NDArray[np.bool_], mask: Float) -> float:
    """F1 of all bars together."""
    both = (marked & (mask > 0.5)).sum()
    return float(2 * both / (marked.sum() + mask.sum()))
