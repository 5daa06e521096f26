"""Where the configurations of runs differ, as dotted names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue


def flat(settings: Mapping[str, JsonValue], *, before: str = "") -> dict[str, JsonValue]:
    """Turns nested tables into dotted names.

    >>> flat({"fit": {"epochs": 3}, "recipe": "expansion"})
    {'fit.epochs': 3, 'recipe': 'expansion'}
    """
    found: dict[str, JsonValue] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            found |= flat(value, before=f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


def differing(settings: Sequence[Mapping[str, JsonValue]]) -> dict[str, list[JsonValue]]:
    """Lists the settings that are not the same everywhere.

    Args:
        settings: Nested configurations.

    Returns:
        By dotted name the value of each; None where one has no such setting.

    >>> differing([{"fit": {"epochs": 3, "seed": 0}}, {"fit": {"epochs": 5, "seed": 0}}])
    {'fit.epochs': [3, 5]}
    """
    each = [flat(one) for one in settings]
    names = dict.fromkeys(name for one in each for name in one)
    values = {name: [one.get(name) for one in each] for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found)}
