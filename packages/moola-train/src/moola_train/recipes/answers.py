"""From the network's outputs to numbers in bars and probabilities, for windows of any data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import moola_data.countdown
import moola_data.pointers
from moola_train.protocols import Data
from moola_train.recipes.run_config import DataSection

Float = npt.NDArray[np.float32]


class Answers(NamedTuple):
    """What a model says of n windows of K bars; None where it has no such head."""

    probability: Float
    """In-span probability, (n, K)."""
    pointers: Float | None
    """Centre and length in bars, (n, 2)."""
    countdown: Float | None
    """Bars to the nearest start, (n, K)."""
    type_probability: Float | None
    """(n, C)."""


def answers(
    model: nn.Module,
    data: Data,
    index: npt.NDArray[np.int64],
    *,
    length: int,
    pointer_encoding: moola_data.pointers.PointerEncoding,
    countdown_form: moola_data.countdown.CountdownForm,
    batch_size: int = 256,
) -> Answers:
    """Runs the model in evaluation mode over the windows of `index` and decodes its outputs.

    Args:
        model: With a head ``span`` of logits; ``pointers``, ``countdown``, ``type`` if it has them.
        data: The windows.
        index: Which, i8 (n,).
        length: Bars a window K.
        pointer_encoding: How the pointers were encoded for training.
        countdown_form: How the countdown was.
        batch_size: Windows at a time; the result does not depend on it beyond rounding.

    Returns:
        The decoded outputs.
    """
    was_training = model.training
    model.eval()
    found: dict[str, list[Float]] = {}
    try:
        with torch.inference_mode():
            for first in range(0, len(index), batch_size):
                rows = torch.from_numpy(index[first : first + batch_size])
                outputs = model(data.batch(rows).inputs)
                for name in ("span", "pointers", "countdown", "type"):
                    if hasattr(outputs, name):
                        found.setdefault(name, []).append(getattr(outputs, name).float().cpu().numpy())
    finally:
        model.train(was_training)
    raw = {name: np.concatenate(parts) for name, parts in found.items()}
    pointers = raw.get("pointers")
    countdown = raw.get("countdown")
    logits = raw.get("type")
    return Answers(
        probability=_sigmoid(raw["span"]),
        pointers=None
        if pointers is None
        else moola_data.pointers.pointers_in_bars(pointers, length=length, encoding=pointer_encoding).astype(
            np.float32
        ),
        countdown=None
        if countdown is None
        else moola_data.countdown.decode_countdown(countdown, form=countdown_form),
        type_probability=None if logits is None else _softmax(logits),
    )


def answers_of(model: nn.Module, data: Data, index: npt.NDArray[np.int64], section: DataSection) -> Answers:
    """Runs `answers` with the encodings of a run's configuration."""
    return answers(
        model,
        data,
        index,
        length=section.length,
        pointer_encoding=section.pointer_encoding,
        countdown_form=section.countdown_form,
    )


def _sigmoid(x: Float) -> Float:
    # The two branches keep exp() from overflowing.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)


def _softmax(x: Float) -> Float:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    shares: Float = (e / e.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
