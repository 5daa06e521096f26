"""Dotted settings of a configuration, as written on a command line: ``--fit.epochs 3``, ``fit.epochs=3``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

_DOTTED = re.compile(r"--([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+)(?:=(.*))?", re.DOTALL)


def parse_setting(text: str) -> tuple[str, JsonValue]:
    """Reads ``name=value``; the value is TOML, a bare word is text, ``null`` stands for none.

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


def nested(settings: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Turns dotted names into nested tables.

    >>> nested({"fit.epochs": 3, "fit.seed": 1})
    {'fit': {'epochs': 3, 'seed': 1}}
    """
    whole: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        inside = whole
        for word in path:
            inside = inside.setdefault(word, {})
            if not isinstance(inside, dict):
                raise ValueError(f"{name}: want a table at {word!r}, got a value that was set too")
        inside[last] = value
    return whole


def once(settings: Sequence[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """Makes a mapping of settings.

    Raises:
        ValueError: One is repeated.
    """
    names = [name for name, _ in settings]
    if len(set(names)) < len(names):
        raise ValueError(f"set: want every setting once, got {', '.join(sorted(names))}")
    return dict(settings)


def dotted_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Takes the keys of a configuration out of a command line.

    Args:
        words: All words behind the program's name. What follows a lone ``--`` is left alone.

    Returns:
        The other words, and ``name=value`` for every ``--table.key value`` or ``--table.key=value``.

    Raises:
        ValueError: A key has no value.

    >>> dotted_flags(["train", "--fit.epochs", "5", "--bars", "b.csv", "--data.mirror=true"])
    (['train', '--bars', 'b.csv'], ['fit.epochs=5', 'data.mirror=true'])
    """
    others: list[str] = []
    settings: list[str] = []
    rest = iter(words)
    for word in rest:
        found = _DOTTED.fullmatch(word)
        if word == "--":
            others += [word, *rest]
        elif found is None:
            others.append(word)
        else:
            value = found[2] if found[2] is not None else next(rest, "")
            if not value or (found[2] is None and value.startswith("--")):
                raise ValueError(f"--{found[1]}: want a value behind it, got {value or 'none'}")
            settings.append(f"{found[1].replace('-', '_')}={value}")
    return others, settings


def _parts(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value or not all(word.isidentifier() for word in name.split(".")):
        raise ValueError(f"setting: want NAME=VALUE such as fit.epochs=3, got {text!r}")
    return name, value.strip()


def _value(text: str) -> JsonValue:
    if text == "null":
        return None
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = found["value"]
    # A date is a date nowhere in a configuration, and a line break would smuggle in a second key.
    return value if len(found) == 1 and isinstance(value, bool | int | float | str | list | dict) else text
