"""Reads a run's settings: defaults, over them a TOML file, over that what the command line says.

Types are those of TOML, never converted: ``"40"`` is no number, ``40.0`` and ``true`` are no count; a whole
number will do where a number is wanted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from moola_train.recipes.catalogue_config import CatalogueConfig
from moola_train.recipes.config_keys import refuse_unknown
from moola_train.recipes.near_names import did_you_mean
from moola_train.recipes.overrides import nested, once, parse_setting
from moola_train.recipes.own_run import OwnConfig
from moola_train.recipes.run_config import RunConfig, recipe_values
from moola_train.recipes.study import merged

Config = TypeVar("Config", bound=BaseModel)
Name = Callable[[str], str]
DEFAULT = "jade-best"
"""The configuration of the package that stands where nothing is said."""
_INNER = re.compile(r"(?:balancer|head) '[^']*': ([\w.]+): ([^;]*)")
WORDS = {
    "Input should be a valid dictionary": "want a table",
    "Input should be a valid list": "want a list",
    "Input should be a valid tuple": "want a list",
    "Input should be ": "want ",
    "Extra inputs are not permitted": "no such key",
    "Field required": "want a value, got none",
}
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}


def recipe_names() -> tuple[str, ...]:
    """Lists the configurations that the package holds, for `--config`."""
    found = files("moola_train").joinpath("configurations").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in found if f.name.endswith(".toml")))


def read_run_settings(file: Path | None, settings: Sequence[str] = ()) -> RunConfig:
    """Reads the configuration of a run of the expansion detector.

    Args:
        file: A TOML file, or the name of one of the package's configurations; None takes `DEFAULT`. A file
            says what differs from `DEFAULT`, or from the configuration that its key ``base`` names.
        settings: ``name=value``, laid over it.

    Returns:
        The configuration; what nobody names keeps the base's value.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no TOML, or a key is unknown, or a value is refused.

    >>> read_run_settings(None).model.heads["span"].kind
    'span_semi_markov'
    >>> read_run_settings(Path("plain")) == RunConfig()
    True
    """
    known = recipe_names()
    if file is not None and file.is_file():
        values = _tables(file)
        base = values.pop("base", DEFAULT)
        if base not in known:
            meant = did_you_mean(base, known) if isinstance(base, str) else ""
            raise ValueError(f"config {file}: base: want one of {', '.join(known)}, got {base!r}{meant}")
        return _laid(_named(base), values, settings, where=lambda name: f"config {file}: {name}")
    name = DEFAULT if file is None else str(file)
    if name not in known:
        meant = did_you_mean(name, known)
        raise FileNotFoundError(f"config: want a TOML file or one of {', '.join(known)}, got {file}{meant}")
    return _laid(_named(name), {}, settings, where=str)


def _named(name: str) -> RunConfig:
    return configured(RunConfig(), recipe_values(name), where=lambda key: f"config {name}: {key}")


def read_journal_settings(file: Path | None, settings: Sequence[str] = ()) -> CatalogueConfig:
    """Reads the configuration of a journal's run; as `read_run_settings`, without names.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no TOML, or a key is unknown, or a value is refused.
    """
    if file is not None and not file.is_file():
        raise FileNotFoundError(f"config: want a TOML file, got {file}, which is none")
    return _read(CatalogueConfig(), file, settings)


def read_own_settings(file: Path, settings: Sequence[str] = ()) -> OwnConfig:
    """Reads the configuration of a run of somebody's own model; as `read_run_settings`, without names.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no TOML, or a key is unknown or missing, or a value is refused.
    """
    if not file.is_file():
        raise FileNotFoundError(f"config: want a TOML file, got {file}, which is none")
    nobody = OwnConfig(build="module:function")
    read = _read(nobody, file, settings)
    if read.build == nobody.build:
        raise ValueError(f"config {file}: build: want 'module:function' of yours, got none")
    return read


def configured(base: Config, changes: Mapping[str, Any], *, where: Name = str) -> Config:
    """Lays a nested mapping over a configuration.

    Args:
        base: What stands where nothing is said; a table with a ``kind`` replaces the whole of its own.
        changes: As of a TOML file.
        where: Turns a dotted key into the words that an error begins with.

    Raises:
        ValueError: A key is unknown, or a value is of another type or refused; all refused ones are named.

    >>> configured(RunConfig(), {"fit": {"epochs": 5}}).fit.epochs
    5
    >>> configured(RunConfig(), {"fit": {"epoch": 5}})
    Traceback (most recent call last):
    ...
    ValueError: fit.epoch: no such key; did you mean 'fit.epochs'?
    """
    values = merged(base.model_dump(mode="json"), changes)
    try:
        refuse_unknown(type(base), values)
    except ValueError as error:
        name, colon, words = str(error).partition(":")
        raise ValueError(f"{where(name)}{colon}{words}") from None
    try:
        made = type(base).model_validate(values)
    except ValidationError as error:
        raise ValueError("; ".join(refusals(error, values, where=where))) from None
    _refuse_converted(changes, made.model_dump(), "", where)
    return made


def refusals(error: ValidationError, values: object, *, where: Name = str) -> list[str]:
    """Tells in words what pydantic refused: key, what is wanted, what was found.

    Args:
        error: Its error.
        values: What it was given.
        where: As of `configured`.
    """
    told = []
    for refused in error.errors():
        name = _name(refused["loc"], values)
        kind, words, found = refused["type"], refused["msg"].removeprefix("Value error, "), refused["input"]
        inner = _INNER.fullmatch(words)
        if inner is not None:  # the table of a kind tells its errors as text
            name, words, found = f"{name}.{inner[1]}", inner[2], _at(found, inner[1])
        words, plain = _words(kind, words), words.startswith("Input should be ")
        if plain:
            known = [word.strip("'") for word in str(refused.get("ctx", {}).get("expected", "")).split()]
            words += f", got {found!r}{did_you_mean(found, known) if isinstance(found, str) else ''}"
        told.append(f"{where(name)}: {words}" if name else words)
    return told


def _at(values: object, name: str) -> object:
    for part in name.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _words(kind: str, message: str) -> str:
    for begin, wanted in {"int_": int, "float_": float, "bool_": bool, "string_": str}.items():
        if kind.startswith(begin):
            return f"want {KINDS[wanted]}"
    for said, meant in WORDS.items():
        message = message.replace(said, meant)
    return message


def _name(place: Sequence[int | str], values: object) -> str:
    """The dotted key of a place; pydantic also puts the kinds of tables into it."""
    parts = []
    for part in place:
        if isinstance(values, Mapping):
            if part not in values and part is not place[-1]:
                continue
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        parts.append(str(part))
    return ".".join(parts)


def _read(base: Config, file: Path | None, settings: Sequence[str]) -> Config:
    if file is None:
        return _laid(base, {}, settings, where=str)
    return _laid(base, _tables(file), settings, where=lambda name: f"config {file}: {name}")


def _tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        byte = f"byte {error.object[error.start]:#04x} at {error.start}"
        raise ValueError(f"config: want TOML in UTF-8, got {file} with {byte}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"config: want TOML, got {file}: {error}") from error


def _laid(base: Config, values: Mapping[str, Any], settings: Sequence[str], *, where: Name) -> Config:
    """Lays a file's values and then settings over a configuration; an error says which of both it was."""
    said = once([parse_setting(text) for text in settings])

    def told(name: str) -> str:
        flagged = any(f"{flag}.".startswith(f"{name}.") or name.startswith(f"{flag}.") for flag in said)
        return f"--{name}" if flagged else where(name)

    return configured(base, merged(values, nested(said)), where=told)


def _refuse_converted(given: object, made: object, name: str, where: Name) -> None:
    if isinstance(given, Mapping) and isinstance(made, Mapping):
        for key, value in given.items():
            _refuse_converted(value, made.get(key), f"{name}.{key}" if name else str(key), where)
    elif isinstance(given, list) and isinstance(made, list | tuple):
        for value, other in zip(given, made, strict=False):
            _refuse_converted(value, other, name, where)
    elif type(given) in KINDS and type(made) in KINDS and type(given) is not type(made):
        if type(given) is int and type(made) is float:
            return
        raise ValueError(f"{where(name)}: want {KINDS[type(made)]}, got {_toml(given)}")


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
