"""One argument of the first system worked out anew: arithmetic on its figures, or a small experiment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from pydantic import JsonValue

from moola_train.recipes.argument_chains import chains, softness
from moola_train.recipes.argument_figures import classes, comparisons, learning_curve, sums
from moola_train.recipes.argument_gradients import (
    detached_losses,
    head_under_adam,
    normaliser,
    reduction_bias,
)
from moola_train.recipes.argument_labels import Drawn, Numbers, countdown_levels, position_prior
from moola_train.recipes.argument_markings import (
    best_of_many,
    feature_signs,
    operating_point,
    second_sigmoid,
    tree_on_position,
    untrained,
)
from moola_train.recipes.argument_names import Argument, Name
from moola_train.recipes.argument_sigmas import clock, shares
from moola_train.recipes.run_config import DataSection
from moola_train.recipes.study_data import SOURCES, OneExpansionSource, material

_FUNCTIONS: tuple[Callable[[Drawn, int], Numbers], ...] = (
    reduction_bias,
    head_under_adam,
    normaliser,
    detached_losses,
    clock,
    shares,
    countdown_levels,
    position_prior,
    tree_on_position,
    feature_signs,
    operating_point,
    untrained,
    second_sigmoid,
    best_of_many,
    chains,
    softness,
    classes,
    sums,
    comparisons,
    learning_curve,
)
ARGUMENTS: Mapping[str, Callable[[Drawn, int], Numbers]] = dict(zip(get_args(Name), _FUNCTIONS, strict=True))


def argument_trial(
    *, source: Mapping[str, JsonValue], run: Mapping[str, JsonValue], seed: int
) -> dict[str, JsonValue]:
    """Draws windows and works one argument out on them.

    Args:
        source: A `moola_train.recipes.study_data.OneExpansionSource`, as JSON.
        run: An `Argument`, as JSON.
        seed: Seed of the windows and of whatever the argument draws.

    Returns:
        Numbers by name; the function of the argument says which.

    Raises:
        ValueError: The source is not of one expansion a window, or there is no such argument.
    """
    wanted = Argument.model_validate(run)
    settings = SOURCES.validate_python(source)
    if not isinstance(settings, OneExpansionSource):
        raise ValueError(f"source.kind: want 'one_expansion', got {settings.kind!r}")
    return dict(ARGUMENTS[wanted.argument](drawn_for(settings, seed=seed), seed))


def drawn_for(source: OneExpansionSource, *, seed: int) -> Drawn:
    """Draws windows as a source says, and others of the same expansions that are cut anywhere."""
    loose = source.model_copy(update={"slide": 1, "copies": False, "limit": 2 * source.base, "fresh": 1})
    return Drawn(
        windows=material(source, DataSection(), seed=seed).windows,
        anywhere=material(loose, DataSection(), seed=seed).windows,
    )
