"""A model as a folder: ``model.safetensors``, ``config.json``, ``card.json`` and ``SHA256SUMS``.

Nothing is pickled and loading runs no code of the folder's. The sums are checked before anything is parsed
(``sha256sum -c SHA256SUMS`` does the same), so a truncated or altered file is refused by name. Other files
may lie beside these; loading does not look at them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import JsonValue, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from moola_models.config import JadeConfig
from moola_models.jade import Jade

SCHEMA_VERSION = 1
FILES = ("model.safetensors", "config.json", "card.json")
SUMS = "SHA256SUMS"

_JSON_OBJECT = TypeAdapter(dict[str, JsonValue])


def save_model(
    model: Jade,
    folder: str | os.PathLike[str],
    *,
    card: Mapping[str, JsonValue] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a model so that it can be read in another process, version or language.

    The folder is written beside its final place, flushed to disk and renamed, so under its own name it is
    either absent or complete. Replacing is two renames: if the machine stops between them, the former model
    lies in ``.NAME.old-…`` beside.

    Args:
        model: Its parameters and buffers are saved in the types they have.
        folder: To be made; its parent must exist.
        card: What a reader should know of the model (data, scores, who, when), as JSON.
        overwrite: Replace a model folder, and all that lies in it. Any other existing path is refused.

    Returns:
        The folder.

    Raises:
        FileExistsError: If the path exists, and `overwrite` is off or it is not a model folder.
        FileNotFoundError: If the parent does not exist.
        ValueError: If the card is not JSON.
    """
    target = Path(folder)
    if os.path.lexists(target):
        if not overwrite:
            raise FileExistsError(f"folder: want a path that does not exist, got {target}")
        if not (target / SUMS).is_file():
            raise FileExistsError(f"folder: want a model folder to overwrite, got {target} without {SUMS}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"folder: want an existing parent, got {target.parent}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    settings = {
        "schema_version": SCHEMA_VERSION,
        "package": "moola-models",
        "package_version": version("moola-models"),
        "model": model.config.model_dump(mode="json"),
    }
    contents = {
        "model.safetensors": save(tensors),
        "config.json": _to_json("config", settings),
        "card.json": _to_json("card", {} if card is None else dict(card)),
    }
    sums = "".join(f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in FILES)
    contents[SUMS] = sums.encode()

    draft = target.parent / f".{target.name}.new-{uuid.uuid4().hex}"
    draft.mkdir()
    try:
        for name, content in contents.items():
            with (draft / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync_folder(draft)
        if os.path.lexists(target):
            former = target.parent / f".{target.name}.old-{uuid.uuid4().hex}"
            target.rename(former)
            draft.rename(target)
            shutil.rmtree(former)
        else:
            draft.rename(target)
        _sync_folder(target.parent)
    finally:
        if draft.exists():
            shutil.rmtree(draft)
    return target


def load_model(folder: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Jade:
    """Reads a model that `save_model` wrote; it comes back in evaluation mode.

    Args:
        folder: The model's folder.
        device: Where its parameters shall lie.

    Returns:
        The model, with the saved values and types.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not what was written, or was written by a later schema.
    """
    source = Path(folder)
    contents = _read_checked(source)
    config = _read_config(source, contents["config.json"])
    try:
        tensors = load(contents["model.safetensors"])
    except SafetensorError as error:
        raise ValueError(f"{source / 'model.safetensors'}: want a safetensors file, got {error}") from None
    model = Jade(config, seed=0)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        differ = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        name = differ[0]
        raise ValueError(
            f"{source / 'model.safetensors'}: want {name!r} of shape {wanted.get(name)}, "
            f"got {found.get(name)} ({len(differ)} tensors differ)"
        )
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.to(device).eval()


def load_card(folder: str | os.PathLike[str]) -> dict[str, JsonValue]:
    """Reads a model's card, checked like the model.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not what was written.
    """
    return _JSON_OBJECT.validate_json(_read_checked(Path(folder))["card.json"])


def _read_checked(source: Path) -> dict[str, bytes]:
    """Reads the folder's files once, each compared with its sum."""
    for name in (*FILES, SUMS):
        if not (source / name).is_file():
            raise FileNotFoundError(f"folder: want a model folder with {name}, got {source}")
    listed = (source / SUMS).read_bytes()
    lines = [b"([0-9a-f]{64})  " + re.escape(name.encode()) + b"\n" for name in FILES]
    match = re.fullmatch(b"".join(lines), listed)
    if match is None:
        raise ValueError(f"{source / SUMS}: want one sha256 sum for each of {', '.join(FILES)}")
    contents = {name: (source / name).read_bytes() for name in FILES}
    for name, wanted in zip(FILES, match.groups(), strict=True):
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != wanted.decode():
            raise ValueError(f"{source / name}: want sha256 {wanted.decode()}, got {found}: the file changed")
    return contents


def _read_config(source: Path, content: bytes) -> JadeConfig:
    path = source / "config.json"
    settings = _JSON_OBJECT.validate_json(content)
    if settings.get("package") != "moola-models":
        raise ValueError(f"{path}: want a model of moola-models, got {settings.get('package')!r}")
    if settings.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: want schema_version {SCHEMA_VERSION}, got {settings.get('schema_version')!r}; "
            f"written by moola-models {settings.get('package_version')}"
        )
    try:
        return JadeConfig.model_validate(settings.get("model"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: model: {where}: {first['msg']}") from None


def _to_json(name: str, value: Mapping[str, object]) -> bytes:
    try:
        return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: want JSON without nan and infinity, got {error}") from None


def _sync_folder(folder: Path) -> None:
    """Flushes a folder's entries where the system can open one (Windows cannot, and needs no such flush)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
