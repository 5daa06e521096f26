"""Bars of two symbols with sessions, and a detector with its first weights: as fast as a trained one."""

import numpy as np
import torch

import moola_models
from moola_data.features import feature_set
from moola_data.schema import Bars
from moola_models.config import brief_heads, compact
from moola_models.semi_markov_head import SemiMarkovHeadConfig
from moola_train.heap import keep_heap
from moola_train.recipes.decision import Decision
from moola_train.recipes.detector import Detector

LENGTH = 105


def bars(n: int, *, session: int = 20_000) -> Bars:
    """A walk; made column by column, so that little more than the bars is ever in memory."""
    rng = np.random.default_rng(0)
    close = rng.normal(0, 0.001, n)
    np.cumsum(close, out=close)
    np.exp(close, out=close)
    opening = np.concatenate([[1.0], close[:-1]])
    high = np.maximum(opening, close)
    high *= 1.0005
    low = np.minimum(opening, close)
    low *= 0.9995
    symbol = (np.arange(n) >= n // 2).astype(np.int32)
    segment = np.arange(n) // session
    segment += symbol
    time = np.arange(n).astype("M8[m]").astype("M8[ns]")
    return Bars(
        time=time,
        open=opening,
        high=high,
        low=low,
        close=close,
        symbol=symbol,
        segment=segment,
        symbols=("A", "B"),
    )


def detector() -> Detector:
    """The compact network with the recommended span head; two threads, memory kept as by the command."""
    keep_heap()
    torch.set_num_threads(2)
    features = feature_set("jade")
    standard = {head.name: head for head in brief_heads(classes=3)}
    heads = tuple({**standard, "span": SemiMarkovHeadConfig()}.values())
    model = moola_models.Jade(compact(len(features.features), window=LENGTH, heads=heads), seed=0).eval()
    decision = Decision(
        schema_version=1,
        threshold=0.5,
        objective="span_f1",
        inner_value=None,
        fingerprint="",
        feature_set="jade",
        feature_names=features.names,
        length=LENGTH,
        position=False,
        pointer_encoding="origin",
        countdown_form="clipped",
        type_names=("a", "b", "c"),
        weights="",
        versions={},
    )
    return Detector(model, decision, features, threads=2)
