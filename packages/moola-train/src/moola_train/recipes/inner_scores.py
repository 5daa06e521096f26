"""What is measured on the inner part after every epoch; one of the numbers chooses the best epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from moola_data.schema import WindowSet
from moola_eval.countdown import countdown_error
from moola_eval.origin import origin_scores
from moola_eval.schema import Truth
from moola_eval.targets import Targets
from moola_train.protocols import Data
from moola_train.recipes.answers import Answers, answers_of
from moola_train.recipes.run_config import DataSection
from moola_train.recipes.watching import statistics
from moola_train.schema import Split


class InnerScores:
    """Measures a model on the inner windows.

    Names: ``span_loss`` (mean cross-entropy of the in-span probability, in nats a bar), ``origin_span_f1``,
    ``_precision``, ``_recall`` (means over windows at p > 0.5), ``in_span_*``, ``out_span_*`` and
    ``separation`` of the probability; ``countdown_mae`` in bars, of a model that counts.

    Args:
        data: All windows, as the loop holds them.
        windows: The same, with their labels.
        inner: The inner part of them.
        section: How targets were encoded.
    """

    def __init__(self, data: Data, windows: WindowSet, inner: WindowSet, section: DataSection) -> None:
        self._data = data
        self._index = np.flatnonzero(windows.split == 1)
        self._section = section
        self._targets = Targets.of(Truth.model_validate(inner))

    def answers(self, model: nn.Module) -> Answers:
        """The model's decoded outputs on the inner windows."""
        return answers_of(model, self._data, self._index, self._section)

    def __call__(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Returns the numbers; `split` is always "inner"."""
        found = self.answers(model)
        p, mask = found.probability, self._targets.mask
        scores = origin_scores(
            self._targets, probability=p, pointers=None, countdown=None, type_probability=None
        )
        named = {score.name: score.value for score in scores}
        marked = p > 0.5
        hit = (marked & mask).sum(axis=1)
        inside, outside = statistics(p[mask]), statistics(p[~mask])
        likely = np.where(mask, p, 1 - p).astype(np.float64)
        return {
            "span_loss": float(-np.log(np.maximum(likely, 1e-12)).mean()),
            "origin_span_f1": named["origin_span_f1"],
            "origin_span_precision": float((hit / np.maximum(marked.sum(axis=1), 1)).mean()),
            "origin_span_recall": float((hit / np.maximum(mask.sum(axis=1), 1)).mean()),
            **{f"in_span_{name}": number for name, number in inside.items()},
            **{f"out_span_{name}": number for name, number in outside.items()},
            "separation": named["origin_separation"],
            **self._countdown(found),
        }

    def _countdown(self, found: Answers) -> dict[str, float]:
        if found.countdown is None:
            return {}
        score = countdown_error(self._targets.countdown, found.countdown)
        return {"countdown_mae": float(score.value)}
