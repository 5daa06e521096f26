"""The same windows through the same network one by one, with all features at hand; means taken bar by bar."""

import sys
from pathlib import Path

import numpy as np
import torch

from moola_data.features import compute_features
from moola_train.recipes.covering import covering_starts

sys.path.insert(0, str(Path(__file__).parent))

from predict_bars import LENGTH, bars, detector

VERSIONS = ["moola-train", "torch"]


def prepare():
    return detector(), bars(200_000)


def once(state) -> int:
    ready, file = state
    values = torch.from_numpy(compute_features(file, "jade").values)
    total, count = np.zeros(len(file)), np.zeros(len(file))
    with torch.inference_mode():
        for start in covering_starts(file.segment, length=LENGTH, mode="both").tolist():
            said = ready.model(values[None, start : start + LENGTH])
            total[start : start + LENGTH] += said.span[0].sigmoid().numpy()
            count[start : start + LENGTH] += 1
    marked = total / count >= ready.decision.threshold
    return int((np.diff(marked, prepend=False) & marked).sum())
