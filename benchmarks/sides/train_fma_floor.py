"""The job's 1.4 TFLOP as one core can at best do them: products of square matrices through oneDNN's kernels.

100 epochs of 7 steps of 1.87 GFLOP (forward and backward of batch 32, the last of 18), and validation.
"""

import torch
from torch import nn

VERSIONS = ["torch"]
FLOP = 100 * (1.87e9 * 210 / 32 + 0.65e9 * 42 / 32)


def prepare() -> nn.Linear:
    torch.set_num_threads(1)
    return nn.Linear(1024, 1024, bias=False)


def once(layer: nn.Linear) -> None:
    with torch.no_grad():
        x = torch.zeros(1024, 1024).to_mkldnn()
        weight = torch.zeros(1024, 1024).to_mkldnn()
        for _ in range(round(FLOP / (2 * 1024**3))):
            torch._C._nn.mkldnn_linear(x, weight)
