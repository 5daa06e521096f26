"""Pretraining of a run's encoder without labels: hidden bars, two views, a rule's marks, or drawn markets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from moola_data.schema import Spans
from moola_data.span_mask import span_mask
from moola_data.spans import visible_spans
from moola_data.windows import gather
from moola_losses.log_likelihood import LogLikelihood
from moola_models import Jade
from moola_models.contrastive import Contrastive, Noise
from moola_models.masked_reconstruction import MaskedReconstruction, feature_scale, summed_loss
from moola_models.masking import Masking
from moola_models.pretrained import from_pretrained
from moola_train.batches import Examples
from moola_train.config import FitConfig
from moola_train.fit import FitResult, fit
from moola_train.recipes.expansion import LOSSES
from moola_train.recipes.run_config import PretrainSection, RunConfig
from moola_train.recipes.world_pretraining import HEAD, world_job
from moola_train.task import Task


class Pretrained(NamedTuple):
    """How pretraining went."""

    fitted: FitResult
    moved: int
    """Tensors handed to the network."""


def pretrain(
    model: Jade,
    features: npt.NDArray[np.float32],
    starts: npt.NDArray[np.int64],
    config: RunConfig,
    *,
    rule: Spans | None = None,
) -> Pretrained:
    """Trains the encoder of a network on windows without labels, in place.

    Its heads keep their values, but that drawn markets teach the span head too.

    Args:
        model: The network that will be trained on labels afterwards.
        features: Of the unlabelled bars, (N, F); drawn markets are trained on alone.
        starts: First bars of the windows, (n,).
        config: The run; its `pretrain` section says how.
        rule: Spans that a rule marked on those bars, for kind "rules".

    Returns:
        The training's result, and how many tensors moved over.

    Raises:
        ValueError: Kind "rules" without spans, or "none".
    """
    section = config.pretrain
    if section.kind == "worlds":
        return _on_worlds(model, config)
    x = torch.from_numpy(gather(features, starts, length=config.data.length, position=config.data.position))
    spans_alone = tuple(head for head in model.config.heads if head.name == "span")
    config_alone = model.config.model_copy(update={"heads": spans_alone, "projection": None})
    other = Jade(config_alone, seed=section.seed)
    if section.kind == "masked":
        whole, data, task = _masked(other, x, section)
    elif section.kind == "contrastive":
        whole, data, task = _contrastive(other, x, starts, section)
    elif section.kind == "rules" and rule is not None:
        whole, data, task = _rules(other, x, starts, rule)
    else:
        raise ValueError(f"pretrain.kind: want 'masked', 'contrastive' or 'rules', got {section.kind!r}")
    fitted = fit(whole, data, [task], None, _settings(config))
    weights = {k: v for k, v in other.state_dict().items() if not k.startswith("readouts.")}
    moved = from_pretrained(
        model, weights, prefixes=sorted({name.partition(".")[0] + "." for name in weights})
    )
    return Pretrained(fitted, len(moved.matched))


def _on_worlds(model: Jade, config: RunConfig) -> Pretrained:
    """Trains the span head too, and hands it over with the encoder."""
    alone = tuple(head for head in model.config.heads if head.name == "span")
    other = Jade(model.config.model_copy(update={"heads": alone}), seed=config.pretrain.seed)
    data, task = world_job(other, config.pretrain, config.data)
    fitted = fit(other, data, [task], None, _settings(config))
    weights = other.state_dict()
    heads = {name.partition(".")[0] + "." for name in weights if not name.startswith("readouts.")}
    moved = from_pretrained(model, weights, prefixes=[*sorted(heads), HEAD])
    return Pretrained(fitted, len(moved.matched))


def _settings(config: RunConfig) -> FitConfig:
    section = config.pretrain
    return config.fit.model_copy(
        update={
            "epochs": section.epochs,
            "batch_size": section.batch_size,
            "learning_rate": section.learning_rate,
            "selection": "loss",
            "restore": "last",
            "patience": None,
            "seed": section.seed,
        }
    )


def _masked(model: Jade, x: Tensor, section: PretrainSection) -> tuple[nn.Module, Examples, Task]:
    masking = Masking(pattern=section.pattern, ratio=section.ratio, stop=0.15, longest=20)
    whole = MaskedReconstruction(
        model,
        feature_scale(x, least=section.jitter),
        width=2 * model.config.hidden,
        masking=masking,
        jitter=section.jitter,
        seed=section.seed,
    )
    counts = torch.ones(x.shape[:2], dtype=torch.bool)
    return whole, Examples(x, targets={"reconstruction": counts}), Task("reconstruction", summed_loss)


def _contrastive(
    model: Jade, x: Tensor, starts: npt.NDArray[np.int64], section: PretrainSection
) -> tuple[nn.Module, Examples, Task]:
    masking = Masking(pattern=section.pattern, ratio=section.ratio, stop=0.15, longest=20)
    view = Noise(feature_scale(x, least=section.jitter), jitter=section.jitter, masking=masking)
    whole = Contrastive(model, view, width=2 * model.config.hidden, seed=section.seed)
    # One stream: windows that share bars are the same in part, and not told apart.
    origin = torch.from_numpy(np.stack([np.zeros_like(starts), starts], axis=1))
    return whole, Examples(x, targets={"contrast": origin}), Task("contrast", summed_loss)


def _rules(
    model: Jade, x: Tensor, starts: npt.NDArray[np.int64], rule: Spans
) -> tuple[nn.Module, Examples, Task]:
    seen = visible_spans(rule, starts, length=x.shape[1])
    marks = span_mask(seen, windows=len(starts), length=x.shape[1])
    kind = next(head.kind for head in model.config.heads if head.name == "span")
    data = Examples(x, targets={"span": torch.from_numpy(marks)})
    return model, data, Task("span", LOSSES.get(kind, LogLikelihood)())
