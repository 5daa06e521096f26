"""Loss scaling for half precision: gradients too small for 16 bits are kept by making the loss larger."""

from __future__ import annotations

import torch
from torch import Tensor


class LossScale:
    """A power of two that halves at an overflow and doubles after a while without (Micikevicius 2018).

    It lives on the device and is never read inside an epoch.

    Args:
        device: Where the gradients are.
        start: First scale.
        patience: Steps without overflow after which the scale doubles.
    """

    def __init__(self, *, device: torch.device, start: float = 2.0**16, patience: int = 2000) -> None:
        self.value = torch.tensor(start, device=device)
        """Scalar float32."""
        self.overflow = torch.zeros((), device=device)
        """1 if the last gradient was not finite, else 0."""
        self._good = torch.zeros((), device=device)
        self._patience = patience

    def update(self, norm: Tensor) -> Tensor:
        """Takes the unscaled gradients' norm and returns whether it overflowed, a bool scalar."""
        bad = ~norm.isfinite()
        self.overflow.copy_(bad)
        self._good.copy_(torch.where(bad, 0, self._good + 1))
        grow = self._good >= self._patience
        factor = torch.where(bad, 0.5, torch.where(grow, 2.0, 1.0))
        self.value.mul_(factor)
        self._good.masked_fill_(grow, 0)
        return bad

    def scale(self, loss: Tensor) -> Tensor:
        """Returns a loss times the scale: all that a balancer asks of a ``torch.amp.GradScaler``."""
        return loss * self.value

    def get_scale(self) -> float:
        """Returns the scale as a number; waits for the device."""
        return float(self.value)

    def check(self) -> None:
        """Waits for the device. FloatingPointError if even a tiny scale overflows: then no scale will do."""
        value = float(self.value)
        if value < 2.0**-14:
            raise FloatingPointError(f"precision: want gradients that fit 16 bits, got none at scale {value}")

    def state(self) -> dict[str, Tensor]:
        """Returns what a checkpoint has to hold, on the CPU."""
        return {"value": self.value.to("cpu", copy=True), "good": self._good.to("cpu", copy=True)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes over a saved state."""
        self.value.copy_(state["value"])
        self._good.copy_(state["good"])
