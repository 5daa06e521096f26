"""``decision.json``: what turns the network's numbers into marks. It lies beside the weights."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moola_train.recipes.confidence import Confidence

NAME = "decision.json"
Share = Annotated[float, Field(ge=0, le=1)]


class Marking(BaseModel):
    """How bars of a long file are marked, and what such marks were worth on the inner part.

    All its numbers but `test_value` are a little too good: the threshold was chosen there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Share
    """For the probability of bars as this way of marking gives it."""
    inner_value: float | None
    """Span F1."""
    test_value: float | None = None
    """Span F1 of the test part marked so, by which nothing was chosen. None of causal marks, each of which
    costs a window a bar, and of runs made before it was told."""
    confidence: Confidence | None
    """From a span's score to how often such spans are right; None if none was marked."""
    delay: float | None
    """Mean bars from the start of a true span to the first marked bar in it, of those detected."""
    detected: float | None
    """Share of true spans with a marked bar."""
    false_alarms: float | None
    """Marked spans that touch no true one, per 1,000 bars."""
    windows: int
    """Inner windows that all this was measured on."""


class Decision(BaseModel):
    """How to read the model's outputs; chosen on the inner part, never on what is reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1, 2] = 2
    decoder: Literal["threshold"] = "threshold"
    """Runs of bars whose probability is at least the threshold."""
    threshold: Share
    """For windows judged each alone, as the report does; files are marked by `both` and `causal`."""
    objective: str
    """The metric that chose the threshold, on the inner part."""
    inner_value: float | None
    """Its value there; optimistic, for the threshold was chosen by it."""
    fingerprint: str
    """Of the data that the threshold was chosen on."""
    calibration: Literal["none", "platt"] = "none"
    """Of the spans' confidence."""
    both: Marking | None = None
    """Every bar by the mean over the overlapping windows that hold it; None in version 1."""
    causal: Marking | None = None
    """Every bar by the window that ends with it, so by no later bar; None in version 1."""
    feature_set: str
    feature_names: tuple[str, ...]
    length: Annotated[int, Field(ge=1)]
    position: bool
    pointer_encoding: Literal["origin", "strict", "exact"]
    countdown_form: Literal["raw", "clipped", "normalised"]
    type_names: tuple[str, ...]
    weights: str
    """SHA-256 of the model's weights: the decision is for these and no others."""
    versions: dict[str, str]

    @model_validator(mode="after")
    def _versions_differ_by_markings(self) -> Self:
        for name in ("both", "causal"):
            if (getattr(self, name) is None) != (self.schema_version == 1):
                raise ValueError(f"{name}: want one in version 2 and none in version 1")
        return self

    def marking(self, mode: Literal["both", "causal"]) -> Marking:
        """How bars are marked.

        Raises:
            ValueError: A run of version 1 knows nothing of causal marks.
        """
        found = self.both if mode == "both" else self.causal
        if found is not None:
            return found
        if mode == "causal":
            raise ValueError(f"run: want a {NAME} of version 2 for causal marks, got 1: train it again")
        return Marking(
            threshold=self.threshold,
            inner_value=None,
            confidence=None,
            delay=None,
            detected=None,
            false_alarms=None,
            windows=0,
        )


def weights_digest(model: Path) -> str:
    """SHA-256 of the weights in a model folder."""
    return hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()


def write_decision(folder: Path, decision: Decision) -> None:
    """Writes the file in one step: it is there whole or not at all."""
    temporary = folder / f".{NAME}.part"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(decision.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / NAME)


def _unfinished(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder}, which is no folder"
    if (folder / "checkpoints").is_dir():
        return f"{folder}, which is not finished; go on with: moola resume {folder}"
    return str(folder)


def read_decision(folder: Path) -> Decision:
    """Reads the file of a run.

    Raises:
        FileNotFoundError: The folder has none, so nobody knows how to read the model's outputs.
        ValueError: It is damaged or of another schema.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(f"run: want a finished run with {NAME}, got {_unfinished(folder)}")
    try:
        return Decision.model_validate_json(path.read_bytes())
    except ValidationError as error:
        what = error.errors()[0]
        where = ".".join(map(str, what["loc"])) or "the file"
        raise ValueError(f"run: want a readable {path}, got {where}: {what['msg']}") from error
