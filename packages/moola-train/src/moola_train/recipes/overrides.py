"""Dotted settings of a configuration, as written on a command line: ``fit.epochs=3``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence

from pydantic import JsonValue, ValidationError

from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.study import Values, merged
from moola_train.sweep import grid


def parse_setting(text: str) -> tuple[str, JsonValue]:
    """Reads ``name=value``; the value is TOML, and a bare word is text.

    >>> parse_setting("fit.epochs=3"), parse_setting("balancer.kind=static")
    (('fit.epochs', 3), ('balancer.kind', 'static'))

    Raises:
        ValueError: It has another form.
    """
    name, value = _parts(text)
    return name, _value(value)


def parse_choices(text: str) -> tuple[str, list[JsonValue]]:
    """Reads ``name=a,b,c``, or ``name=[...]`` for values with commas of their own.

    >>> parse_choices("fit.learning_rate=0.001,0.01")
    ('fit.learning_rate', [0.001, 0.01])

    Raises:
        ValueError: It has another form, or a value is repeated.
    """
    name, value = _parts(text)
    found = _value(value) if value.startswith("[") else [_value(word.strip()) for word in value.split(",")]
    choices: list[JsonValue] = [*found] if isinstance(found, list) else [found]
    if not choices or any(choice in choices[:i] for i, choice in enumerate(choices)):
        raise ValueError(f"grid: want different values of {name}, got {value}")
    return name, choices


def nested(settings: Mapping[str, JsonValue]) -> Values:
    """Turns dotted names into nested tables.

    >>> nested({"fit.epochs": 3, "fit.seed": 1})
    {'fit': {'epochs': 3, 'seed': 1}}
    """
    whole: Values = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        inside = whole
        for word in path:
            inside = inside.setdefault(word, {})
            if not isinstance(inside, dict):
                raise ValueError(f"{name}: want a table at {word!r}, got a value that was set too")
        inside[last] = value
    return whole


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
    names = [name for name, _ in fixed] + [name for name, _ in choices]
    if len(set(names)) < len(names):
        raise ValueError(f"grid: want every setting once, got {sorted(names)}")
    found: list[tuple[dict[str, JsonValue], RunConfig]] = []
    start = base.model_dump(mode="json")
    for chosen in grid(**dict(choices)):
        values = merged(start, nested({**dict(fixed), **chosen}))
        try:
            found.append((chosen, RunConfig.model_validate(values)))
        except ValidationError as error:
            lines = [
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors()
            ]
            told = ", ".join(f"{name}={value}" for name, value in chosen.items()) or "the settings"
            raise ValueError(f"{told}: " + "; ".join(lines)) from error
    return found


def _parts(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value or not all(word.isidentifier() for word in name.split(".")):
        raise ValueError(f"setting: want NAME=VALUE such as fit.epochs=3, got {text!r}")
    return name, value.strip()


def _value(text: str) -> JsonValue:
    try:
        value: JsonValue = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value
