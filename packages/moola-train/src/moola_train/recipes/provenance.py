"""Where a run comes from: versions, sizes, arguments. And files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from torch import nn

from moola_data.schema import Bars, Spans, WindowSet
from moola_train.recipes.run_config import RunConfig

PACKAGES = ("moola-data", "moola-models", "moola-losses", "moola-train", "moola-eval", "torch", "numpy")


def package_versions() -> dict[str, str]:
    """Installed versions of the five packages and of what their numbers depend on."""
    return {name: version(name) for name in PACKAGES}


def metadata(
    bars: Bars, spans: Spans, windows: WindowSet, purged: dict[str, int], model: nn.Module, config: RunConfig
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
    }


def write_json(path: Path, content: object) -> None:
    """Writes JSON in one step; NaN is refused."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file in one step: under its name it is absent, old or whole."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
