"""Any Hugging Face encoder as the text encoder of an entry model; needs the package transformers.

The encoder's own configuration stands in ours and its weights in the model's checkpoint, so loading a model
asks no hub and runs no code but that of transformers.

B batch, L tokens, D width of the encoder.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import torch
from pydantic import Field, JsonValue
from torch import Tensor, nn
from torch.nn import functional

from moola_models.text_encoders import TextConfig, TextEncoder


class HfTextConfig(TextConfig):
    """The mean of an encoder's token states, then a layer. Columns are token numbers, -1 behind the last."""

    kind: Literal["hugging_face"] = "hugging_face"
    settings: dict[str, JsonValue]
    """The encoder's ``config.json``: `model_type` and what belongs to it."""
    trainable: bool = False
    """Whether the encoder is trained along. Texts can be looked up in a memory only if it is not."""
    dimension: int = Field(ge=1)
    """D."""
    vocabulary: int = Field(ge=1, lt=1 << 24)
    """Tokens it knows."""

    @classmethod
    def of(cls, settings: dict[str, JsonValue], *, trainable: bool = False) -> HfTextConfig:
        """Reads the widths from the encoder's ``config.json``.

        Raises:
            ValueError: If it does not say `hidden_size` and `vocab_size`.
        """
        if not {"model_type", "hidden_size", "vocab_size"} <= settings.keys():
            raise ValueError(
                f"settings: want model_type, hidden_size and vocab_size, got {sorted(settings)[:8]}"
            )
        found = {"dimension": settings["hidden_size"], "vocabulary": settings["vocab_size"]}
        return cls.model_validate({"settings": settings, "trainable": trainable, **found})

    @property
    def key_width(self) -> int:
        """Width of the keys, D."""
        return self.dimension

    @property
    def whole_numbers(self) -> int | None:
        """The vocabulary."""
        return self.vocabulary

    def columns(self, texts: Sequence[str]) -> Tensor:
        """Raises ValueError: the encoder's own tokenizer makes the columns, see `token_columns`."""
        raise ValueError(
            'texts: want tokens as columns for kind "hugging_face", got texts: see token_columns'
        )

    def build(self, width: int, *, with_keys: bool) -> HfText:
        """Makes the module, its encoder freshly drawn: `HfText.take_weights` brings trained ones.

        Raises:
            ValueError: If keys are asked of an encoder that is trained: they would go stale.
            ImportError: If transformers is not installed.
        """
        if with_keys and self.trainable:
            raise ValueError(
                "retrieval: want an encoder that is not trained, got trainable=True: keys go stale"
            )
        return HfText(self, width)


class HfText(TextEncoder):
    """The module of `HfTextConfig`."""

    def __init__(self, config: HfTextConfig, width: int) -> None:
        super().__init__()
        self.config = config
        settings = dict(config.settings)
        kind = settings.pop("model_type")
        hf = transformers()
        model: nn.Module = hf.AutoModel.from_config(hf.AutoConfig.for_model(kind, **settings))
        self.transformer = model.requires_grad_(config.trainable)
        self.layer = nn.Linear(config.dimension, width)

    def take_weights(self, folder: str | os.PathLike[str]) -> None:
        """Copies the weights of a saved encoder, ``config.json`` and ``model.safetensors`` in one folder.

        Raises:
            ValueError: If its tensors are not those of this encoder.
        """
        saved: nn.Module = transformers().AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        found = saved.state_dict()
        own = self.transformer.state_dict()
        differ = sorted(k for k in own.keys() | found.keys() if shape(own.get(k)) != shape(found.get(k)))
        if differ:
            raise ValueError(f"folder: want the tensors of this encoder, got others for {differ[:4]}")
        self.transformer.load_state_dict(found)

    def train(self, mode: bool = True) -> HfText:
        """As of any module; an encoder that is not trained stays in evaluation mode, without dropout."""
        super().train(mode)
        self.transformer.train(mode and self.config.trainable)
        return self

    def forward(self, columns_BL: Tensor) -> Tensor:
        """Returns tanh of a layer over the mean state of the tokens, (B, E)."""
        return torch.tanh(self.layer(self.mean_state(columns_BL)))

    def mean_state(self, columns_BL: Tensor) -> Tensor:
        """Returns the mean of the encoder's last states over the tokens, (B, D); zeros without a token."""
        there_BL = columns_BL >= 0
        states = self.transformer(columns_BL.long().clamp(min=0), attention_mask=there_BL.long())
        weights_BL1 = there_BL[..., None].to(states.last_hidden_state.dtype)
        mean: Tensor = (states.last_hidden_state * weights_BL1).sum(1) / weights_BL1.sum(1).clamp(min=1)
        return mean

    @torch.no_grad()
    def key(self, columns_BL: Tensor) -> Tensor:
        """Returns the mean state, brought to length 1."""
        return functional.normalize(self.mean_state(columns_BL))


def token_columns(tokens: Sequence[Sequence[int]], *, most: int) -> Tensor:
    """Lays token numbers out as columns.

    Args:
        tokens: Of n texts, as the encoder's own tokenizer gives them, special tokens included.
        most: Tokens that the encoder takes.

    Returns:
        float32 (n, L), -1 behind the last token.

    Raises:
        ValueError: If a text has more tokens, or none; with its row.
    """
    for row, numbers in enumerate(tokens):
        if not 1 <= len(numbers) <= most:
            raise ValueError(f"tokens: want 1 to {most}, got {len(numbers)} in row {row}")
    rows = [torch.tensor(list(numbers), dtype=torch.float32) for numbers in tokens]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1.0)


def transformers() -> ModuleType:
    """Imports transformers.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        raise ImportError('text: want the package transformers for kind "hugging_face"') from error


def shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    """Returns the shape, None of nothing."""
    return None if tensor is None else tuple(tensor.shape)
