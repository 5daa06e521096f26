"""The chain of moola-models."""

import torch
from crf_windows import PARAMETERS, windows

from moola_models.chain import Chain
from moola_models.chain_paths import best_path

VERSIONS = ["moola-models", "torch"]


def prepare_loss(n: int) -> tuple:
    emissions, tags = windows(n)
    return emissions.requires_grad_(), tags, [p.clone().requires_grad_() for p in PARAMETERS]


def loss(state: tuple) -> torch.Tensor:
    emissions, tags, parameters = state
    emissions.grad = None
    value = -Chain(emissions, *parameters).log_prob(tags).mean()
    value.backward()
    return value


def prepare_decode(n: int) -> tuple:
    return windows(n)[0]


def decode(state: torch.Tensor) -> list[list[int]]:
    return best_path(Chain(state, *PARAMETERS)).tolist()
