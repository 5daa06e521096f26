"""``moola completion``: what a shell completes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from moola_train.recipes.config_keys import dotted_keys
from moola_train.recipes.run_config import RunConfig

Shell = Literal["bash", "zsh", "fish"]


def completion_script(app: App, shell: Shell) -> str:
    """Writes the script of a shell: commands, flags, their choices, files, and the keys of a configuration.

    Args:
        app: The command.
        shell: Which shell.
    """
    whole = App(name=app.name, default_parameter=app.default_parameter)
    _copy(app, whole)
    script: str = whole.generate_completion(prog_name=app.name[0], shell=shell)
    return script


def _copy(app: App, whole: App) -> None:
    for name in app:
        if name.startswith("-"):
            continue
        part = app[name]
        if part.default_command is None:
            inner = App(name=name, help=part.help)
            _copy(part, inner)
            whole.command(inner)
        else:
            whole.command(_with_keys(part.default_command), name=name)


def _with_keys(command: Callable[..., Any]) -> Callable[..., Any]:
    """A stand-in with a flag a key, where a command takes settings of a run; it is never called."""
    signature = inspect.signature(command, eval_str=True)
    if "settings" not in signature.parameters or "catalogue" in signature.parameters:
        return command
    flags = [
        inspect.Parameter(
            name.replace(".", "__"),
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, Parameter(name=f"--{name}")],
        )
        for name in dotted_keys(RunConfig)
        if "." in name
    ]

    def stand_in(*words: object, **flags: object) -> None:
        raise AssertionError("only the signature counts")

    whole = signature.replace(parameters=[*signature.parameters.values(), *flags])
    stand_in.__signature__ = whole  # type: ignore[attr-defined]
    stand_in.__annotations__ = {p.name: p.annotation for p in whole.parameters.values()}
    stand_in.__doc__ = command.__doc__
    return stand_in
