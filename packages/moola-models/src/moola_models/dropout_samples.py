"""Monte Carlo dropout: a trained network asked many times with its dropouts on (Gal & Ghahramani 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from moola_models.jade import Jade, outputs_class


@torch.no_grad()
def dropout_samples(
    model: Jade,
    x_BKF: Tensor,
    *,
    samples: int,
    seed: int,
    rate: float | None = None,
    lengths: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Draws outputs with dropout on; everything else is in evaluation mode.

    The model's modes, its rates and the global random state are afterwards what they were.

    Args:
        model: Any of its dropouts takes part: before the encoder, between or in its layers, in the heads.
        x_BKF: Features.
        samples: How many passes.
        seed: Of the draws.
        rate: One rate for every dropout, 0 <= rate < 1; None: each its own.
        lengths: Valid leading bars, (B,) int64; None: all.

    Returns:
        A NamedTuple as the model returns it, with the passes as a first axis: type (S, B, C), span (S, B, K).

    Raises:
        ValueError: If `samples` or `rate` is out of range, or nothing would be dropped.

    >>> from moola_models.config import compact
    >>> model = Jade(compact(12), seed=0)
    >>> drawn = dropout_samples(model, torch.zeros(2, 105, 12), samples=5, rate=0.2, seed=0)
    >>> drawn.span.shape
    torch.Size([5, 2, 105])
    """
    if samples < 1:
        raise ValueError(f"samples: want 1 or more, got {samples}")
    if rate is not None and not 0 <= rate < 1:
        raise ValueError(f"rate: want 0 <= rate < 1, got {rate}")
    device = x_BKF.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _dropping(model, rate):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        passes = [model(x_BKF, lengths=lengths) for _ in range(samples)]
    fields = [torch.stack(field) for field in zip(*passes, strict=True)]
    return outputs_class(model.tasks)(*fields)


@contextmanager
def _dropping(model: nn.Module, rate: float | None) -> Iterator[None]:
    """Evaluation mode with dropouts on, at one rate if given; puts back modes and rates."""
    modes = {module: module.training for module in model.modules()}
    own = {module: (name, getattr(module, name)) for module in modes if (name := _rate_name(module))}
    if not any(value if rate is None else rate for _, value in own.values()):
        raise ValueError(f"rate: want a dropout above 0 to sample, got {len(own)} dropouts, none of them on")
    try:
        model.eval()
        for module, (name, _) in own.items():
            module.training = True
            if rate is not None:
                setattr(module, name, rate)
        for module in modes:
            # In evaluation mode a layer of torch's takes a short cut past its own dropouts.
            if isinstance(module, nn.TransformerEncoderLayer):
                module.training = True
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for module, (name, value) in own.items():
            setattr(module, name, value)


def _rate_name(module: nn.Module) -> str | None:
    """Name of the attribute that holds a module's dropout rate, if it drops anything."""
    if isinstance(module, _DropoutNd):
        return "p"
    if isinstance(module, nn.MultiheadAttention):
        return "dropout"
    # Between stacked layers: with one layer there is nothing to drop.
    return "dropout" if isinstance(module, nn.RNNBase) and module.num_layers > 1 else None
