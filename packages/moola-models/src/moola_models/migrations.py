"""Reads model folders of earlier layouts: one function for each step from a version to the next.

A release that changes the layout raises `store.SCHEMA_VERSION` and adds the step from the former one here; it
never changes a step that stands. There has been one layout so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pydantic import JsonValue
from torch import Tensor


class Saved(NamedTuple):
    """What a model folder holds, before it is checked against this version's configuration.

    Attributes:
        settings: The content of ``config.json``.
        tensors: By name.
    """

    settings: dict[str, JsonValue]
    tensors: dict[str, Tensor]


Step = Callable[[Saved], Saved]

STEPS: dict[int, Step] = {}
"""The step from a version, by that version."""


def migrate(saved: Saved, *, to: int, steps: Mapping[int, Step] | None = None) -> Saved:
    """Takes a folder's content to a version, step by step.

    Args:
        saved: As read; its settings say the version.
        to: The version wanted.
        steps: By version; the package's own where omitted.

    Returns:
        The content in the layout of version `to`, which its settings then say.

    Raises:
        ValueError: If the version is later than `to`, is no whole number, or has no step.
    """
    known = STEPS if steps is None else steps
    found = saved.settings.get("schema_version")
    writer = f"written by {saved.settings.get('package')} {saved.settings.get('package_version')}"
    if type(found) is not int or found > to:
        raise ValueError(f"want schema_version {to}, got {found!r}; {writer}")
    for version in range(found, to):
        if version not in known:
            raise ValueError(
                f"want schema_version {to}, got {found}, and no step leads on from {version}; {writer}"
            )
        saved = known[version](saved)
        saved = saved._replace(settings=saved.settings | {"schema_version": version + 1})
    return saved
