"""A pretrained encoder as a folder: a model of moola-models whose card says what it was trained on.

The package holds one, of drawn markets that no study scores on; the command that made it is in
`docs/jade_best.md`.
"""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from moola_data.schema import Bars, WindowSet
from moola_models import Jade, load_model, save_model
from moola_models.config import JadeConfig
from moola_models.pretrained import from_pretrained
from moola_models.store import load_card, load_tensors

HEADS = ("readouts.", "projection.")
"""What belongs to the tasks and is not taken over."""
SPAN_HEAD = "readouts.span_head."
"""Drawn markets teach it too: it is taken over by a network whose span head is the same."""
PACKAGED = "trades"


class EncoderCard(BaseModel):
    """What an encoder was pretrained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    kind: Literal["masked", "contrastive", "rules", "worlds"]
    feature_set: str
    feature_names: tuple[str, ...]
    length: int
    position: bool
    source: str
    bars_fingerprint: str | None
    """None where they were drawn."""
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


def load_packaged(model: Jade, windows: WindowSet) -> str:
    """Puts the package's encoder, and the span head if it is the same, into a network; as `load_encoder`.

    Raises:
        ValueError: It does not fit the network or the run's features.
    """
    with as_file(files("moola_train").joinpath("encoders", PACKAGED)) as folder:
        card, config = (
            EncoderCard.model_validate_json(json.dumps(load_card(folder))),
            load_model(folder).config,
        )
        wanted = {
            "data.feature_set": (card.feature_set, windows.feature_set),
            "data.position": (card.position, windows.position),
            **{
                f"model.{name}": (getattr(config, name), getattr(model.config, name))
                for name in ("encoder", "hidden", "layers")
            },
        }
        other = [
            f"{name} {_shown(its)}, got {_shown(own)}" for name, (its, own) in wanted.items() if its != own
        ]
        if other:
            raise ValueError(
                f"pretrain.kind: 'packaged' wants {', '.join(other)}; 'none' begins with drawn weights (base "
                "'plain' fits them), 'worlds' teaches such a network first"
            )
        return load_encoder(model, folder, windows)


def load_encoder(model: Jade, folder: Path, windows: WindowSet, bars: Bars | None = None) -> str:
    """Puts a pretrained encoder into a network; heads keep their values but for what drawn markets teach.

    Args:
        model: The network of a run.
        folder: What `save_encoder` wrote.
        windows: Of the run.
        bars: Of the run; needed where the encoder was pretrained on bars of a market.

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
    if card.kind == "worlds" and _span_head(model.config) == _span_head(load_model(folder).config):
        prefixes.append(SPAN_HEAD)
    moved = from_pretrained(model, folder, prefixes=prefixes)
    fresh = sum(1 for name in model.state_dict() if name not in moved.matched)
    length = "" if card.length == windows.length else f" (of {card.length} bars, here {windows.length})"
    taken = (
        f"{len(moved.matched)} tensors taken over, {fresh} of the heads start anew, {len(moved.ignored)} of "
        "the folder are not used."
    )
    if card.kind == "worlds":
        return f"Pretrained encoder `{folder.name}`, {card.windows} windows{length} of {card.source}: {taken}"
    if bars is None:
        raise ValueError(f"bars: want the run's beside an encoder of kind {card.kind!r}, got none")
    held = bars.time[windows.starts[windows.split != 0]].min()
    seen = card.end is None or not np.datetime64(card.end) < held
    return (
        f"Pretrained encoder `{folder.name}`, {card.kind} on {card.windows} windows{length} of {card.source} "
        f"up to {card.end or 'an unknown time'}: {taken}"
        + (" It may have seen bars of the inner and test parts, without labels." if seen else "")
    )


def _shown(value: object) -> object:
    return value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value


def _span_head(config: JadeConfig) -> object:
    return next((head for head in config.heads if head.name == "span"), None)
