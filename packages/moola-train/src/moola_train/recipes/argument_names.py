"""The arguments that can be worked out, by name: known without loading what works them out."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Name = Literal[
    "reduction bias",
    "head under Adam",
    "normaliser",
    "detached losses",
    "clock",
    "shares",
    "countdown levels",
    "position prior",
    "tree on position",
    "feature signs",
    "operating point",
    "untrained",
    "second sigmoid",
    "best of many",
    "chains",
    "softness",
    "classes",
    "sums",
    "comparisons",
    "learning curve",
]


class Argument(BaseModel):
    """Which one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    argument: Name
