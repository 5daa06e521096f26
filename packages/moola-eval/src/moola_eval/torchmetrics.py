"""The stateful metrics as torchmetrics; needs `pip install moola-eval[torchmetrics]`.

``update(preds, target)`` takes tensors of windows, (n, K): probabilities or bool, and true bars as bool or
0/1. The one state is a vector of sums with ``dist_reduce_fx="sum"``, so processes reduce exactly to the score
of the whole; a mean of the F1 of batches would not be it. The numbers are those of `moola_eval.stateful`,
computed on the CPU in float64 whatever the device of the tensors; a device without float64 cannot hold the
state. This module is the one place of the package that loads torch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from moola_eval import stateful
from moola_eval._arguments import BoolArray
from moola_eval.decoding import PLAIN, Decoder
from moola_eval.matching import HALF, Criterion
from moola_eval.score import Score
from moola_eval.stateful import Stateful, WindowMetric


class WindowScore(Metric):
    """Any metric of `moola_eval.stateful` as a torchmetrics `Metric`.

    Args:
        metric: What scores one batch.
        kwargs: Options of `torchmetrics.Metric`, such as `process_group`.
    """

    is_differentiable = False
    full_state_update = False
    sums: Tensor

    def __init__(self, metric: WindowMetric, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.metric = metric
        zero = Stateful(metric)
        self._zero = zero.compute()
        self.add_state("sums", torch.as_tensor(zero.sums, dtype=torch.float64), dist_reduce_fx="sum")

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]  # theirs is a class attribute
        """False for errors."""
        return self._zero.higher_is_better

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Scores a batch of windows and adds it.

        Args:
            preds: (n, K) floats, or bool where bars are decided already.
            target: (n, K) bool or 0/1, bars inside a true span.

        Raises:
            ValueError: Shapes differ or values are out of range.
        """
        sums = self.metric(_mask(target), _values(preds)).sums.sum(axis=0)
        self.sums = self.sums + self.sums.new_tensor(sums)

    def compute(self) -> Tensor:
        """Returns the metric of everything seen, a float64 scalar; NaN where undefined."""
        return self.sums.new_tensor(self.score().value)

    def score(self) -> Score:
        """Returns the score of what this process has seen, with its counts, parts and definition."""
        return replace(self._zero, sums=self.sums.detach().cpu().numpy()[None].astype(np.float64))


class BarF1(WindowScore):
    """`moola_eval.bar_f1`, micro."""

    def __init__(self, *, threshold: float = 0.5, beta: float = 1.0, **kwargs: object) -> None:
        super().__init__(stateful.BarF1(threshold, beta), **kwargs)


class SpanF1(WindowScore):
    """`moola_eval.span_f1` of decoded spans, at an IoU, exact, or within a collar."""

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        criterion: Criterion = HALF,
        decoder: Decoder = PLAIN,
        beta: float = 1.0,
        **kwargs: object,
    ) -> None:
        super().__init__(stateful.SpanF1(threshold, criterion, decoder, beta), **kwargs)


class SegmentF1(WindowScore):
    """`moola_eval.segments.segment_f1`."""

    def __init__(self, *, size: int, threshold: float = 0.5, **kwargs: object) -> None:
        super().__init__(stateful.SegmentF1(size, threshold), **kwargs)


class Separation(WindowScore):
    """`moola_eval.separation.separation`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(stateful.Separation(), **kwargs)


class BarBrier(WindowScore):
    """`moola_eval.calibration.brier` of bars."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(stateful.Brier(), **kwargs)


class BarCalibrationError(WindowScore):
    """`moola_eval.calibration.expected_calibration_error` of bars."""

    def __init__(self, *, bins: int = 15, **kwargs: object) -> None:
        super().__init__(stateful.CalibrationError(bins), **kwargs)


def _values(preds: Tensor) -> stateful.Values:
    tensor = preds.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # numpy has none; float32 holds every value of it
        tensor = tensor.float()
    values: stateful.Values = tensor.numpy()
    return values


def _mask(target: Tensor) -> BoolArray:
    values = target.detach().cpu().numpy()
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        row = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"target: want bool or 0/1, got {values[row]} in row {row}")
    mask: BoolArray = values.astype(np.bool_)
    return mask
