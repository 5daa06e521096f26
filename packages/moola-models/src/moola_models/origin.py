"""The networks of the first system, as it ran them: what its parameter counts and scores belong to.

They are for comparison. For your own work take `moola_models.config.compact` or `core`.
"""

from __future__ import annotations

from moola_models.config import JadeConfig, Span, brief_heads, compact, core
from moola_models.heads import HeadConfig
from moola_models.lstm import LstmConfig
from moola_models.pointers_head import PointersHeadConfig
from moola_models.type_head import TypeHeadConfig


def origin_compact(input_size: int = 12, *, classes: int = 3, span: Span = "bars") -> JadeConfig:
    """The first system's JadeCompact with four tasks.

    Its configuration also asked for a recurrent dropout of 0.7, which acts between layers; it had one layer,
    so nothing was dropped there and nothing is here.
    """
    return compact(input_size, classes=classes, span=span)


def origin_core(input_size: int = 12, *, classes: int = 3, pointers: bool = False) -> JadeConfig:
    """The first system's JadeCore: type, and pointers if asked, on two layers of 128."""
    heads: tuple[HeadConfig, ...] = (TypeHeadConfig(classes=classes),)
    return core(input_size, heads=(*heads, PointersHeadConfig()) if pointers else heads)


def origin_wide(input_size: int = 12, *, classes: int = 3, span: Span = "bars") -> JadeConfig:
    """The first system's widest run: two layers of 128 under the projection to 64, four tasks."""
    return JadeConfig(
        input_size=input_size,
        hidden=128,
        layers=2,
        projection=64,
        heads=brief_heads(classes=classes, span=span),
        layer_dropout=0.7,
    )


def origin_plain(input_size: int = 10, *, classes: int = 3, pointers: bool = False) -> JadeConfig:
    """What the first system's registry built: one layer of 96, no projection, type, perhaps pointers."""
    heads: tuple[HeadConfig, ...] = (TypeHeadConfig(classes=classes),)
    return JadeConfig(
        input_size=input_size, projection=None, heads=(*heads, PointersHeadConfig()) if pointers else heads
    )


def origin_net(
    input_size: int = 4, *, classes: int = 2, hidden: int = 128, layers: int = 2, pointers: bool = True
) -> JadeConfig:
    """The first system's older JadeNet on raw prices, with a hidden layer of 64 in each head.

    With one layer it is the network that its fine-tuners Sapphire and Opal trained. Only the heads' dropout
    is on record; the others are 0 here.
    """
    return JadeConfig(
        input_size=input_size,
        hidden=hidden,
        layers=layers,
        projection=None,
        heads=_dense_heads(classes, pointers=pointers),
        input_dropout=0.0,
        dense_dropout=0.45,
    )


def origin_forward(input_size: int = 4, *, classes: int = 2) -> JadeConfig:
    """The first system's LSTM of 128 in one direction, its only network of the 85 thousand it quoted."""
    return JadeConfig(
        input_size=input_size,
        hidden=64,
        encoder=LstmConfig(directions="forward"),
        projection=None,
        heads=_dense_heads(classes, pointers=True),
        input_dropout=0.0,
        dense_dropout=0.45,
    )


def _dense_heads(classes: int, *, pointers: bool) -> tuple[HeadConfig, ...]:
    """Type, and pointers if asked, each through a layer of 64."""
    heads: tuple[HeadConfig, ...] = (TypeHeadConfig(classes=classes, hidden=64),)
    return (*heads, PointersHeadConfig(hidden=64)) if pointers else heads
