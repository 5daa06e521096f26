"""What a head is: a small module that reads the encoder's states, and the configuration that builds it.

To write a head of your own, subclass `HeadConfig` (give it a `kind`) and `Head`, and name the configuration
under the entry-point group ``moola_models.heads``.

B batch, K bars, R state width, P pooled width.
"""

from __future__ import annotations

import keyword
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, field_validator
from torch import Tensor, nn


class States(NamedTuple):
    """What a head sees of a batch.

    Attributes:
        bars: The encoder's states z_BKR, one per bar.
        pooled: Their mean (B, P) over the valid bars, after the projection where there is one.
        lengths: Valid leading bars of each window, (B,) int64; None when every bar is valid.
    """

    bars: Tensor
    pooled: Tensor
    lengths: Tensor | None


class Widths(NamedTuple):
    """Sizes that a head is built for: width of a bar's state, width of the pooled state, dropout rate."""

    bar: int
    pooled: int
    dropout: float


class Head(nn.Module, ABC):
    """Turns states into the output of one task."""

    @abstractmethod
    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns the task's output; only structured heads look at the target."""


class HeadConfig(BaseModel, ABC):
    """Names a task and says which head it gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    pooled: ClassVar[bool]
    """Whether the head reads `States.pooled`; without such a head there is no projection."""

    kind: str
    name: str
    """The task, and the field of the outputs that the head fills."""

    @field_validator("name")
    @classmethod
    def _name_is_a_field(cls, name: str) -> str:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ValueError(f"want an identifier without leading underscore, got {name!r}")
        return name

    @abstractmethod
    def build(self, widths: Widths) -> Head:
        """Makes the module, with freshly drawn parameters."""
