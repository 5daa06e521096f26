"""The Jade networks, structured span layers and safe checkpoints.

>>> import torch
>>> from moola_models import Jade, compact
>>> model = Jade(compact(input_size=12, classes=3), seed=0).eval()
>>> outputs = model(torch.zeros(4, 105, 12))
>>> outputs.span.shape, outputs.type.shape
(torch.Size([4, 105]), torch.Size([4, 3]))
"""

from importlib.metadata import version

from moola_models.chain import Chain
from moola_models.config import JadeConfig, compact, core
from moola_models.heads import Head, HeadConfig
from moola_models.jade import Jade, JadeCompact, JadeCore
from moola_models.schema import PredictedSpans, PredictionSet
from moola_models.store import load_card, load_model, save_model

__version__ = version("moola-models")

__all__ = [
    "Chain",
    "Head",
    "HeadConfig",
    "Jade",
    "JadeCompact",
    "JadeConfig",
    "JadeCore",
    "PredictedSpans",
    "PredictionSet",
    "compact",
    "core",
    "load_card",
    "load_model",
    "save_model",
]
