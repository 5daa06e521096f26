"""A checkpoint on disk: a folder of safetensors files and a manifest that vouches for every byte.

Nothing is pickled, so reading one never runs code.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from safetensors.torch import load, save
from torch import Tensor, nn

MANIFEST = "manifest.json"
TEMPORARY = ".tmp-"
"""Prefix of folders that are being written or removed; a run sweeps those that a kill left behind."""


class Snapshot(NamedTuple):
    """The whole state of a run at one moment."""

    tensors: Mapping[str, Mapping[str, Tensor]]
    """By part (``model``, ``optimizer``, ``balancer``, ``random``, ``sums``), then by name; on the CPU."""
    state: Mapping[str, JsonValue]
    """Everything that is no tensor: counters, best value, configuration."""


class FileEntry(BaseModel):
    """What the manifest knows of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size: int


class Manifest(BaseModel):
    """``manifest.json``: written last, in one canonical form, with a checksum of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    kind: str = "moola-train checkpoint"
    files: dict[str, FileEntry]
    state: dict[str, JsonValue]

    def to_bytes(self) -> bytes:
        """Serialises with the checksum; `from_bytes` accepts exactly these bytes and no others."""
        # One line: only without indentation does Python's json use its compiled encoder.
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, allow_nan=False).encode()
        return b'{"manifest": %b, "sha256": "%b"}\n' % (content, hashlib.sha256(content).hexdigest().encode())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Manifest:
        """Parses and verifies. ValueError if a single byte differs from what was written."""
        try:
            manifest = cls.model_validate(json.loads(raw)["manifest"])
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{MANIFEST}: want a checkpoint's manifest, got {raw[:40]!r}") from error
        if manifest.schema_version != 1:
            raise ValueError(f"{MANIFEST}: want schema version 1, got {manifest.schema_version}")
        if manifest.to_bytes() != raw:
            raise ValueError(f"{MANIFEST}: want the bytes that were written, got damaged ones")
        return manifest


def write_checkpoint(folder: Path, snapshot: Snapshot) -> None:
    """Writes a checkpoint so that `folder` either does not exist or is whole and on the disk.

    Raises:
        FileExistsError: The folder exists.
        OSError: It could not be written; nothing is left behind.
    """
    if folder.exists():
        raise FileExistsError(f"checkpoint: want a new folder, got {folder}, which exists")
    temporary = folder.with_name(f"{TEMPORARY}{folder.name}")
    temporary.mkdir()
    try:
        files = {}
        for part, tensors in snapshot.tensors.items():
            raw = save({name: tensor.contiguous() for name, tensor in tensors.items()})
            name = f"{part}.safetensors"
            files[name] = FileEntry(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))
            _write_durably(temporary / name, raw)
        _write_durably(temporary / MANIFEST, Manifest(files=files, state=dict(snapshot.state)).to_bytes())
        _sync_folder(temporary)
        temporary.rename(folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_checkpoint(folder: Path | str) -> Snapshot:
    """Reads a checkpoint and verifies all of it.

    Raises:
        FileNotFoundError: There is no such folder, or a file of it is missing.
        ValueError: A file is truncated, changed or no checkpoint. Names it.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(f"checkpoint: want a folder with {MANIFEST}, got {folder}")
    try:
        manifest = Manifest.from_bytes((folder / MANIFEST).read_bytes())
        tensors = {}
        for name, entry in manifest.files.items():
            if not (folder / name).is_file():
                raise FileNotFoundError(f"checkpoint {folder}: want the file {name}, got none")
            raw = (folder / name).read_bytes()
            if len(raw) != entry.size:
                raise ValueError(f"{name}: want {entry.size} bytes, got {len(raw)}")
            found = hashlib.sha256(raw).hexdigest()
            if found != entry.sha256:
                raise ValueError(f"{name}: want sha256 {entry.sha256[:12]}…, got {found[:12]}…")
            tensors[name.removesuffix(".safetensors")] = load(raw)
    except ValueError as error:
        raise ValueError(f"checkpoint {folder}: {error}") from error
    return Snapshot(tensors, manifest.state)


def load_model(model: nn.Module, folder: Path | str) -> None:
    """Loads a checkpoint's weights into a model of the same shape, every name accounted for.

    Raises:
        FileNotFoundError: As `read_checkpoint`.
        ValueError: As `read_checkpoint`, or names or shapes differ from the model's.
    """
    load_module(model, read_checkpoint(folder).tensors["model"], what="model")


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], *, what: str) -> None:
    """Loads tensors into a module; ValueError names the first name or shape that differs."""
    own = module.state_dict()
    missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or extra:
        raise ValueError(f"{what}: want the tensors of the module, got {missing=} and {extra=}")
    for name, tensor in tensors.items():
        # An empty one may get its size from what it loads, as a memory made by the first step.
        if (own[name].shape != tensor.shape and own[name].numel()) or own[name].dtype != tensor.dtype:
            wanted, found = (f"{t.dtype} {tuple(t.shape)}" for t in (own[name], tensor))
            raise ValueError(f"{what}: want {wanted} for {name!r}, got {found}")
    module.load_state_dict(dict(tensors), strict=True)


def module_tensors(module: nn.Module, *, what: str) -> dict[str, Tensor]:
    """Copies a module's state to the CPU; ValueError where it holds something that is no tensor."""
    state = module.state_dict()
    foreign = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if foreign:
        raise ValueError(f"{what}: want a state of tensors, got {type(state[foreign[0]])} in {foreign[0]!r}")
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}


def remove_checkpoint(folder: Path) -> None:
    """Removes a checkpoint; a kill half-way leaves a temporary folder, never half a checkpoint."""
    doomed = folder.with_name(f"{TEMPORARY}removed-{folder.name}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def replace_text(path: Path, text: str) -> None:
    """Writes a small file atomically and durably."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, raw: bytes) -> None:
    """Writes a file atomically and durably."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    _write_durably(temporary, raw)
    temporary.replace(path)
    _sync_folder(path.parent)


def _write_durably(path: Path, raw: bytes) -> None:
    with path.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its rename is durable by itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
