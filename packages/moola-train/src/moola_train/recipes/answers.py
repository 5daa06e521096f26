"""From the network's outputs to numbers in bars and probabilities, for windows of any data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import moola_data.countdown
import moola_data.pointers
from moola_models import Jade
from moola_models.bio_head import BioHead
from moola_models.candidates import best_marks
from moola_models.crf_head import CrfHead
from moola_models.expected_f1 import decode_for_f1
from moola_models.segment_head import SegmentHead
from moola_models.semi_markov_head import SemiMarkovHead
from moola_train.protocols import Data
from moola_train.recipes.run_config import DataSection, DecodingSection

Float = npt.NDArray[np.float32]
STRUCTURED = (BioHead, CrfHead, SegmentHead, SemiMarkovHead)


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
    marks: npt.NDArray[np.bool_] | None = None
    """Bars in the spans that a structured head decided on, (n, K); None where a threshold decides."""


def answers(
    model: nn.Module,
    data: Data,
    index: npt.NDArray[np.int64],
    *,
    length: int,
    pointer_encoding: moola_data.pointers.PointerEncoding,
    countdown_form: moola_data.countdown.CountdownForm,
    decoding: DecodingSection | None = None,
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
        decoding: How spans are decided; None, or "threshold", leaves the marks out.
        batch_size: Windows at a time; the result does not depend on it beyond rounding, that of "expected_f1"
            aside, which draws batch by batch.

    Returns:
        The decoded outputs.
    """
    was_training = model.training
    model.eval()
    found: dict[str, list[Float]] = {}
    marks = []
    decide = None if decoding is None or decoding.kind == "threshold" else SpanDecision(decoding)
    try:
        with torch.inference_mode():
            for first in range(0, len(index), batch_size):
                rows = torch.from_numpy(index[first : first + batch_size])
                inputs = data.batch(rows).inputs
                if decide is None:
                    outputs = model(inputs)
                else:
                    jade = _jade(model)
                    encoded = jade.encode(inputs)  # once, for the heads and the decision
                    outputs = jade.heads(encoded)
                    marks.append(decide(jade, encoded).cpu().numpy())
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
        else moola_data.countdown.decode_countdown(_per_bar(countdown, length), form=countdown_form),
        type_probability=None if logits is None else _softmax(logits),
        marks=np.concatenate(marks) if marks else None,
    )


class SpanDecision:
    """Decides spans by the distribution of a structured head.

    Args:
        section: "best" or "expected_f1".
    """

    def __init__(self, section: DecodingSection) -> None:
        self.section = section
        self.generator = torch.Generator().manual_seed(section.seed)

    def __call__(self, model: Jade, encoded: torch.Tensor) -> torch.Tensor:
        """Returns the marks of a batch of windows that `Jade.encode` has read, bool (B, K)."""
        head = model.head("span")
        if not isinstance(head, STRUCTURED):
            raise TypeError(f"model: want a structured head 'span', got {type(head).__name__}")
        distribution = head.distribution(model.states(encoded))
        if self.section.kind == "best":
            return best_marks(distribution)
        samples = self.section.samples
        return decode_for_f1(distribution, generator=self.generator, samples=samples, average="pooled").marks


def _jade(model: nn.Module) -> Jade:
    if not isinstance(model, Jade):
        raise TypeError(f"model: want a Jade network with a structured head, got {type(model).__name__}")
    return model


def answers_of(
    model: nn.Module,
    data: Data,
    index: npt.NDArray[np.int64],
    section: DataSection,
    decoding: DecodingSection | None = None,
) -> Answers:
    """Runs `answers` with the encodings of a run's configuration."""
    return answers(
        model,
        data,
        index,
        length=section.length,
        pointer_encoding=section.pointer_encoding,
        countdown_form=section.countdown_form,
        decoding=decoding,
    )


def _per_bar(countdown: Float, length: int) -> Float:
    """Counts down from the first bar where the head gave one number a window."""
    if countdown.ndim == 2:
        return countdown
    return (countdown[:, None] - np.arange(length)).astype(np.float32)


def _sigmoid(x: Float) -> Float:
    # The two branches keep exp() from overflowing.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)


def _softmax(x: Float) -> Float:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    shares: Float = (e / e.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
