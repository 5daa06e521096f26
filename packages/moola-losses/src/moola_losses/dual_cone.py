"""Projections of gradients onto the cone of directions that conflict with no task, exact and scale-free."""

from __future__ import annotations

import numpy as np

from moola_losses.gramian import Matrix

RIDGE = 1e-14
ROUNDING = 1e-14


def project_on_dual_cone(cosines: Matrix, start: Matrix) -> Matrix:
    """Projects Σ start_k u_k onto the cone of all d with u_k·d ≥ 0 for every unit vector u_k.

    The projection is Σ (start_k + v_k) u_k with v ≥ 0, and v_k = 0 or u_k·d = 0 for every k: a problem of
    least squares in v, solved by the active set of Lawson and Hanson (1974).

    Args:
        cosines: (m, m) inner products of the u_k, 1 on the diagonal.
        start: (m,).

    Returns:
        (m,) start + v.
    """
    added = np.zeros(len(start))
    passive: list[int] = []
    # Only rounding can make a task join and leave for ever; the bound ends that, at a point just as good.
    for _ in range(20 * len(start)):
        slack = cosines @ (start + added)
        slack[passive] = np.inf
        joins = int(np.argmin(slack))
        if slack[joins] >= -ROUNDING * (np.abs(start) + added).sum():
            break
        passive.append(joins)
        while passive:
            block = cosines[np.ix_(passive, passive)] + RIDGE * np.eye(len(passive))
            wanted = np.linalg.solve(block, -(cosines[passive] @ start))
            if wanted.min() > 0:
                added[:] = 0.0
                added[passive] = wanted
                break
            here = added[passive]
            low = wanted <= 0
            ratio = np.full(len(passive), np.inf)
            ratio[low] = here[low] / np.maximum(here[low] - wanted[low], 1e-300)
            moved = here + ratio.min() * (wanted - here)
            moved[int(np.argmin(ratio))] = 0.0
            added[passive] = moved.clip(min=0.0)
            passive[:] = [k for k in passive if added[k] > 0]
    return start + added
