"""Rules that label bars, by name: the package's own, then those that other packages offer.

A labeller is a function from bars to spans. It may look ahead: its spans are labels, never features.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points

from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans

Labeller = Callable[[Bars], Spans]

GROUP = "moola_data.labellers"
"""Entry-point group in which another package names a labeller of its own."""

LABELLERS = {"expansion": ("moola_data.expansion_rule", "label_expansions")}
"""Module and function of this package's own, loaded when asked for."""


def labeller(name: str) -> Labeller:
    """Returns a named labeller.

    Raises:
        ValueError: There is none of that name.
        TypeError: What a package offers under it cannot be called.
    """
    if name in LABELLERS:
        module, function = LABELLERS[name]
        own: Labeller = getattr(importlib.import_module(module), function)
        return own
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        raise ValueError(f"labeller: want one of {', '.join([*LABELLERS, *sorted(offered)])}, got {name!r}")
    found: object = offered[name].load()
    if not callable(found):
        raise TypeError(f"entry point {GROUP}:{name}: want a function from bars to spans, got {found!r}")
    chosen: Labeller = found
    return chosen


def label_bars(bars: Bars, name: str = "expansion") -> Spans:
    """Labels bars by a named rule, and checks that its spans lie on them.

    Args:
        bars: The bars.
        name: A key of `LABELLERS`, or what an installed package offers in the entry-point group `GROUP`.

    Returns:
        The spans.

    Raises:
        ValueError: There is no such labeller, or its spans do not fit the bars.
        TypeError: It gives no `Spans`.

    >>> from moola_data.sample import load_sample
    >>> len(label_bars(load_sample()))
    115
    """
    found: object = labeller(name)(bars)
    if not isinstance(found, Spans):
        raise TypeError(f"labeller {name!r}: want Spans, got {type(found).__name__}")
    check_spans(found, bars)
    return found
