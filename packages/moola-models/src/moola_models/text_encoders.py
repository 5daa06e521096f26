"""What turns an entry's text into one vector: a bag of character n-grams, vectors made elsewhere, or another.

B batch, L text columns of an entry, D width of a vector, E width of the encoder's answer.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from moola_models.ngrams import SIZES, Case, Digits, ngram_ids, padded

MODULES: Mapping[str, str] = {
    "ngrams": "moola_models.text_encoders:NgramTextConfig",
    "vectors": "moola_models.text_encoders:VectorTextConfig",
    "hugging_face": "moola_models.hf_text:HfTextConfig",
}
"""Where the configuration of each kind stands; the module is imported when the kind is asked for."""


class TextEncoder(nn.Module, ABC):
    """Reads the text columns of a batch of entries."""

    @abstractmethod
    def forward(self, columns_BL: Tensor) -> Tensor:
        """Returns the texts' vectors, (B, E)."""

    @abstractmethod
    def key(self, columns_BL: Tensor) -> Tensor:
        """Returns what texts are looked up by, (B, key width), of length 1; training does not change it.

        An empty text has a row of zeros.
        """


class TextConfig(BaseModel, ABC):
    """Says which text encoder an entry model gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    @property
    @abstractmethod
    def key_width(self) -> int:
        """Width of the keys."""

    @property
    @abstractmethod
    def whole_numbers(self) -> int | None:
        """How many whole numbers a column may hold, from 0 on, or -1 for none; None: columns are measures."""

    @abstractmethod
    def columns(self, texts: Sequence[str]) -> Tensor:
        """Returns the text columns of the texts, float32 (n, L)."""

    @abstractmethod
    def build(self, width: int, *, with_keys: bool) -> TextEncoder:
        """Makes the module with answers of this width, with freshly drawn parameters."""


class NgramTextConfig(TextConfig):
    """The mean of learned vectors of the text's character n-grams (see `moola_models.ngrams`), then a layer.

    >>> NgramTextConfig(sizes=(3,)).columns(["", "VAT"]).shape
    torch.Size([2, 4])
    """

    kind: Literal["ngrams"] = "ngrams"
    buckets: int = Field(default=1 << 15, ge=2, lt=1 << 24)
    """How many numbers n-grams are hashed to; float32 columns hold whole numbers below 2**24 exactly."""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = SIZES
    case: Case = "folded"
    """Whether RENT and Rent share n-grams."""
    digits: Digits = "shape"
    """"shape": every digit is a 0."""
    dimension: int = Field(default=128, ge=1)
    """Width of an n-gram's vector."""
    key_size: int = Field(default=128, ge=1)
    """Width of the keys that texts are looked up by: fixed random directions of the n-grams, added up."""
    left_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of n-grams left out while training."""

    @property
    def key_width(self) -> int:
        """Width of the keys."""
        return self.key_size

    @property
    def whole_numbers(self) -> int | None:
        """The buckets."""
        return self.buckets

    def columns(self, texts: Sequence[str]) -> Tensor:
        """Returns the numbers of the texts' n-grams, -1 behind the last, float32 (n, L).

        Raises:
            TypeError: If a text is no string, with its row.
        """
        ids, offsets = ngram_ids(
            texts, buckets=self.buckets, sizes=self.sizes, case=self.case, digits=self.digits
        )
        return padded(ids, offsets).float()

    def build(self, width: int, *, with_keys: bool) -> NgramText:
        """Makes the module."""
        return NgramText(self, width, with_keys=with_keys)


class NgramText(TextEncoder):
    """The module of `NgramTextConfig`; bags may be given as columns, or behind one another with offsets."""

    directions: Tensor | None

    def __init__(self, config: NgramTextConfig, width: int, *, with_keys: bool) -> None:
        super().__init__()
        self.left_out = config.left_out
        # Row 0 is for what is no n-gram, so that bags of different lengths can lie in one table.
        self.bag = nn.EmbeddingBag(config.buckets + 1, config.dimension, mode="mean", padding_idx=0)
        self.layer = nn.Sequential(nn.LayerNorm(config.dimension), nn.Linear(config.dimension, width))
        drawn = torch.randn(config.buckets + 1, config.key_size) if with_keys else None
        if drawn is not None:
            drawn[0] = 0
        self.register_buffer("directions", drawn)

    def forward(self, columns_BL: Tensor) -> Tensor:
        """Returns tanh of a layer over the mean vector of the n-grams, (B, E); -1 in a column is none."""
        ids_BL = columns_BL.long() + 1
        if self.training and self.left_out:
            ids_BL = torch.where(torch.rand(ids_BL.shape, device=ids_BL.device) < self.left_out, 0, ids_BL)
        return torch.tanh(self.layer(self.bag(ids_BL)))

    def of_bags(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Returns the same for bags behind one another: numbers int64 (m,), offsets int64 (B + 1,)."""
        return torch.tanh(self.layer(self.bag(ids + 1, offsets[:-1])))

    @torch.no_grad()
    def key(self, columns_BL: Tensor) -> Tensor:
        """Returns the sum of the n-grams' fixed directions, brought to length 1, (B, key width)."""
        if self.directions is None:
            raise ValueError("key: want an encoder built with keys, got one without")
        ids_BL = columns_BL.long() + 1
        return functional.normalize(
            functional.embedding_bag(ids_BL, self.directions, mode="sum", padding_idx=0)
        )


class VectorTextConfig(TextConfig):
    """A layer over vectors that any encoder made beforehand; they are their own keys."""

    kind: Literal["vectors"] = "vectors"
    dimension: int = Field(ge=1)
    """D."""

    @property
    def key_width(self) -> int:
        """Width of the keys, D."""
        return self.dimension

    @property
    def whole_numbers(self) -> int | None:
        """None: columns are measures."""
        return None

    def columns(self, texts: Sequence[str]) -> Tensor:
        """Raises ValueError: the vectors themselves are the columns."""
        raise ValueError('texts: want vectors as columns for kind "vectors", got texts')

    def build(self, width: int, *, with_keys: bool) -> VectorText:
        """Makes the module."""
        return VectorText(self, width)


class VectorText(TextEncoder):
    """The module of `VectorTextConfig`."""

    def __init__(self, config: VectorTextConfig, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(config.dimension, width)

    def forward(self, columns_BL: Tensor) -> Tensor:
        """Returns tanh of a layer over the vectors, (B, E)."""
        return torch.tanh(self.layer(columns_BL.to(self.layer.weight.dtype)))

    @torch.no_grad()
    def key(self, columns_BL: Tensor) -> Tensor:
        """Returns the vectors, brought to length 1."""
        return functional.normalize(columns_BL)


def resolve_text(value: object) -> TextConfig:
    """Turns a kind, a mapping with a ``kind`` or a finished configuration into a configuration.

    >>> resolve_text({"kind": "vectors", "dimension": 384})
    VectorTextConfig(kind='vectors', dimension=384)

    Raises:
        ValueError: If the kind is unknown or a field does not fit it.
        ImportError: If the kind needs a package that is not installed.
    """
    if isinstance(value, TextConfig):
        return value
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping) or value.get("kind") not in MODULES:
        raise ValueError(f"text: want a kind of {sorted(MODULES)} or a mapping with one, got {value!r}")
    module, name = MODULES[value["kind"]].split(":")
    found: type[TextConfig] = getattr(importlib.import_module(module), name)
    return found.model_validate(dict(value))
