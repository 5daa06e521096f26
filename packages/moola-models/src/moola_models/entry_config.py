"""What an entry model is made of."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from moola_models.catalogue_table import check_codes
from moola_models.line_decoder import Lines
from moola_models.pointer_layer import PointerConfig
from moola_models.text_encoders import NgramTextConfig, TextConfig, resolve_text

TextField = Annotated[SerializeAsAny[TextConfig], BeforeValidator(resolve_text)]


class RetrievalConfig(BaseModel):
    """How many booked entries are remembered, and how many are asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=1, lt=1 << 24)
    """Room for so many entries: the training entries, of whom fewer may come. Saved with the model."""
    neighbours: int = Field(default=5, ge=0)
    """How many are looked up; 0: as without a memory."""


class EntryConfig(BaseModel):
    """A text encoder, FiLM on date, currency and type, a GRU over lines, a pointer into the catalogue.

    >>> config = EntryConfig(accounts=("1000", "2000"), hidden=32)
    >>> EntryConfig.model_validate_json(config.model_dump_json()) == config
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["entry"] = "entry"
    accounts: tuple[str, ...]
    """Codes of the catalogue's accounts in its order; an account's number is its place here."""
    fingerprint: str = ""
    """The catalogue's own, as its owner computes it."""
    text: TextField = NgramTextConfig()
    hidden: int = Field(default=128, ge=1)
    """Width of the text's vector, of the decoder's states and of the catalogue's rows."""
    layers: int = Field(default=1, ge=1)
    """Of the GRU."""
    max_lines: int = Field(default=20, ge=1)
    """Most lines that an entry may have, and at which decoding ends."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """On the text's vector, between layers of the GRU and before the readouts."""
    conditioning: Literal["film", "none"] = "film"
    """Whether date, currency and type are looked at."""
    date_features: int = Field(default=8, ge=0)
    """Columns of the date, of the order of 1 each."""
    currencies: int = Field(default=1, ge=1)
    """Numbers of the currency vocabulary, 0 for unknown included."""
    kinds: int = Field(default=1, ge=1)
    """Numbers of the vocabulary of entry types, 0 for unknown included."""
    table: Literal["trainable", "frozen"] = "trainable"
    """Whether the catalogue's rows are learned; they are saved either way, under one name."""
    pointer: PointerConfig = PointerConfig()
    lines: Lines = "chained"
    """Whether a line's side is read given its account and its stop given both, or each apart."""
    retrieval: RetrievalConfig | None = None
    flow: bool = False
    """Whether the outputs have the mass that the lines put on each account, by side."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        check_codes(self.accounts)
        return self

    @property
    def neighbours(self) -> int:
        """Neighbours that are really asked, 0 without a memory."""
        return 0 if self.retrieval is None else min(self.retrieval.neighbours, self.retrieval.size)
