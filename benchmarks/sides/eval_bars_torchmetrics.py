"""torchmetrics' BinaryF1Score over all bars, and samplewise; tensors are made before the clock."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from eval_windows import mask, windows
from torchmetrics.classification import BinaryF1Score

VERSIONS = ["torchmetrics", "torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    true, pred = (torch.from_numpy(mask(rows).astype("int64")) for rows in windows())
    return true, pred, BinaryF1Score(), BinaryF1Score(multidim_average="samplewise")


def once(state: tuple) -> tuple:
    true, pred, micro, window = state
    micro.reset()
    window.reset()
    return float(micro(pred, true)), float(window(pred, true).mean())
