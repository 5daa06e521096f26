"""Chains of tags: what a two-tag layer enforces, what its 0.24 a bar is worth, and what "soft" meant."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from moola_train.recipes.argument_labels import Drawn, Float, Numbers

SHARE = 0.0721
"""Its share of marked bars in validation."""
PATHS = 400
NEVER = -1e9


def chains(drawn: Drawn, seed: int) -> Numbers:
    """Fits tag chains to the training windows' marks and looks at what they allow.

    Returns:
        ``entropy``, nats a bar at the share of marked bars; ``reported``, the CRF's 25 nats over 105 bars;
        ``memory``, nats a bar on the inner windows of a two-tag chain that reads no bar at all;
        ``one_span_sampled``, share of windows drawn from that chain with exactly one span;
        ``spans_best_two``, mean number of spans on its best path over random emissions;
        ``spans_best_three``, of a chain of three tags (before, inside, after) that may only go on;
        ``softmax_off``, largest distance between the softmax of the emissions and the chain's marginals.
    """
    chance = np.random.default_rng([seed, 18])
    seen, told = drawn.mask(0).astype(int), drawn.mask(1).astype(int)
    start = np.log((np.bincount(seen[:, 0], minlength=2) + 0.5) / (len(seen) + 1))
    counts = np.full((2, 2), 0.5)
    np.add.at(counts, (seen[:, :-1].ravel(), seen[:, 1:].ravel()), 1)
    step = np.log(counts / counts.sum(axis=1, keepdims=True))
    nats = -(start[told[:, 0]] + step[told[:, :-1], told[:, 1:]].sum(axis=1)).mean() / told.shape[1]

    paths = np.zeros((PATHS, seen.shape[1]), int)
    paths[:, 0] = chance.random(PATHS) < math.exp(start[1])
    for t in range(1, paths.shape[1]):
        paths[:, t] = chance.random(PATHS) < np.exp(step[paths[:, t - 1], 1])

    emissions = chance.normal(0, 2, (PATHS // 4, seen.shape[1], 2))
    two = np.stack([best_path(one, start, step) for one in emissions])
    onward = np.array([[0, 0, NEVER], [NEVER, 0, 0], [NEVER, NEVER, 0]])
    ends = np.array([NEVER, 0, 0])
    three = [
        best_path(one[:, [0, 1, 0]], np.array([0, 0, NEVER]), onward, ends=ends) == 1 for one in emissions
    ]
    exact = np.stack([marginals(one, start, step) for one in emissions])
    alone = np.exp(emissions - np.logaddexp(emissions[..., :1], emissions[..., 1:]))
    return {
        "entropy": -SHARE * math.log(SHARE) - (1 - SHARE) * math.log(1 - SHARE),
        "reported": 25 / 105,
        "memory": float(nats),
        "one_span_sampled": float((_spans(paths) == 1).mean()),
        "spans_best_two": float(_spans(two).mean()),
        "spans_best_three": float(_spans(np.stack(three).astype(int)).mean()),
        "spans_best_three_most": float(_spans(np.stack(three).astype(int)).max()),
        "softmax_off": float(np.abs(exact[..., 1] - alone[..., 1]).max()),
    }


def softness(drawn: Drawn, seed: int) -> Numbers:
    """Compares the "soft" span loss, as written, with two losses on the same hard marks.

    Returns:
        ``between``, share of marks strictly between 0 and 1; ``less_cross_entropy`` and ``less_squares``,
        the soft loss less the ordinary binary cross-entropy and less the mean squared error.
    """
    mask = drawn.mask(0)
    p = np.random.default_rng([seed, 19]).beta(1, 8, mask.shape)
    q = np.clip(p, 1e-7, 1 - 1e-7)
    soft = -(mask * np.log(q) + (1 - mask) * np.log(1 - q)).mean()
    chosen = np.where(mask > 0.5, p, 1 - p)
    return {
        "between": float(((mask > 0) & (mask < 1)).mean()),
        "less_cross_entropy": float(soft + np.log(np.maximum(chosen, 1e-7)).mean()),
        "less_squares": float(soft - np.square(p - mask).mean()),
    }


def best_path(
    emission: Float, start: Float, step: Float, *, ends: Float | None = None
) -> npt.NDArray[np.int64]:
    """The most probable tags (K,) of emissions (K, L), by Viterbi's recursion."""
    score, back = start + emission[0], np.zeros(emission.shape, int)
    for t in range(1, len(emission)):
        ways = score[:, None] + step
        back[t] = ways.argmax(axis=0)
        score = ways.max(axis=0) + emission[t]
    path = np.zeros(len(emission), np.int64)
    path[-1] = (score if ends is None else score + ends).argmax()
    for t in range(len(emission) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def marginals(emission: Float, start: Float, step: Float) -> Float:
    """Probabilities (K, L) of each tag at each bar given all emissions, forward times backward."""
    ahead, behind = np.zeros(emission.shape), np.zeros(emission.shape)
    ahead[0] = start + emission[0]
    for t in range(1, len(emission)):
        ahead[t] = np.logaddexp.reduce(ahead[t - 1][:, None] + step, axis=0) + emission[t]
    for t in range(len(emission) - 2, -1, -1):
        behind[t] = np.logaddexp.reduce(step + emission[t + 1] + behind[t + 1], axis=1)
    both = ahead + behind
    chances: Float = np.exp(both - np.logaddexp.reduce(both, axis=1, keepdims=True))
    return chances


def _spans(tags: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts the runs of 1 in every row."""
    counts: npt.NDArray[np.int64] = (np.diff(tags, axis=1, prepend=0) == 1).sum(axis=1)
    return counts
