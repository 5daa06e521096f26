"""Libraries that only an extra brings."""

from __future__ import annotations

import importlib
from types import ModuleType


def extra_module(module: str, *, extra: str) -> ModuleType:
    """Imports a module that an extra brings.

    Raises:
        ValueError: It is not installed; says which extra brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{extra}: want the extra: pip install 'moola-train[{extra}]' (missing: {error.name})"
        ) from error
