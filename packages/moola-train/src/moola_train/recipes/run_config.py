"""A run's configuration: one TOML file, every key with a default, unknown keys refused."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError

from moola_losses.balancer import BalancerConfig
from moola_losses.registry import resolve_balancer
from moola_losses.uncertainty import UncertaintyConfig
from moola_train.config import FitConfig

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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


class ModelSection(_Section):
    """Which network."""

    preset: Literal["compact", "core"] = "compact"
    span: Literal["bars", "crf"] = "bars"
    """One logit a bar, or a two-tag chain."""
    seed: Annotated[int, Field(ge=0)] = 0


class LossSection(_Section):
    """The task losses."""

    pointer_delta: Positive = 0.08
    """Huber, in window lengths."""
    countdown_delta: Positive = 1.0
    """Huber, in the unit of the countdown."""
    span_positive_weight: Positive = 1.0
    """Weight of in-span bars in the per-bar cross-entropy."""


class EvaluationSection(_Section):
    """How the report is made."""

    resamples: Count = 2000
    seed: Annotated[int, Field(ge=0)] = 0


class RunConfig(_Section):
    """Everything a run depends on beside its two files.

    >>> RunConfig().data.length
    105
    """

    schema_version: Literal[1] = 1
    recipe: Literal["expansion"] = "expansion"
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    losses: LossSection = LossSection()
    balancer: Annotated[SerializeAsAny[BalancerConfig], BeforeValidator(resolve_balancer)] = (
        UncertaintyConfig(log_sigma={"pointers": -0.3})
    )
    """How the losses become one: any registered kind with its settings."""
    # Learning rates and stride were compared on the inner part of the demo's data, never on its test part.
    fit: FitConfig = FitConfig(
        epochs=40, batch_size=32, learning_rate=3e-3, balancer_learning_rate=0.03, selection="span_loss"
    )
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


def read_config(path: Path) -> RunConfig:
    """Reads a TOML file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no TOML, or a key is unknown or its value refused; all of them are named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"config: want a TOML file, got {path}, which is none")
    try:
        return RunConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"config: want TOML, got {path}: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors()]
        raise ValueError(f"config: {path}: " + "; ".join(lines)) from error
