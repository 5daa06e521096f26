"""A run's configuration: one TOML file, every key with a default, unknown keys refused."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    field_validator,
    model_validator,
)

from moola_data.spans_file import TYPES
from moola_eval.registry import GROUP as METRICS
from moola_eval.registry import report_metrics
from moola_losses.balancer import BalancerConfig
from moola_losses.bar_bce import BarBCE
from moola_losses.cross_entropy import CrossEntropy
from moola_losses.dice import Dice
from moola_losses.huber import Huber, UnitHuber
from moola_losses.log_likelihood import LogLikelihood
from moola_losses.registry import resolve_balancer
from moola_losses.uncertainty import UncertaintyConfig
from moola_models.config import EncoderField
from moola_models.heads import HeadConfig
from moola_models.registry import resolve_head
from moola_train.config import FitConfig
from moola_train.recipes.near_names import did_you_mean

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Task = Literal["type", "pointers", "span", "countdown"]
TASKS: tuple[Task, ...] = ("type", "pointers", "span", "countdown")
LossField = Annotated[
    BarBCE | Dice | CrossEntropy | Huber | UnitHuber | LogLikelihood, Field(discriminator="kind")
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSection(_Section):
    """How bars become windows."""

    feature_set: str = "origin"
    length: Count = 105
    """Bars a window."""
    stride: Count = 15
    """Bars from one training window to the next; the windows of the other parts do not overlap."""
    position: bool = False
    """Append t/(K-1) to the features. It tells the network where in the window a bar stands."""
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    """Shares of time for train, inner (selection) and test (report), in this order in time."""
    block: Count | None = None
    """Distinct times a block, the unit of intervals; None takes the length of a window."""
    countdown_form: Literal["raw", "clipped", "normalised"] = "clipped"
    countdown_band: Count | None = None
    """Bars to either side of a start beyond which the countdown is masked; none by default."""
    pointer_encoding: Literal["origin", "strict", "exact"] = "origin"
    span_form: Literal["mask", "soft"] = "mask"
    """Soft marks the bars beside a span by a quarter."""
    mirror: bool = False
    """Train on the mirror image of every training window too: prices upside down, an exact symmetry."""
    types: tuple[str, ...] = TYPES
    """What the column ``type`` of the spans file may say, in the order of the classes: two names or more."""

    @field_validator("types")
    @classmethod
    def _types_are_names(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for i, name in enumerate(types):
            if not name or name != name.strip() or not name.isprintable():
                raise ValueError(f"want printable names without outer spaces, got {name!r}")
            if name in types[:i]:
                raise ValueError(f"want every name once, got {name!r} twice")
        if len(types) < 2:
            raise ValueError(f"want two names or more, to be told apart, got {list(types)}")
        return types


class ModelSection(_Section):
    """Which network."""

    preset: Literal["compact", "core"] = "compact"
    tasks: tuple[Task, ...] = TASKS
    """The tasks to learn; one without a known target in the training windows is left out."""
    heads: dict[Task, Annotated[SerializeAsAny[HeadConfig], BeforeValidator(resolve_head)]] = {}
    """Other heads than the preset's, by task: a kind or a table with a kind, such as "span_semi_markov"."""
    encoder: EncoderField | None = None
    """Another encoder than the preset's LSTM."""
    hidden: Count | None = None
    layers: Count | None = None
    input_dropout: Rate | None = None
    layer_dropout: Rate | None = None
    dense_dropout: Rate | None = None
    """Settings other than the preset's; see `moola_models.JadeConfig`."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _span_is_learnt(self) -> Self:
        if "span" not in self.tasks:
            raise ValueError(f"tasks: want 'span' among them, got {self.tasks}")
        for task, head in self.heads.items():
            if head.name != task:
                raise ValueError(f"heads.{task}: want a head named {task!r}, got {head.name!r}")
        return self


class PretrainSection(_Section):
    """What the encoder learns before any label is shown."""

    kind: Literal["none", "packaged", "masked", "contrastive", "rules", "worlds"] = "none"
    """Weights that the package holds; hidden bars to be told; two noisy views of a window to be recognised;
    the marks of a simple rule; drawn markets whose marks are known."""
    worlds: Annotated[tuple[Literal["trades", "one_expansion", "semi_markov"], ...], Field(min_length=1)] = (
        "trades",
    )
    """Of "worlds": which markets are drawn, in equal shares."""
    windows: Count = 4000
    """Of "worlds": how many windows."""
    epochs: Count = 5
    batch_size: Count = 64
    learning_rate: Positive = 3e-3
    pattern: Literal["random", "block", "patch", "runs"] = "runs"
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the bars that is hidden."""
    jitter: Annotated[float, Field(gt=0)] = 0.1
    """Noise added to every bar, in standard deviations of its feature."""
    freeze: bool = False
    """Train the heads alone afterwards; the encoder stays as it was pretrained."""
    seed: Annotated[int, Field(ge=0)] = 0


