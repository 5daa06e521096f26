"""What was wrong with a command line or its input, in one line."""

from __future__ import annotations

from collections.abc import Iterable

from cyclopts import CycloptsError, MissingArgumentError, UnknownOptionError
from pydantic import ValidationError

from moola_train.recipes.near_names import did_you_mean
from moola_train.recipes.settings import refusals


def one_line(error: BaseException) -> str:
    """Tells an error in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(refusals(error, None))
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror
        for name in (error.filename, error.filename2):
            words += f": {name}" if name else ""
        if isinstance(error, PermissionError):
            words += "; want a file or folder that you may use so"
        return words
    return " ".join(str(error).split()) or type(error).__name__


def command_line(error: CycloptsError, *, keys: Iterable[str] = ()) -> str:
    """Tells in one line what a command line lacks or has too much.

    Args:
        error: Of the parser.
        keys: Of a configuration, if the command takes one: they are flags too.
    """
    command = " ".join(("moola", *(error.command_chain or ())))
    words = one_line(error)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        _, _, meant = words.partition("Did you mean ")
        words = f"{error.argument.name}: wanted, got none{f'; did you mean {meant}' if meant else ''}"
    if isinstance(error, UnknownOptionError):
        word = (error.token.keyword or error.token.value).partition("=")[0]
        flags = [name for argument in error.argument_collection for name in argument.names]
        known = [flag.lstrip("-") for flag in flags if flag.startswith("--")]
        meant = did_you_mean(word.lstrip("-").replace("_", "-"), known) or did_you_mean(
            word.lstrip("-").replace("-", "_"), keys
        )
        words = f"{word}: no such flag{meant.replace(chr(39), chr(39) + '--', 1)}"
    return f"{words} (see `{command} --help`)"
