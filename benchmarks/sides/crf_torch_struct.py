"""torch-struct's LinearChainCRF, given log potentials that hold emissions and transitions together."""

import torch
import torch_struct
from crf_windows import PARAMETERS, windows

VERSIONS = ["torch-struct", "torch"]


def potentials(
    emissions: torch.Tensor, start: torch.Tensor, pairs: torch.Tensor, end: torch.Tensor
) -> torch.Tensor:
    """(n, BARS - 1, to, from), as the library wants them."""
    first = torch.nn.functional.pad(
        (start + emissions[:, 0])[:, None, None, :], (0, 0, 0, 0, 0, emissions.shape[1] - 2)
    )
    last = torch.nn.functional.pad(end[None, None, :, None], (0, 0, 0, 0, emissions.shape[1] - 2, 0))
    return (emissions[:, 1:, :, None] + pairs.T + first + last).contiguous()


def prepare_loss(n: int) -> tuple:
    emissions, tags = windows(n)
    parts = torch_struct.LinearChainCRF.struct.to_parts(tags, 2).float()
    return emissions.requires_grad_(), parts, [p.clone().requires_grad_() for p in PARAMETERS]


def loss(state: tuple) -> torch.Tensor:
    emissions, parts, parameters = state
    emissions.grad = None
    crf = torch_struct.LinearChainCRF(potentials(emissions, *parameters))
    value = -crf.log_prob(parts).mean()
    value.backward()
    return value


def prepare_decode(n: int) -> torch.Tensor:
    return windows(n)[0]


def decode(state: torch.Tensor) -> list[list[int]]:
    crf = torch_struct.LinearChainCRF(potentials(state, *PARAMETERS))
    # Its own `from_parts` loops over bars in Python; the best parts tell the tags directly.
    pairs = crf.argmax
    first = pairs[:, :1].sum(2).argmax(2)
    return torch.cat([first, pairs.sum(3).argmax(2)], 1).tolist()
