"""pytorch-crf 0.7, imported as torchcrf."""

import torch
from crf_windows import PARAMETERS, windows
from torchcrf import CRF

VERSIONS = ["pytorch-crf", "torch"]


def prepare_loss(n: int) -> tuple:
    emissions, tags = windows(n)
    crf = CRF(2, batch_first=True)
    with torch.no_grad():
        crf.start_transitions.copy_(PARAMETERS[0])
        crf.transitions.copy_(PARAMETERS[1])
        crf.end_transitions.copy_(PARAMETERS[2])
    return emissions.requires_grad_(), tags, crf


def loss(state: tuple) -> torch.Tensor:
    emissions, tags, crf = state
    emissions.grad = None
    value = -crf(emissions, tags, reduction="mean")
    value.backward()
    return value


def prepare_decode(n: int) -> tuple:
    emissions, _, crf = prepare_loss(n)
    return emissions.detach(), crf


def decode(state: tuple) -> list[list[int]]:
    emissions, crf = state
    return crf.decode(emissions)
