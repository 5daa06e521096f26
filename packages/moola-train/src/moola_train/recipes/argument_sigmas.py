"""Learned uncertainties as the first system read them: a clock, and shares of a sum that are no gradients."""

from __future__ import annotations

import math

import numpy as np
import torch

from moola_train.recipes.argument_labels import Drawn, Numbers

TASKS = ("pointers", "type", "span", "countdown")
SIGMAS = {
    "soft_20": (0.6570, 0.9123, 0.8825, 1.1178),
    "soft_50": (0.5492, 0.8474, 0.7536, 1.2642),
    "crf_50": (0.5491, 0.8377, 1.2437, 1.2996),
    "soft_100": (0.41, 0.83, 0.60, 1.47),
}
"""As reported, in the order of `TASKS`, after so many epochs."""
LOSSES_100 = (0.009, 0.68, 0.28, 10.08)
"""As reported at epoch 100."""
STEPS = 6
"""Batches of 32 among its 168 training windows."""
BATCH, BARS = 32, 105


def clock(drawn: Drawn, seed: int) -> Numbers:
    """Lets Adam learn the pointers' sigma at a loss that stays as it is, from exp(-.3) at a rate of .001.

    Returns:
        ``sigma_20``, ``sigma_50`` and ``sigma_100`` after so many epochs of six steps; ``formula_N``, what
        exp(-.3 - .001 x steps) gives; ``sigma_50_doubled``, at twice the loss; ``optimum``, where L / (2
        s^2) + log s is least, found by search; ``root``, the square root of the loss.
    """
    loss = 0.0095 * math.exp(np.random.default_rng([seed, 12]).uniform(-0.3, 0.3))
    numbers = {f"sigma_{epochs}": _learned(loss, epochs * STEPS) for epochs in (20, 50, 100)}
    numbers |= {f"formula_{epochs}": math.exp(-0.3 - 0.001 * epochs * STEPS) for epochs in (20, 50, 100)}
    sigmas = np.exp(np.linspace(-6, 2, 200_001))
    best = sigmas[np.argmin(loss / (2 * sigmas**2) + np.log(sigmas))]
    return numbers | {
        "sigma_50_doubled": _learned(2 * loss, 50 * STEPS),
        "optimum": float(best),
        "optimum_over_root": float(best) / math.sqrt(loss),
    }


def _learned(loss: float, steps: int) -> float:
    log_sigma = torch.tensor([-0.3], requires_grad=True)
    optimiser = torch.optim.Adam([log_sigma], lr=1e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        (loss / 2 * torch.exp(-2 * log_sigma) + log_sigma).sum().backward()
        optimiser.step()
    return float(torch.exp(log_sigma.detach()))


def shares(drawn: Drawn, seed: int) -> Numbers:
    """Works out every share that the reported sigmas and losses allow.

    Returns:
        ``weight/RUN/TASK``, the share of 1/s^2; ``coefficient/TASK``, 1/(2 s^2) at epoch 100; ``sum/TASK``,
        the share of the plain sum of losses; ``data_term/TASK``, that of the weighted losses;
        ``gradient/TASK``, that of the norms of the weighted losses' gradients at all outputs, where
        predictions know the labels' frequencies alone and the countdown is as wrong as reported;
        ``start/TASK``, the weights at the starting sigmas.
    """
    numbers: Numbers = {}
    for run, sigmas in SIGMAS.items():
        numbers |= _shared(f"weight/{run}", [s**-2.0 for s in sigmas])
    coefficients = [0.5 * s**-2.0 for s in SIGMAS["soft_100"]]
    numbers |= {f"coefficient/{task}": c for task, c in zip(TASKS, coefficients, strict=True)}
    numbers |= _shared("sum", LOSSES_100)
    numbers |= _shared("data_term", [c * loss for c, loss in zip(coefficients, LOSSES_100, strict=True)])
    norms = _output_gradients(drawn)
    numbers |= _shared("gradient", [c * norm for c, norm in zip(coefficients, norms, strict=True)])
    return numbers | _shared("start", [math.exp(0.6), 1.0, 1.0, 1.0])


def _output_gradients(drawn: Drawn) -> tuple[float, float, float, float]:
    """Norms at the outputs of a batch: pointers, type logits, span logits, countdown, mean reductions."""
    mask = drawn.mask(0)
    share = mask.mean()
    span = math.sqrt(float(np.square(share - mask).mean()) / (BATCH * BARS))
    two_logits = math.sqrt(2 * 0.5**2 / BATCH)
    # A Huber loss of .009 with delta .08 is in its linear part: the slope is at most .08 an output.
    ends = 0.08 / math.sqrt(2 * BATCH)
    # A countdown that is ten bars off has slope 1 at almost every bar: no more is possible.
    return ends, two_logits, span, 1 / math.sqrt(BATCH * BARS)


def _shared(name: str, parts: list[float] | tuple[float, ...]) -> Numbers:
    whole = sum(parts)
    return {f"{name}/{task}": value / whole for task, value in zip(TASKS, parts, strict=True)}
