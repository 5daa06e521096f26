"""TorchCRF 1.1."""

import torch
from crf_windows import PARAMETERS, windows
from TorchCRF import CRF

VERSIONS = ["TorchCRF", "torch"]


def prepare_loss(n: int) -> tuple:
    emissions, tags = windows(n)
    crf = CRF(2, use_gpu=False)
    with torch.no_grad():
        crf.start_trans.copy_(PARAMETERS[0])
        crf.trans_matrix.copy_(PARAMETERS[1])
        crf.end_trans.copy_(PARAMETERS[2])
    return emissions.requires_grad_(), tags, torch.ones_like(tags, dtype=torch.bool), crf


def loss(state: tuple) -> torch.Tensor:
    emissions, tags, mask, crf = state
    emissions.grad = None
    value = -crf(emissions, tags, mask).mean()
    value.backward()
    return value


def prepare_decode(n: int) -> tuple:
    emissions, _, mask, crf = prepare_loss(n)
    return emissions.detach(), mask, crf


def decode(state: tuple) -> list[list[int]]:
    emissions, mask, crf = state
    return crf.viterbi_decode(emissions, mask)
