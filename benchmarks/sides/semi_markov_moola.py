"""The semi-Markov field of moola-models with 20 free durations, on windows of the same size."""

import torch
from crf_windows import windows

from moola_models.semi_markov import SemiMarkov
from moola_models.semi_markov_paths import best_spans

VERSIONS = ["moola-models", "torch"]


def prepare_loss(n: int) -> tuple:
    emissions, tags = windows(n)
    scores = torch.cat([emissions, emissions.sum(2, keepdim=True)], 2).requires_grad_()
    return scores, tags.bool(), torch.zeros(20, requires_grad=True), torch.zeros((), requires_grad=True)


def loss(state: tuple) -> torch.Tensor:
    scores, marks, duration, tail = state
    scores.grad = None
    value = -SemiMarkov(*scores.unbind(2), duration, tail).log_prob(marks).mean()
    value.backward()
    return value


def prepare_decode(n: int) -> SemiMarkov:
    scores, _, duration, tail = prepare_loss(n)
    return SemiMarkov(*scores.detach().unbind(2), duration.detach(), tail.detach())


def decode(state: SemiMarkov) -> list[list[bool]]:
    return best_spans(state).tolist()
