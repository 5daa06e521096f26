"""The minimum over the simplex behind MGDA and CAGrad, by an exact active-set search."""

from __future__ import annotations

import math

import numpy as np

from moola_losses.gramian import Matrix, unit_diagonal

RIDGE = 1e-13
ROUNDING = 1e-13


def simplex_minimum(gramian: Matrix, *, slope: Matrix | None = None, push: float = 1.0) -> Matrix:
    """Minimises slope·w + push ‖Σ w_k g_k‖ over w ≥ 0, Σ w = 1.

    On the plane of a set of tasks the minimum has a closed form (a quadratic equation in the multiplier), so
    the search is exact up to rounding: a task joins when the objective falls towards it, and leaves when its
    weight meets 0 (Wolfe 1976, "Finding the nearest point in a polytope", for slope 0). Linear systems are
    solved on the cosines, so gaps of many powers of ten between the tasks' norms do no harm.

    Args:
        gramian: (m, m) inner products of the g_k, m at least 1.
        slope: (m,); None is zeros, which asks for the point of the convex hull nearest to 0.
        push: Above 0.

    Returns:
        (m,) weights of at least 0 with sum 1.
    """
    tasks = len(gramian)
    linear = np.zeros(tasks) if slope is None else slope
    start = int(np.argmin(linear + push * np.sqrt(np.diagonal(gramian))))
    active = [start]
    weights = np.zeros(tasks)
    weights[start] = 1.0
    # Only rounding can make a task join and leave for ever; the bound ends that, at a point just as good.
    for _ in range(20 * tasks):
        products = gramian @ weights
        length = math.sqrt(max(float(weights @ products), 0.0))
        noise = np.abs(gramian) @ weights
        if length * length <= ROUNDING * float(weights @ noise):
            return weights
        gain = float(weights @ linear) + push * length - linear - push * products / length
        allowed = ROUNDING * (
            np.abs(linear) + float(weights @ np.abs(linear)) + push * (length + noise / length)
        )
        gain[active] = 0.0
        outside = np.where(gain > allowed, gain / np.sqrt(np.diagonal(gramian).clip(min=1e-300)), 0.0)
        joins = int(np.argmax(outside))
        if outside[joins] <= 0:
            return weights
        active.append(joins)
        weights = _descend(gramian, linear, push, active, weights)
    return weights


def _descend(gramian: Matrix, linear: Matrix, push: float, active: list[int], weights: Matrix) -> Matrix:
    """Walks to the minimum on the plane of the active tasks, dropping those whose weight meets 0."""
    while len(active) > 1:
        here = weights[active]
        step, bounded = _towards_minimum(gramian[np.ix_(active, active)], linear[active], push, here)
        # A step that goes on for ever ends where the first weight meets 0.
        falling = step < 0
        reach = np.full(len(active), np.inf)
        reach[falling] = here[falling] / -step[falling]
        nearest = float(reach.min())
        if bounded and nearest > 1:
            moved = here + step
        elif not np.isfinite(nearest):
            return weights
        else:
            moved = (here + nearest * step).clip(min=0.0)
            moved[int(np.argmin(reach))] = 0.0
        weights = np.zeros(len(weights))
        weights[active] = moved / moved.sum()
        if moved.min() > 0:
            return weights
        active[:] = [k for k in active if weights[k] > 0]
    weights = np.zeros(len(weights))
    weights[active] = 1.0
    return weights


def _towards_minimum(gramian: Matrix, linear: Matrix, push: float, here: Matrix) -> tuple[Matrix, bool]:
    """Returns the step to the minimum on the plane Σ w = 1, or a falling direction if there is none."""
    cosines, norms = unit_diagonal(gramian)
    cosines[np.diag_indices_from(cosines)] += RIDGE
    ones, slopes = np.linalg.solve(cosines, np.stack([1 / norms, linear / norms], axis=1)).T
    ones_ones, ones_slope, slope_slope = ones @ (1 / norms), slopes @ (1 / norms), slopes @ (linear / norms)
    inside = ones_slope**2 - ones_ones * (slope_slope - push**2)
    if inside <= 0:
        return (ones * (ones_slope / ones_ones) - slopes) / norms, False
    root = np.sqrt(inside)
    target = (ones * ((ones_slope + root) / ones_ones) - slopes) / norms
    return target / target.sum() - here, True
