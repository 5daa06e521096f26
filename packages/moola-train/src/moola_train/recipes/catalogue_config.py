"""The configuration of a journal's run: one TOML file, every key with a default, unknown keys refused."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    model_validator,
)

from moola_losses.schedules import Constant, Schedule, resolve_schedule
from moola_models.pointer_layer import PointerConfig
from moola_train.config import Averaging, FitConfig
from moola_train.schedules import Cosine

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
FlowForm = Literal["divergence", "squares", "padded", "clamped"]
ScheduleField = Annotated[SerializeAsAny[Schedule], BeforeValidator(resolve_schedule)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EntriesSection(_Section):
    """Which entries are learned from, and which are judged."""

    split: Literal["time", "text"] = "time"
    """"time": the past is learned from, the latest entries are reported on. "text": no text of one part
    stands in another, whatever its numbers and case."""
    inner: Share = 0.15
    """Share kept for selection and calibration."""
    test: Share = 0.25
    """Share that is reported on."""
    seed: Seed = 0
    """Of the draw of texts, and of slips."""
    max_lines: Annotated[int, Field(ge=2)] = 40
    """Most lines of an entry."""
    slips: Annotated[int, Field(ge=0)] = 1
    """Copies of every training entry with one slip of the keyboard in its text, training only."""


class TextSection(_Section):
    """How texts become character n-grams; see `moola_models.text_encoders.NgramTextConfig`."""

    buckets: Annotated[int, Field(ge=2, lt=1 << 24)] = 1 << 15
    sizes: tuple[Count, ...] = (3, 4, 5)
    case: Literal["kept", "folded"] = "folded"
    digits: Literal["kept", "shape"] = "shape"
    dimension: Count = 128
    left_out: Rate = 0.4
    """Share of n-grams left out while training: no single one is to be relied on."""


class ModelSection(_Section):
    """Which network; see `moola_models.entry_config.EntryConfig`."""

    hidden: Count = 128
    layers: Count = 1
    dropout: Rate = 0.2
    conditioning: Literal["film", "none"] = "film"
    table: Literal["trainable", "frozen"] = "trainable"
    rows: Literal["drawn", "texts", "hierarchy", "both"] = "both"
    """What the catalogue's rows begin as: random, near where names and descriptions are alike, near where
    types and beginnings of codes are, or the mean of the two."""
    lines: Literal["chained", "independent"] = "chained"
    pointer: PointerConfig = PointerConfig()
    seed: Seed = 0


class MemorySection(_Section):
    """Booked entries that are looked up by text; their accounts are mixed into the pointer's."""

    neighbours: Annotated[int, Field(ge=0)] = 0
    """0: no memory, which books best wherever it was tried: what is learned in the company of neighbours that
    know the answer is not learned for texts that have none."""
    key_size: Count = 128
    excludes: Literal["entry", "text"] = "entry"
    """What a training entry never finds: itself, or any entry of the same text. "text" makes training as
    hard as a text that was never seen."""
    used: Literal["always", "training", "prediction"] = "always"
    """"training" takes the memory away before anything is judged and "prediction" fills it only then: two
    mistakes, to be measured."""


class LossSection(_Section):
    """What is learned, and how much it counts."""

    account: Weight = 1.0
    side: Weight = 1.0
    stop: Weight = 1.0
    flow: ScheduleField = Constant(value=0.1)
    """Weight of the divergence of the predicted from the booked amounts; a number, or a schedule by epoch."""
    flow_form: FlowForm = "divergence"
    """"squares" is the mean squared difference of the shares that the origin began with. "padded" and
    "clamped" are its divergence among the booked accounts alone, before and after its last fix."""
    coverage: ScheduleField = Constant(value=0.0)
    """Weight of pointing at an account more often than it is booked."""
    ancestors: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an account's label that its ancestors get."""
    scaling: Literal["none", "origin"] = "none"
    """"origin": the running scale that all losses of the first system shared."""


class ClippingSection(_Section):
    """Greatest L2 norms of gradients."""

    pointer: Positive = 2.0
    """Of the pointer's query and scale together, and of the catalogue's rows together."""
    rest: Positive = 1.0
    """Of everything else together."""


class DecodingSection(_Section):
    """How entries are written."""

    method: Literal["greedy", "beam"] = "beam"
    beam: Count = 4
    both_sides: bool = True
    """No stop before one debit and one credit stand."""
    no_repeat: bool = False
    """No account twice on one side."""
    selecting: Literal["greedy", "same"] = "greedy"
    """How inner entries are written after every epoch: greedily, which is quicker, or the same way."""


class EvaluationSection(_Section):
    """How the report is made."""

    svm: bool = True
    """Whether a linear support vector machine stands beside; it needs the extra `studies`."""
    level: Share = 0.95
    resamples: Count = 2000
    permutations: Count = 2000
    seed: Seed = 0


class CatalogueConfig(_Section):
    """Everything a run depends on beside entries and catalogue.

    >>> CatalogueConfig().clipping.pointer
    2.0
    """

    schema_version: Literal[1] = 1
    recipe: Literal["catalogue"] = "catalogue"
    entries: EntriesSection = EntriesSection()
    text: TextSection = TextSection()
    model: ModelSection = ModelSection()
    memory: MemorySection = MemorySection()
    losses: LossSection = LossSection()
    clipping: ClippingSection = ClippingSection()
    # Chosen on inner entries, by time, by text and on a ledger; the page on the journal lists the trials.
    fit: FitConfig = FitConfig(
        epochs=12,
        batch_size=64,
        learning_rate=3e-3,
        schedule=Cosine(warmup_steps=20),
        averaging=Averaging(decay=0.98),
        selection="entry_f1",
        mode="max",
    )
    decoding: DecodingSection = DecodingSection()
    evaluation: EvaluationSection = EvaluationSection()

    @model_validator(mode="after")
    def _clipping_is_told_once(self) -> Self:
        if self.fit.groups or self.fit.clip_norm is not None:
            raise ValueError("fit: want neither groups nor clip_norm, which come from `clipping`, got one")
        return self


def catalogue_config(changes: dict[str, object]) -> CatalogueConfig:
    """Returns the default configuration with changes laid over it, section by section.

    >>> config = catalogue_config({"fit": {"epochs": 2}})
    >>> config.fit.epochs, config.fit.selection
    (2, 'entry_f1')
    """
    base = CatalogueConfig().model_dump(mode="json")
    for name, section in changes.items():
        whole = isinstance(section, dict) and isinstance(base.get(name), dict)
        base[name] = {**base[name], **section} if whole else section  # type: ignore[dict-item]
    return CatalogueConfig.model_validate(base)
