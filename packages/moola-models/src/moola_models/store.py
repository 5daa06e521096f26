"""A model as a folder: ``model.safetensors``, ``config.json``, ``card.json`` and ``SHA256SUMS``.

The card tells people what the model is. ``balancer.safetensors`` lies beside them where the state of a task
balancer was saved too.

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
from typing import TypeVar, overload

import torch
from pydantic import JsonValue, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from moola_models.config import JadeConfig
from moola_models.entry_config import EntryConfig
from moola_models.entry_model import EntryModel
from moola_models.jade import Jade
from moola_models.migrations import Saved, migrate

SCHEMA_VERSION = 1
FILES = ("model.safetensors", "config.json", "card.json")
BALANCER = "balancer.safetensors"
SUMS = "SHA256SUMS"
SETTINGS = ("schema_version", "package", "package_version", "model")
"""What stands in ``config.json``."""

_JSON_OBJECT = TypeAdapter(dict[str, JsonValue])
C = TypeVar("C", JadeConfig, EntryConfig)


def save_model(
    model: Jade | EntryModel,
    folder: str | os.PathLike[str],
    *,
    card: Mapping[str, JsonValue] | None = None,
    balancer: nn.Module | None = None,
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
        balancer: A task balancer whose parameters and buffers shall lie beside the model's.
        overwrite: Replace a model folder, and all that lies in it. Any other existing path is refused.

    Returns:
        The folder.

    Raises:
        FileExistsError: If the path exists, and `overwrite` is off or it is not a model folder, but a link to
            one, say.
        FileNotFoundError: If the parent does not exist.
        TypeError: If the model is none of this package's.
        ValueError: If the card is not JSON.
    """
    if not isinstance(model, Jade | EntryModel):
        raise TypeError(f"model: want a Jade or an EntryModel, got {type(model).__name__}")
    target = Path(folder)
    if os.path.lexists(target):
        if not overwrite:
            raise FileExistsError(f"folder: want a path that does not exist, got {target}")
        if target.is_symlink():
            raise FileExistsError(f"folder: want a model folder to overwrite, got the link {target}")
        if not (target / SUMS).is_file():
            raise FileExistsError(f"folder: want a model folder to overwrite, got {target} without {SUMS}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"folder: want an existing parent, got {target.parent}")
    contents = _contents(model, {} if card is None else card, balancer)
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


@overload
def load_model(
    folder: str | os.PathLike[str],
    *,
    model: type[Jade] = ...,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Jade: ...


@overload
def load_model(
    folder: str | os.PathLike[str],
    *,
    model: type[EntryModel],
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> EntryModel: ...


def load_model(
    folder: str | os.PathLike[str],
    *,
    model: type[Jade] | type[EntryModel] = Jade,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Jade | EntryModel:
    """Reads a model that `save_model` wrote; it comes back in evaluation mode.

    Args:
        folder: The model's folder.
        model: What it has to be, `Jade` or `EntryModel`.
        device: Where its parameters shall lie.
        dtype: Floating type that its floating tensors are turned into; None: as saved.

    Returns:
        The model, with the saved values.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not what was written, was written by a later schema or holds another kind
            of model, or the rows of a catalogue are not those of its configuration.
        TypeError: If `dtype` is no floating type.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype: want a floating type, got {dtype!r}")
    source = Path(folder)
    settings, tensors = _read_saved(source)
    built: Jade | EntryModel
    if issubclass(model, EntryModel):
        built = EntryModel(_config_of(source, settings, EntryConfig), seed=0)
    else:
        built = Jade(_config_of(source, settings, JadeConfig), seed=0)
    wanted = {name: _kind_of(tensor) for name, tensor in built.state_dict().items()}
    found = {name: _kind_of(tensor) for name, tensor in tensors.items()}
    if wanted != found:
        differ = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        name = differ[0]
        raise ValueError(
            f"{source / 'model.safetensors'}: want {name!r} of {wanted.get(name)}, "
            f"got {found.get(name)} ({len(differ)} tensors differ)"
        )
    try:
        built.load_state_dict(tensors, strict=True, assign=True)
    except ValueError as error:
        raise ValueError(f"{source / 'model.safetensors'}: {error}") from None
    return built.to(device, dtype).eval()


def load_tensors(folder: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Reads a model's tensors by name, checked and in this version's layout, without building the model.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not what was written, or was written by a later schema.
    """
    return _read_saved(Path(folder)).tensors


def load_balancer(folder: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Reads the state of the balancer that was saved beside a model, by name.

    Raises:
        FileNotFoundError: If a file is missing, or no balancer was saved.
        ValueError: If a file is not what was written.
    """
    source = Path(folder)
    contents = _read_checked(source)
    if BALANCER not in contents:
        raise FileNotFoundError(f"folder: want a model folder with {BALANCER}, got {source}")
    return _parse_tensors(source / BALANCER, contents[BALANCER])


def load_card(folder: str | os.PathLike[str]) -> dict[str, JsonValue]:
    """Reads a model's card, checked like the model.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not what was written.
    """
    source = Path(folder)
    return _parse_json(source / "card.json", _read_checked(source)["card.json"])


def _contents(
    model: Jade | EntryModel, card: Mapping[str, JsonValue], balancer: nn.Module | None
) -> dict[str, bytes]:
    """Makes the content of every file, by name, the sums last."""
    settings = {
        "schema_version": SCHEMA_VERSION,
        "package": "moola-models",
        "package_version": version("moola-models"),
        "model": model.config.model_dump(mode="json"),
    }
    contents = {
        "model.safetensors": _tensor_bytes(model),
        "config.json": _to_json("config", settings),
        "card.json": _to_json("card", dict(card)),
    }
    if balancer is not None:
        contents[BALANCER] = _tensor_bytes(balancer)
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
    return contents | {SUMS: sums.encode()}


def _tensor_bytes(module: nn.Module) -> bytes:
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()})


def _read_checked(source: Path) -> dict[str, bytes]:
    """Reads the folder's files once, each compared with its sum."""
    for name in (*FILES, SUMS):
        if not (source / name).is_file():
            raise FileNotFoundError(f"folder: want a model folder with {name}, got {source}")
    listed = (source / SUMS).read_bytes()
    lines = [b"([0-9a-f]{64})  " + re.escape(name.encode()) + b"\n" for name in (*FILES, BALANCER)]
    match = re.fullmatch(b"".join(lines[:-1]) + b"(?:" + lines[-1] + b")?", listed)
    if match is None or (source / BALANCER).is_file() != (match[len(lines)] is not None):
        files = ", ".join((*FILES, BALANCER) if (source / BALANCER).is_file() else FILES)
        raise ValueError(f"{source / SUMS}: want one sha256 sum for each of {files}")
    wanted = {name: match[i + 1].decode() for i, name in enumerate((*FILES, BALANCER)) if match[i + 1]}
    contents = {name: (source / name).read_bytes() for name in wanted}
    for name, content in contents.items():
        found = hashlib.sha256(content).hexdigest()
        if found != wanted[name]:
            raise ValueError(f"{source / name}: want sha256 {wanted[name]}, got {found}: the file changed")
    return contents


def _read_saved(source: Path) -> Saved:
    """Reads settings and tensors, checked, in this version's layout."""
    contents = _read_checked(source)
    path = source / "config.json"
    settings = _parse_json(path, contents["config.json"])
    if settings.get("package") != "moola-models":
        raise ValueError(f"{path}: want a model of moola-models, got {settings.get('package')!r}")
    saved = Saved(settings, _parse_tensors(source / "model.safetensors", contents["model.safetensors"]))
    try:
        now = migrate(saved, to=SCHEMA_VERSION)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if now.settings.keys() != set(SETTINGS):
        raise ValueError(f"{path}: want {list(SETTINGS)}, got {list(now.settings)}")
    return now


def _parse_tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"{path}: want a safetensors file, got {error}") from None


def _parse_json(path: Path, content: bytes) -> dict[str, JsonValue]:
    try:
        return _JSON_OBJECT.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{path}: want a JSON object, got: {error.errors()[0]['msg']}") from None


def _kind_of(tensor: Tensor) -> str:
    """Shape and kind of number; which floating type does not matter, that it is one does."""
    kind = "floating" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"shape {tuple(tensor.shape)} {kind}"


def _config_of(source: Path, settings: Mapping[str, JsonValue], kind: type[C]) -> C:
    try:
        return kind.model_validate(settings.get("model"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        what = f"{where}: {said}" if where else said
        raise ValueError(f"{source / 'config.json'}: model: {what}") from None


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
