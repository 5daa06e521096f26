"""Emissions, tags and parameters of a two-tag chain, the same on every side."""

import torch

BARS = 105
PARAMETERS = (torch.tensor([0.1, -0.3]), torch.tensor([[0.9, -1.2], [-0.7, 0.8]]), torch.tensor([0.2, -0.1]))
"""Start, transitions and end."""


def windows(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Emissions (n, BARS, 2) and tags (n, BARS) in which about a third of the bars lie in spans."""
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    emissions = torch.randn(n, BARS, 2, generator=draw)
    smooth = torch.nn.functional.avg_pool1d(torch.randn(n, 1, BARS, generator=draw), 9, 1, 4)[:, 0]
    return emissions, (smooth > 0.15).long()
