"""Points from a state into a catalogue: cosine times one learned scale, over all rows by one product.

C rows of the catalogue, H their width, Q width of a query.
"""

from __future__ import annotations

import math
import warnings
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from moola_models.odds import full_precision

LARGEST_SCALE = 100.0
USUAL_SCALE = 1 / 0.07
"""Radford and others (2021), CLIP, where the logarithm is learned too, up to ln 100."""


class PointerConfig(BaseModel):
    """How sharply cosines are turned into probabilities: a scale or a temperature, which is 1/scale.

    >>> round(PointerConfig().first_scale, 3), PointerConfig(temperature=0.1).first_scale
    (14.286, 10.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float | None = Field(default=None, ge=1, le=LARGEST_SCALE)
    """First value of the factor; without a temperature either, 1/0.07."""
    temperature: float | None = Field(default=None, ge=1 / LARGEST_SCALE, le=1)
    """First value of the divisor, instead of the factor."""
    learnable: bool = True
    norm: bool = True
    """Whether queries and rows are brought to length 1. Without, products are unbounded."""

    @model_validator(mode="after")
    def _one_knob(self) -> Self:
        if self.scale is not None and self.temperature is not None:
            raise ValueError(
                f"pointer: want a scale or a temperature, got both ({self.scale} and {self.temperature}): "
                "only their quotient acts"
            )
        return self

    @property
    def first_scale(self) -> float:
        """The factor to start from."""
        if self.temperature is not None:
            return 1 / self.temperature
        return USUAL_SCALE if self.scale is None else self.scale


class PointerLayer(nn.Module):
    """Logits over the rows of a catalogue: scale · cos(W q, row), with the scale in [1, 100].

    The logarithm of the scale is in the state dict whether it is learned or not.

    Args:
        query: Q.
        width: H.
        config: Scale or temperature, learned or not, normed or not.
        accounts: C, to warn of a scale that cannot tell so many apart.

    Warns:
        UserWarning: If the first scale is below ln 19(C-1): with cosine 1 to the right row and 0 to all
            others, the right one would get less than 95 %.

    >>> layer = PointerLayer(4, 3, PointerConfig(scale=10))
    >>> layer(torch.ones(2, 5, 4), layer.keys(torch.eye(3))).shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self, query: int, width: int, config: PointerConfig | None = None, *, accounts: int | None = None
    ) -> None:
        super().__init__()
        self.config = PointerConfig() if config is None else config
        # A linear map, not a ReLU: rows are signed, and a query without signs reaches one corner of them.
        self.query = nn.Linear(query, width)
        first = torch.tensor(math.log(self.config.first_scale))
        if self.config.learnable:
            self.log_scale = nn.Parameter(first)
        else:
            self.register_buffer("log_scale", first)
        if self.config.norm and accounts is not None and accounts > 1:
            wanted = math.log(19 * (accounts - 1))
            if self.config.first_scale < wanted:
                warnings.warn(
                    f"scale: want {wanted:.2f} or more for {accounts} accounts, got "
                    f"{self.config.first_scale:.2f}: a perfect cosine would get less than 95 %",
                    UserWarning,
                    stacklevel=2,
                )

    @property
    def scale(self) -> Tensor:
        """The factor now, a scalar in [1, 100]."""
        return held_scale(self.log_scale)

    def keys(self, rows_CH: Tensor) -> Tensor:
        """Returns the rows as they are compared with queries, (C, H): to be made once a forward pass."""
        return functional.normalize(rows_CH, dim=-1) if self.config.norm else rows_CH

    def forward(self, states: Tensor, keys_CH: Tensor, *, allowed: Tensor | None = None) -> Tensor:
        """Compares every state with every row.

        Args:
            states: (..., Q).
            keys_CH: From `keys`.
            allowed: bool, (C,) or of the logits' shape or broadcast to it; rows that may be pointed at.

        Returns:
            Logits, (..., C), at least 32 bits; the smallest number of the type where not allowed.

        Raises:
            ValueError: If a state has no allowed row.
        """
        if self.training and self.config.learnable:
            hold_scale(self.log_scale)
        query = self.query(states)
        if self.config.norm:
            query = functional.normalize(query, dim=-1)
        # The scale goes onto the short side of the product, so nothing else has the size of the logits.
        logits = full_precision((query * self.scale) @ keys_CH.T)
        return logits if allowed is None else mask_logits(logits, allowed)


@torch.no_grad()
def hold_scale(log_scale: Tensor) -> None:
    """Puts the logarithm of a scale back into [ln 1, ln 100] where it stands, as CLIP does after a step."""
    log_scale.clamp_(0.0, math.log(LARGEST_SCALE))


def held_scale(log_scale: Tensor) -> Tensor:
    """Returns the scale, in [1, 100]; its slope is that of the exponential also at both ends."""
    held = log_scale.detach().clamp(0.0, math.log(LARGEST_SCALE))
    return (log_scale + (held - log_scale.detach())).exp()


def mask_logits(logits: Tensor, allowed: Tensor) -> Tensor:
    """Puts the smallest number of the type where nothing is allowed.

    Raises:
        ValueError: If the mask is not bool or leaves a row of logits without any.
    """
    if allowed.dtype != torch.bool:
        raise ValueError(f"allowed: want bool, got {allowed.dtype}")
    if not torch.compiler.is_compiling() and not bool(allowed.any(-1).all()):
        row = (~allowed.any(-1)).reshape(-1).nonzero()[0].item()
        raise ValueError(f"allowed: want one or more accounts, got none in row {row}")
    return logits.masked_fill(~allowed, torch.finfo(logits.dtype).min)
