"""Every combination of a grid of settings, laid over a configuration."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from moola_train.recipes.overrides import nested, once, parse_choices, parse_setting
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.settings import configured
from moola_train.sweep import grid


def variants(
    base: RunConfig, settings: Sequence[str], grids: Sequence[str]
) -> list[tuple[dict[str, JsonValue], RunConfig]]:
    """Lays every combination of a grid over a configuration.

    Args:
        base: What stands where nothing is said.
        settings: ``name=value``, the same everywhere.
        grids: ``name=a,b,c``; every combination is a variant.

    Returns:
        Per variant the grid's values by name, and the whole configuration.

    Raises:
        ValueError: A setting is repeated, unknown or refused.
    """
    fixed = [parse_setting(text) for text in settings]
    choices = [parse_choices(text) for text in grids]
    once([*fixed, *choices])
    found = []
    for chosen in grid(**dict(choices)):
        told = ", ".join(f"{name}={value}" for name, value in chosen.items())
        try:
            made = configured(base, nested({**dict(fixed), **chosen}))
        except ValueError as error:
            raise ValueError(f"{told}: {error}" if told else str(error)) from None
        found.append((chosen, made))
    return found
