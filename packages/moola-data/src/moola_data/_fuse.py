"""Many one-feature functions as one compiled row writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba


@numba.njit(forceinline=True)
def _nothing(state: Any, out: Any, row: int) -> None:
    pass


def row_writer(functions: Sequence[Callable[..., float]]) -> Callable[..., None]:
    """Chains compiled functions of a bar's state into one that writes their values into a row.

    Each link calls the ones before it; the compiler inlines the chain into the loop that calls its end, so
    that a feature is one function although all of them are computed in one pass.
    """
    write: Callable[..., None] = _nothing
    for column, function in enumerate(functions):
        write = _link(write, function, column)
    return write


def _link(before: Callable[..., None], function: Callable[..., float], column: int) -> Callable[..., None]:
    @numba.njit(error_model="numpy", forceinline=True)
    def write(state: Any, out: Any, row: int) -> None:
        before(state, out, row)
        out[row, column] = function(state)

    linked: Callable[..., None] = write
    return linked
