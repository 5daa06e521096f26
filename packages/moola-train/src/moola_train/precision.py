"""How many bits the model computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def is_half(precision: Precision) -> bool:
    """Whether the model's forward runs in 16 bits, in the context that `autocast` returns."""
    return precision in _HALF


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Returns the context that the forward of a 16-bit model runs in."""
    return torch.autocast(device.type, dtype=_HALF[precision])


@contextmanager
def matmul_precision(precision: Precision) -> Iterator[None]:
    """Lets CUDA round the inputs of float32 products to TF32 inside the block, or forbids it.

    Only ``tf32`` allows it; the process's settings are restored after the block.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
