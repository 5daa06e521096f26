"""Many one-feature functions as one compiled row writer."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numba
from numba.extending import is_jitted

Function = TypeVar("Function", bound=Callable[..., Any])
_PART: dict[str, Any] = {
    "error_model": "numpy",
    "forceinline": True,
    # Doors for Python: compiled code calls without them, and they take most of the time to compile.
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def part(function: Function) -> Function:
    """Compiles a function, if it is not yet, into its compiled callers; Python itself cannot call it."""
    compiled: Function = function if is_jitted(function) else numba.njit(**_PART)(function)
    return compiled


def row_writer(functions: Sequence[Callable[..., float]]) -> Callable[..., None]:
    """Joins functions of a bar's state into a compiled one that writes their values into a row.

    The compiler inlines all of it into the loop that calls it, so that a feature is one function although all
    features are computed in one pass. Joined by halves: a chain of them would be too deep to compile.
    """
    return _writer([part(function) for function in functions], 0)


def fingerprint(*modules: ModuleType) -> int:
    """Returns a number that changes with the sources of modules.

    A compiled pass is kept on disk for its own file alone; calling functions of other files, it would outlive
    their changes.
    """
    return zlib.crc32(b"".join(Path(str(module.__file__)).read_bytes() for module in modules))


def _writer(functions: Sequence[Callable[..., float]], column: int) -> Callable[..., None]:
    if len(functions) == 1:
        function = functions[0]

        @part
        def write(state: Any, out: Any, row: int) -> None:
            out[row, column] = function(state)

    else:
        half = len(functions) // 2
        left, right = _writer(functions[:half], column), _writer(functions[half:], column + half)

        @part
        def write(state: Any, out: Any, row: int) -> None:
            left(state, out, row)
            right(state, out, row)

    joined: Callable[..., None] = write
    return joined
