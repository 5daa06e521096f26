"""Numbered run folders: ``runs/0001``, ``runs/0002`` and so on."""

from __future__ import annotations

import re
from pathlib import Path


def next_run_folder(root: Path) -> Path:
    """Makes and returns the next free numbered folder below `root`. Two processes never get the same one.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> next_run_folder(root).name, next_run_folder(root).name
    ('0001', '0002')
    """
    root.mkdir(parents=True, exist_ok=True)
    number = max((int(p.name) for p in root.iterdir() if re.fullmatch(r"\d{4,}", p.name)), default=0)
    while True:
        number += 1
        folder = root / f"{number:04d}"
        try:
            folder.mkdir()
        except FileExistsError:  # another process was faster
            continue
        return folder


def given_run_folder(folder: Path) -> Path:
    """Makes and returns the folder that the user named.

    Raises:
        FileExistsError: It exists and is not empty, or is a file.
    """
    if folder.exists():
        if not folder.is_dir():
            raise FileExistsError(f"run: want a new or empty folder, got the file {folder}")
        found = sorted((p.name for p in folder.iterdir()), key=lambda name: (name.startswith("."), name))
        if found:
            raise FileExistsError(f"run: want a new or empty folder, got {folder} with {found[0]!r} in it")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
