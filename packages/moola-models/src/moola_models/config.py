"""What a Jade network is made of, and the sizes that have names."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from moola_models.bar_heads import CountdownHeadConfig
from moola_models.encoders import Sizes
from moola_models.heads import HeadConfig
from moola_models.lstm import LstmConfig
from moola_models.pointers_head import PointersHeadConfig
from moola_models.registry import resolve_head
from moola_models.tcn import TcnConfig
from moola_models.transformer import TransformerConfig
from moola_models.type_head import TypeHeadConfig

EncoderField = Annotated[LstmConfig | TcnConfig | TransformerConfig, Field(discriminator="kind")]
HeadField = Annotated[SerializeAsAny[HeadConfig], BeforeValidator(resolve_head)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Span = Literal["bars", "crf", "bio", "segment", "semi_markov"]
"""How in-span marks are modelled; all but "bars" are structured."""


class JadeConfig(BaseModel):
    """An encoder over the bars of a window, a bidirectional LSTM unless asked otherwise, and a head per task.

    >>> config = JadeConfig(heads=("type", "span"))
    >>> [head.name for head in config.heads]
    ['type', 'span']
    >>> JadeConfig(heads=("type",), encoder={"kind": "tcn"}, layers=6).encoder
    TcnConfig(kind='tcn', kernel=3)
    >>> JadeConfig.model_validate_json(config.model_dump_json()) == config
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["jade"] = "jade"
    input_size: int = Field(default=12, ge=1)
    """Features of a bar, the position feature included where it is used."""
    window: int = Field(default=105, ge=1)
    """Bars of the windows it is meant for. Any length runs; this one stands on the model's card."""
    encoder: EncoderField = LstmConfig()
    """What turns features into states: kind "lstm", "tcn" or "transformer", with what only that kind has."""
    hidden: int = Field(default=96, ge=1)
    """Half the width of a bar's state: of an LSTM, the states of one direction."""
    layers: int = Field(default=1, ge=1)
    """Stacked LSTM layers, convolution blocks or transformer layers."""
    projection: int | None = Field(default=64, ge=1)
    """Width that the mean state is taken to, with a ReLU, before the heads that read it; None: as it is."""
    heads: tuple[HeadField, ...] = Field(json_schema_extra={"minItems": 1})
    """One per task. A plain string is the kind of a head with its default settings."""
    input_dropout: Rate = 0.3
    """Share of input numbers set to 0 while training."""
    layer_dropout: Rate = 0.0
    """LSTM: between stacked layers; with one layer there is no such place. Other encoders: in every layer."""
    dense_dropout: Rate = 0.6
    """Before the linear layer of every head."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        # As a bound of the field it would be told of a head that does not fit, too: two errors for one.
        if not self.heads:
            raise ValueError("heads: want at least one, got none")
        names = [head.name for head in self.heads]
        if len(set(names)) < len(names):
            raise ValueError(f"heads: want different names, got {names}")
        self.encoder.check(self.sizes)
        if self.layers == 1 and self.layer_dropout > 0 and not self.encoder.drops_inside_layers:
            raise ValueError(
                f"layer_dropout: want 0 with one layer, got {self.layer_dropout}: it acts between stacked "
                "layers only and would do nothing; input_dropout and dense_dropout act in a one-layer model"
            )
        if self.projection is not None and not any(head.pooled for head in self.heads):
            raise ValueError(
                f"projection: want None, got {self.projection}: no head in {names} reads the pooled state"
            )
        return self

    @property
    def sizes(self) -> Sizes:
        """What the encoder is built for."""
        return Sizes(self.input_size, 2 * self.hidden, self.layers, self.layer_dropout)


def brief_heads(*, classes: int = 3, span: Span = "bars") -> tuple[HeadConfig, ...]:
    """The four tasks: type, pointers, span and countdown, in this order."""
    return (
        TypeHeadConfig(classes=classes),
        PointersHeadConfig(),
        resolve_head("span" if span == "bars" else f"span_{span}"),
        CountdownHeadConfig(),
    )


def compact(
    input_size: int = 12,
    *,
    classes: int = 3,
    span: Span = "bars",
    window: int = 105,
    heads: tuple[HeadConfig, ...] | None = None,
    input_dropout: float = 0.3,
    dense_dropout: float = 0.6,
) -> JadeConfig:
    """JadeCompact: one layer of 96, projection to 64; all four tasks unless `heads` says otherwise.

    >>> compact(13).hidden
    96
    """
    chosen = brief_heads(classes=classes, span=span) if heads is None else heads
    return JadeConfig(
        input_size=input_size,
        window=window,
        projection=64 if any(head.pooled for head in chosen) else None,
        heads=chosen,
        input_dropout=input_dropout,
        dense_dropout=dense_dropout,
    )


def core(
    input_size: int = 12,
    *,
    classes: int = 3,
    span: Span = "bars",
    window: int = 105,
    heads: tuple[HeadConfig, ...] | None = None,
    input_dropout: float = 0.25,
    layer_dropout: float = 0.65,
    dense_dropout: float = 0.5,
) -> JadeConfig:
    """JadeCore: two layers of 128, no projection; all four tasks unless `heads` says otherwise."""
    return JadeConfig(
        input_size=input_size,
        window=window,
        hidden=128,
        layers=2,
        projection=None,
        heads=brief_heads(classes=classes, span=span) if heads is None else heads,
        input_dropout=input_dropout,
        layer_dropout=layer_dropout,
        dense_dropout=dense_dropout,
    )
