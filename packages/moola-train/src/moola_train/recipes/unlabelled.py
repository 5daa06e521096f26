"""Windows of bars that nobody has labelled, for a network to look at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from moola_train.batches import Batch


class UnlabelledWindows:
    """Gathers windows by index.

    Args:
        features: Of all bars, f4 (N, F).
        starts: The windows' first bars, i8 (n,).
        length: Bars a window.
        position: Whether t/(K-1) is appended.
        device: Where the network is.
    """

    def __init__(
        self,
        features: npt.NDArray[np.float32],
        starts: npt.NDArray[np.int64],
        *,
        length: int,
        position: bool,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self._features = torch.from_numpy(features).to(self.device)
        self._starts = torch.from_numpy(starts).to(self.device)
        self._bars = torch.arange(length, device=self.device)
        self._ramp = (self._bars / max(length - 1, 1)).float()[:, None] if position else None

    def __len__(self) -> int:
        return len(self._starts)

    def batch(self, index: torch.Tensor) -> Batch:
        """Returns the windows of `index`, without targets."""
        index = index.to(self.device)
        inputs = self._features[self._starts[index][:, None] + self._bars]
        if self._ramp is not None:
            inputs = torch.cat([inputs, self._ramp.expand(len(index), -1, 1)], dim=-1)
        return Batch(inputs, {}, {}, torch.ones(len(index), device=self.device))
