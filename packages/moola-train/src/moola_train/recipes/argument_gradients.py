"""The stalled countdown: what its "reduction bias" amounts to, worked out on random numbers and on labels."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from moola_train.recipes.argument_labels import Drawn, best_constant, clipped, huber, pointers

Numbers = dict[str, float]
Float = npt.NDArray[np.float64]

BARS, BATCH, DRAWS = 105, 8, 400
POINTER_DELTA, COUNTDOWN_DELTA = 0.08, 1.0
STEPS = 120
"""Twenty epochs of six batches."""


def huber_slope(residual: Float, *, delta: float) -> Float:
    """Derivative of the Huber loss."""
    return np.clip(residual, -delta, delta)


def reduction_bias(drawn: Drawn, seed: int) -> Numbers:
    """Repeats the quoted experiment: random predictions and targets of 8 windows, mean gradient an output.

    Returns:
        ``per_output``, the countdown's mean absolute gradient over the pointers';
        ``per_output_equal_deltas``, the same with one Huber delta for both; ``delta_effect``, what the
        deltas alone do; ``in_all``, the norms of all outputs' gradients, which is what a head receives.
    """
    chance = np.random.default_rng([seed, 11])
    two = chance.standard_normal((DRAWS, BATCH, 2)) - chance.standard_normal((DRAWS, BATCH, 2))
    many = chance.standard_normal((DRAWS, BATCH, BARS)) - chance.standard_normal((DRAWS, BATCH, BARS))
    small = huber_slope(two, delta=POINTER_DELTA) / (BATCH * 2)
    equal = huber_slope(two, delta=COUNTDOWN_DELTA) / (BATCH * 2)
    large = huber_slope(many, delta=COUNTDOWN_DELTA) / (BATCH * BARS)
    return {
        "per_output": float(np.abs(large).mean() / np.abs(small).mean()),
        "per_output_equal_deltas": float(np.abs(large).mean() / np.abs(equal).mean()),
        "delta_effect": float(np.abs(equal).mean() / np.abs(small).mean()),
        "in_all": float(np.mean(_norm(large) / _norm(small))),
    }


def head_under_adam(drawn: Drawn, seed: int) -> Numbers:
    """Trains a head on one loss, and on the same loss times .026, by Adam.

    Returns:
        ``movement``, how far the second moved over how far the first did; ``difference``, the largest
        difference of a weight, in units of the largest movement.
    """
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(64, 16, generator=draw)
    targets = inputs @ torch.randn(16, 4, generator=draw) + torch.randn(64, 4, generator=draw)
    first = 0.1 * torch.randn(4, 16, generator=draw)
    ends = []
    for scale in (1.0, 0.018 / 0.70):
        weight = first.clone().requires_grad_()
        optimiser = torch.optim.Adam([weight], lr=1e-3)
        for _ in range(STEPS):
            loss = scale * torch.nn.functional.smooth_l1_loss(inputs @ weight.T, targets)
            (weight.grad,) = torch.autograd.grad(loss, [weight])
            optimiser.step()
        ends.append((weight - first).detach())
    return {
        "movement": float(ends[1].norm() / ends[0].norm()),
        "difference": float((ends[1] - ends[0]).abs().max() / ends[0].abs().max()),
    }


def normaliser(drawn: Drawn, seed: int) -> Numbers:
    """What dividing each loss by its running mean leaves of the gradients, at the best constant predictions.

    Returns:
        ``reported_coefficients``, the pointers' factor on the raw loss over the countdown's, from the
        figures of the first system; ``coefficients``, the same at the levels of our labels; ``gradient``
        the countdown's gradient norm over all outputs over the pointers', weighted 10/70;
        ``gradient_unweighted`` without normaliser and weights; ``gradient_fix_2`` and ``gradient_fix_5``
        after those fixes; ``constant``, the countdown loss at the best constant; ``ema_hides``, by how much
        a running mean of momentum .95 can lag behind the loss that it tells, in the units of the loss.
    """
    countdown, centres = clipped(drawn), pointers(drawn)
    at = best_constant(countdown, delta=COUNTDOWN_DELTA)
    off = countdown - at
    missed = centres - np.median(centres, axis=0)
    level_c = float(huber(off, delta=COUNTDOWN_DELTA).mean())
    level_p = float(huber(missed, delta=POINTER_DELTA).mean())
    pull_c = _norm(huber_slope(off, delta=COUNTDOWN_DELTA)[None]).item() / off.size
    pull_p = _norm(huber_slope(missed, delta=POINTER_DELTA)[None]).item() / missed.size
    weighted = (0.10 / level_c * pull_c) / (0.70 / level_p * pull_p)
    return {
        "reported_coefficients": (0.70 / 0.0095) / (0.10 / 15.93),
        "coefficients": (0.70 / level_p) / (0.10 / level_c),
        "gradient": weighted,
        "gradient_unweighted": pull_c / pull_p,
        "gradient_fix_2": weighted * (0.70 / 0.10) * math.sqrt(BARS) / math.sqrt(2),
        "gradient_fix_5": weighted * (0.20 / 0.10) / (0.60 / 0.70),
        "constant": level_c,
        "ema_hides": 0.95 / 0.05 * (15.994 - 15.926) / (15 * 6),
    }


def detached_losses(drawn: Drawn, seed: int) -> Numbers:
    """The fourth fix: z-scores of losses taken as plain numbers, and its sibling, a division by sqrt(numel).

    Returns:
        ``z_score_gradient``, norm of the gradient that reaches a weight; ``sibling_factor``, what the
        sibling multiplies a loss by; ``raw_gradient``, for comparison.
    """
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, 16, generator=draw, requires_grad=True)
    outputs = torch.randn(32, 16, generator=draw) @ weight.T
    losses = [(k + 1) * outputs[:, k].square().mean() for k in range(4)]
    values = np.array([loss.item() for loss in losses])
    scored = [(value - values.mean()) / values.std() for value in values]
    total = torch.tensor(sum(scored)) + 0.0 * losses[0]  # the zero is what lets it be asked at all
    (none,) = torch.autograd.grad(total, [weight], retain_graph=True)
    (raw,) = torch.autograd.grad(torch.stack(losses).sum(), [weight])
    return {
        "z_score_gradient": float(none.norm()),
        "raw_gradient": float(raw.norm()),
        "sibling_factor": 1 / math.sqrt(losses[0].numel()),
    }


def _norm(values: Float) -> Float:
    """L2 norm over all but the first axis."""
    norms: Float = np.sqrt(np.square(values).reshape(len(values), -1).sum(axis=1))
    return norms
