"""Where a run comes from: versions, sizes, arguments. And files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from moola_data.card import DatasetCard
from moola_data.schema import Bars, Spans, WindowSet
from moola_train.recipes.run_config import RunConfig

PACKAGES = ("moola-data", "moola-models", "moola-losses", "moola-train", "moola-eval", "torch", "numpy")


def package_versions() -> dict[str, str]:
    """Installed versions of the five packages and of what their numbers depend on."""
    return {name: version(name) for name in PACKAGES}


def metadata(
    bars: Bars,
    spans: Spans,
    windows: WindowSet,
    purged: dict[str, int],
    model: nn.Module,
    config: RunConfig,
    *,
    card: DatasetCard,
) -> dict[str, object]:
    """Describes a run before it starts, as JSON values."""
    sizes = np.bincount(windows.split, minlength=3).tolist()
    blocks = [len(np.unique(windows.group[windows.split == part])) for part in range(3)]
    parameters = list(model.parameters())
    return {
        "schema_version": 1,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "args": {
            "data": bars.source,
            "epochs": config.fit.epochs,
            "batch_size": config.fit.batch_size,
            "lr": config.fit.learning_rate,
            "device": config.fit.device,
            "seed": config.fit.seed,
        },
        "model_params": {
            "total": sum(p.numel() for p in parameters),
            "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        },
        "bars": len(bars),
        "symbols": list(bars.symbols),
        "spans": len(spans),
        "annotator": spans.annotator,
        "dataset_size": len(windows),
        "train_size": sizes[0],
        "val_size": sizes[1],
        "test_size": sizes[2],
        "blocks": dict(zip(("train", "inner", "test"), blocks, strict=True)),
        "purged_windows": purged,
        "feature_set": windows.feature_set,
        "feature_names": list(windows.feature_names),
        "versions": {**package_versions(), "python": platform.python_version()},
        "machine": platform.machine(),
        "hardware": hardware(),
        "git": git_state(),
        "seeds": {
            "network": config.model.seed,
            "batches_and_dropout": config.fit.seed,
            "pretraining": config.pretrain.seed,
            "decoding": config.decoding.seed,
            "resampling": config.evaluation.seed,
        },
        "config": config.model_dump(mode="json"),
        "data_card": card.model_dump(mode="json"),
    }


def hardware() -> dict[str, object]:
    """What the run runs on; on another processor the last bits of a number may differ."""
    cuda = torch.cuda.is_available()
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
        "cuda": torch.version.cuda if cuda else None,
    }


def git_state(place: Path | None = None) -> dict[str, object] | None:
    """Commit of a folder and how many tracked files differ from it; None where there is no git or no commit.

    Args:
        place: The folder; the working one where omitted.
    """

    def ask(*words: str) -> str | None:
        try:
            asked = subprocess.run(
                ["git", *words], cwd=place, capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return asked.stdout.strip() if asked.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = ask("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "changed_files": None if changed is None else len(changed.splitlines())}


def changed_versions(path: Path) -> list[str]:
    """Says which packages have another version now than a run's ``metadata.json`` tells.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged.
    """
    try:
        before: dict[str, str] = json.loads(path.read_bytes())["versions"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: want the metadata of a run, got {type(error).__name__}: {error}"
        ) from error
    now = {**package_versions(), "python": platform.python_version()}
    return [
        f"{name}: {before.get(name)} when the run began, {found} now: the result may differ in the last bits"
        for name, found in now.items()
        if before.get(name) != found
    ]


def _processor() -> str:
    """The processor's name; Linux tells it in a file, others by the platform."""
    told = Path("/proc/cpuinfo")
    if told.is_file():
        names = [line for line in told.read_text(encoding="utf-8").splitlines() if "model name" in line]
        if names:
            return names[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_json(path: Path, content: object) -> None:
    """Writes JSON in one step; NaN is refused."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file in one step: under its name it is absent, old or whole."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
