"""Windows in which type and place are both right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray
from moola_eval.pattern_type import most_probable
from moola_eval.pointers import Side, hits
from moola_eval.score import Score, mean
from moola_eval.targets import Targets


def joint_success(
    targets: Targets,
    pointers: npt.NDArray[np.floating],
    type_probability: npt.NDArray[np.floating],
    *,
    k: float = 3,
    side: Side = "centre",
) -> Score:
    """Share of typed windows whose type is right and whose pointed span lies within k bars.

    Args:
        targets: The truth.
        pointers: (n, 2) floats, predicted centre and length in bars.
        type_probability: (n, C) floats in [0, 1].
        k: Tolerance in bars, inclusive.
        side: What must lie within k.

    Returns:
        The score; the denominator is the number of windows with a typed span.
    """
    known: BoolArray = targets.has_span & (targets.type >= 0)
    right = most_probable(targets.type, type_probability) == targets.type
    near = hits(targets.start, targets.end, pointers, k=k, side=side)
    total = (known & right & near).astype(np.float64)
    words = f"share of typed windows with the type right and the {side} within {k:g} bars"
    return mean("joint_success", words, total, known.astype(np.float64), unit="windows")
