"""Weights of alpha-fair bargaining, the root behind FairGrad and Nash-MTL, by damped Newton steps."""

from __future__ import annotations

import numpy as np

from moola_losses.gramian import Matrix, unit_diagonal

STEPS = 200
RIDGE = 1e-15


def fair_weights(gramian: Matrix, *, alpha: float, preferences: Matrix) -> Matrix:
    """Solves (M w)_k = (p_k / w_k)^(1/alpha), w > 0, for the Gramian M.

    The equations say that the gradient of a convex function is 0: ½ wᵀMw minus a power (a logarithm for alpha
    1) of every w_k. It is minimised in the units of the tasks' own norms, so for alpha 1 scales play no part.

    Args:
        gramian: (m, m).
        alpha: Above 0; 1 is Nash bargaining, large values approach the fairest of the worst tasks.
        preferences: (m,) above 0.

    Returns:
        (m,) weights above 0.

    Raises:
        ValueError: If no finite weights exist: a row is zero, or no direction lowers all losses at once.
    """
    cosines, norms = unit_diagonal(gramian)
    power = 1 / alpha
    # With w = y / norm the equations read (C y)_k = q_k y_k^(-1/alpha).
    log_q = power * np.log(preferences) + (power - 1) * np.log(norms)
    shift = float(log_q.mean())
    q = np.exp(log_q - shift)
    y = q ** (1 / (1 + power))
    value = _potential(cosines, q, y, power)
    for _ in range(STEPS):
        pull = q * y**-power
        slope = cosines @ y - pull
        # Each equation by itself: tasks of small norm have small terms.
        if (np.abs(slope) <= 1e-15 * (np.abs(cosines) @ y + pull)).all():
            break
        curvature = cosines + np.diag(power * pull / y)
        size = 1 / np.sqrt(np.diagonal(curvature))
        scaled = curvature * size[:, None] * size + RIDGE * np.eye(len(y))
        step = size * np.linalg.solve(scaled, -slope * size)
        falls = float(slope @ step)
        shrinks = step < 0
        reach = min(1.0, 0.99 * float((y[shrinks] / -step[shrinks]).min())) if shrinks.any() else 1.0
        while True:
            moved = y + reach * step
            found = _potential(cosines, q, moved, power)
            # The last steps change the potential by less than its rounding.
            if found <= value + 1e-4 * reach * falls + 1e-15 * abs(value) or reach < 1e-12:
                break
            reach /= 2
        y, value = moved, found
        if reach == 1 and (np.abs(step) <= 1e-9 * y).all():
            break  # Newton's next error is the square of this one
    balance = (cosines @ y) / (q * y**-power)
    if (np.diagonal(gramian) == 0).any() or not np.allclose(balance, 1.0, rtol=0, atol=1e-5):
        raise ValueError(
            "gradients: want a direction that lowers every loss, got a zero gradient or a point where no "
            "such direction exists"
        )
    weights: Matrix = y * np.exp(shift / (1 + power)) / norms
    return weights


def _potential(cosines: Matrix, q: Matrix, y: Matrix, power: float) -> float:
    inner = np.log(y) if power == 1 else y ** (1 - power) / (1 - power)
    return float(y @ cosines @ y / 2 - q @ inner)
