"""Answers of finished chunks on the disk, so that a long prediction goes on from where it was interrupted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from moola_data.schema import Bars
from moola_train.recipes.answers import Answers
from moola_train.recipes.covering import Mode
from moola_train.recipes.decision import Decision
from moola_train.recipes.provenance import package_versions, write_json

FIELDS = ("probability", "pointers", "countdown", "type_probability")


class ChunkStore:
    """A folder with one file a finished chunk of windows.

    Args:
        folder: Made if it is not there.
        fingerprint: Of everything that the answers depend on.

    Raises:
        ValueError: The folder is that of another prediction, or holds other things.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        about = folder / "work.json"
        if about.is_file():
            try:
                found = json.loads(about.read_text(encoding="utf-8"))["fingerprint"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"work: want a readable {about}, got {error!r}") from error
            if found != fingerprint:
                raise ValueError(
                    "work: want what is done of the same bars, run and versions, got that of another "
                    f"prediction in {folder}: delete it, or give --work another folder"
                )
        elif any(not file.name.startswith(".") for file in folder.iterdir()):  # a killed writer leaves one
            raise ValueError(f"work: want a new or empty folder, got {folder} with other files")
        else:
            write_json(about, {"schema_version": 1, "fingerprint": fingerprint})

    def read(self, chunk: int) -> Answers | None:
        """Returns the answers of a finished chunk; None of one that is not.

        Raises:
            ValueError: The file is damaged.
        """
        path = self._path(chunk)
        if not path.is_file():
            return None
        try:
            arrays = load(path.read_bytes())
            return Answers(
                arrays["probability"],
                arrays.get("pointers"),
                arrays.get("countdown"),
                arrays.get("type_probability"),
            )
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"work: want a readable {path}, got {error}; delete it") from error

    def write(self, chunk: int, found: Answers) -> None:
        """Writes a chunk in one step."""
        arrays = {name: getattr(found, name) for name in FIELDS if getattr(found, name) is not None}
        path = self._path(chunk)
        temporary = path.with_suffix(".part")
        try:
            temporary.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OSError(error.errno, f"{error.strerror}; the same command goes on", str(path)) from error

    def _path(self, chunk: int) -> Path:
        return self.folder / f"chunk-{chunk:06d}.safetensors"


def prediction_fingerprint(bars: Bars, decision: Decision, mode: Mode, *, chunk: int) -> str:
    """Changes with the bars, the run, the mode, the size of chunks and the versions installed."""
    digest = hashlib.sha256(decision.model_dump_json().encode())
    digest.update(json.dumps([mode, chunk, package_versions()]).encode())
    for array in (bars.open, bars.high, bars.low, bars.close, bars.segment):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def discard(folder: Path) -> None:
    """Deletes a store's files, and its folder if nothing else lies there."""
    for file in [*folder.glob("chunk-*.safetensors"), *folder.glob("chunk-*.part"), folder / "work.json"]:
        file.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