class DecodingSection(_Section):
    """How spans are decided."""

    kind: Literal["threshold", "best", "expected_f1"] = "threshold"
    """"threshold": runs of bars above a probability chosen on the inner part. "best": the most probable set
    of spans of a structured head. "expected_f1": its set with the best expected span F1."""
    samples: Count = 64
    """Sets drawn for "expected_f1"."""
    seed: Annotated[int, Field(ge=0)] = 0


class DoctorSection(_Section):
    """The doctor on a schedule; see `moola_train.recipes.doctor_watch`."""

    every: Annotated[int, Field(ge=0)] = 0
    """Steps between two looks at the tasks' gradients; 0 never looks. Changes no number of the run."""


class EvaluationSection(_Section):
    """How the report is made."""

    resamples: Count = 2000
    seed: Annotated[int, Field(ge=0)] = 0
    metrics: tuple[str, ...] = ()
    """Beside those of every report: metrics that installed packages offer, see `moola_eval.registry`."""

    @field_validator("metrics")
    @classmethod
    def _metrics_are_offered(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        # Now, for a report comes after the training.
        try:
            report_metrics(metrics)
        except ValueError as error:
            offered = [point.name for point in entry_points(group=METRICS)] if metrics else []
            strange = [name for name in metrics if name not in offered]
            meant = did_you_mean(strange[0], offered) if strange else ""
            raise ValueError(f"{str(error).removeprefix('metrics: ')}{meant}") from None
        return metrics


class RunConfig(_Section):
    """Everything a run depends on beside its two files.

    >>> RunConfig().data.length
    105
    """

    @model_validator(mode="after")
    def _spans_can_be_decided(self) -> Self:
        head = self.model.heads.get("span")
        if self.decoding.kind != "threshold" and (head is None or head.kind == "span"):
            raise ValueError(
                f"decoding.kind: want 'threshold' for a head that judges every bar alone, got "
                f"{self.decoding.kind!r}; structured heads are span_crf, span_segment, span_semi_markov"
            )
        return self

    schema_version: Literal[1] = 1
    recipe: Literal["expansion"] = "expansion"
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    losses: dict[Task, LossField] = {}
    """Other task losses than the head's own (see `moola_train.recipes.expansion`), by task: tables with a
    kind."""
    balancer: Annotated[SerializeAsAny[BalancerConfig], BeforeValidator(resolve_balancer)] = (
        UncertaintyConfig(init="auto")
    )
    """How the losses become one: any registered kind with its settings."""
    # Learning rates and stride were compared on the inner part of the demo's data, never on its test part.
    fit: FitConfig = FitConfig(
        epochs=40, batch_size=32, learning_rate=3e-3, balancer_learning_rate=0.03, selection="span_loss"
    )
    pretrain: PretrainSection = PretrainSection()
    decoding: DecodingSection = DecodingSection()
    doctor: DoctorSection = DoctorSection()
    evaluation: EvaluationSection = EvaluationSection()


def recipe_values(name: str) -> dict[str, Any]:
    """Reads one of the package's configurations as a mapping: what differs from `RunConfig`'s defaults.

    Raises:
        ValueError: There is none of that name.
    """
    folder = files("moola_train").joinpath("configurations")
    names = sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
    if name not in names:
        raise ValueError(f"recipe: want one of {', '.join(names)}, got {name!r}")
    return tomllib.loads(folder.joinpath(f"{name}.toml").read_text(encoding="utf-8"))
