"""A pretrained encoder as a folder: a model of moola-models whose card says what it was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from moola_data.schema import Bars, WindowSet
from moola_models import Jade, save_model
from moola_models.pretrained import from_pretrained
from moola_models.store import load_card, load_tensors

HEADS = ("readouts.", "projection.")
"""What belongs to the tasks and is not taken over."""


class EncoderCard(BaseModel):
    """What an encoder was pretrained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    kind: Literal["masked", "contrastive", "rules"]
    feature_set: str
    feature_names: tuple[str, ...]
    length: int
    position: bool
    source: str
    bars_fingerprint: str
    begin: str | None
    end: str | None
    """Last time that it has seen."""
    windows: int
    epochs: int
    first_loss: float | None
    last_loss: float | None
    seed: int
    versions: dict[str, str]


def save_encoder(model: Jade, folder: Path, card: EncoderCard) -> None:
    """Writes model and card.

    Raises:
        FileExistsError: The folder exists.
    """
    save_model(model, folder, card=json.loads(card.model_dump_json()))


def load_encoder(model: Jade, folder: Path, windows: WindowSet, bars: Bars) -> str:
    """Puts a pretrained encoder into a network; its heads keep their values.

    Args:
        model: The network of a run.
        folder: What `save_encoder` wrote.
        windows: Of the run.
        bars: Of the run.

    Returns:
        What was taken over and what was not, for a reader.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is no pretrained encoder, is for other features, or does not fit the network.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"pretrained: want the folder of `moola pretrain`, got {folder}")
    try:
        card = EncoderCard.model_validate_json(json.dumps(load_card(folder)))
    except ValidationError as error:
        raise ValueError(
            f"pretrained: want a folder of `moola pretrain`, got {folder} ({error.errors()[0]['msg']})"
        ) from error
    for name, wanted, got in (
        ("feature_set", windows.feature_set, card.feature_set),
        ("feature_names", windows.feature_names, card.feature_names),
        ("position", windows.position, card.position),
    ):
        if wanted != got:
            raise ValueError(f"pretrained: want the run's {name} {wanted}, got {got} in {folder}")
    names = [name for name in load_tensors(folder) if not name.startswith(HEADS)]
    prefixes = sorted({name.partition(".")[0] + "." for name in names})
    own = sorted({name.partition(".")[0] + "." for name in model.state_dict() if not name.startswith(HEADS)})
    if own != prefixes:
        raise ValueError(f"pretrained: want an encoder of {own}, as the run's, got {prefixes} in {folder}")
    moved = from_pretrained(model, folder, prefixes=prefixes)
    fresh = sum(1 for name in model.state_dict() if name not in moved.matched)
    length = "" if card.length == windows.length else f" (of {card.length} bars, here {windows.length})"
    held = bars.time[windows.starts[windows.split != 0]].min()
    seen = card.end is None or not np.datetime64(card.end) < held
    return (
        f"Pretrained encoder `{folder.name}`, {card.kind} on {card.windows} windows{length} of {card.source} "
        f"up to {card.end or 'an unknown time'}: {len(moved.matched)} tensors taken over, {fresh} of the "
        f"heads start anew, {len(moved.ignored)} of the folder are not used."
        + (" It may have seen bars of the inner and test parts, without labels." if seen else "")
    )
