"""Files that a command must not write over: those it reads, and those its run was made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from moola_train.recipes.run_source import NAME, RunSource


def spare(name: str, path: Path, *, others: Iterable[Path]) -> None:
    """Refuses to write over a file that is needed.

    Args:
        name: Of the argument.
        path: Where something is to be written.
        others: Files that are to be kept, there or not.

    Raises:
        ValueError: `path` is one of them.
    """
    for other in others:
        if path.resolve() == other.resolve():
            raise ValueError(f"{name}: want another file than {other}, which it would write over, got {path}")


def files_of_run(run: Path) -> tuple[Path, ...]:
    """The files with the bars and the labels that a run was made of.

    Args:
        run: Its folder; a network and its decision without ``source.json`` have no such files.

    Raises:
        ValueError: ``source.json`` is damaged.
    """
    place = run / NAME
    if not place.is_file():
        return ()
    try:
        source = RunSource.model_validate_json(place.read_bytes())
    except ValidationError as error:
        raise ValueError(f"run: want a readable {NAME} in {run}, got {error.errors()[0]['msg']}") from error
    return tuple(Path(path) for path in (source.bars, source.spans) if path is not None)
