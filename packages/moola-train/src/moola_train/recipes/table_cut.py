"""Takes a run's tables back to a checkpoint: epochs that a resumed run does again are not to stand twice."""

from __future__ import annotations

from pathlib import Path

from moola_train.recipes.provenance import write_text

TABLES = (
    "epoch_metrics",
    "loss_components",
    "uncertainty_params",
    "probability_stats",
    "feature_stats",
    "gradient_stats",
)


def cut_tables(folder: Path, *, after: int) -> None:
    """Drops the rows of later epochs, and a last line that a kill tore, from the six tables of a run.

    Args:
        folder: Of the run.
        after: Last epoch that stays.

    Raises:
        ValueError: A table is none, or has a row without an epoch.
    """
    for name in TABLES:
        path = folder / f"{name}.csv"
        if not path.is_file():
            continue
        whole = path.read_text(encoding="utf-8").splitlines(keepends=True)
        lines = whole[:-1] if whole and not whole[-1].endswith("\n") else whole
        kept = lines[:1]
        if kept and not kept[0].startswith("epoch,"):
            raise ValueError(f"{path}: want the column epoch first, got {kept[0].strip()!r}")
        for row, line in enumerate(lines[1:]):
            epoch = line.partition(",")[0]
            if not epoch.isdecimal():
                raise ValueError(f"{path}: want an epoch, got {epoch!r} in row {row}")
            if int(epoch) <= after:
                kept.append(line)
        if len(kept) <= 1:
            path.unlink()
        elif kept != whole:
            write_text(path, "".join(kept))
