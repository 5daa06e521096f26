"""``decision.json``: what turns the network's numbers into marks. It lies beside the weights."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

NAME = "decision.json"


class Decision(BaseModel):
    """How to read the model's outputs; chosen on the inner part, never on what is reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    decoder: Literal["threshold"] = "threshold"
    """Runs of bars whose probability is at least the threshold."""
    threshold: Annotated[float, Field(ge=0, le=1)]
    objective: str
    """The metric that chose the threshold, on the inner part."""
    inner_value: float | None
    """Its value there; optimistic, for the threshold was chosen by it."""
    fingerprint: str
    """Of the data that the threshold was chosen on."""
    calibration: Literal["none"] = "none"
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


def read_decision(folder: Path) -> Decision:
    """Reads the file of a run.

    Raises:
        FileNotFoundError: The folder has none, so nobody knows how to read the model's outputs.
        ValueError: It is damaged or of another schema.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(f"run: want a finished run with {NAME}, got {folder}")
    try:
        return Decision.model_validate_json(path.read_bytes())
    except ValidationError as error:
        what = error.errors()[0]
        where = ".".join(map(str, what["loc"])) or "the file"
        raise ValueError(f"run: want a readable {path}, got {where}: {what['msg']}") from error
