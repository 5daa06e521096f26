"""Deterministic mode: an operation that might not repeat its result is refused, not hoped for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_WORKSPACES = (":4096:8", ":16:8", ":4096:2", ":16:2")


@contextmanager
def deterministic_mode(wanted: bool, device: torch.device) -> Iterator[None]:
    """Inside the block torch raises RuntimeError at operations without a deterministic implementation.

    Also stops cuDNN from choosing algorithms by timing them. The process's settings are back after the block;
    where `wanted` is False, nothing happens at all.

    Raises:
        ValueError: CUDA is running already without ``CUBLAS_WORKSPACE_CONFIG``, which fixes how cuBLAS and
            cuDNN's recurrent layers add; it is read once, when CUDA starts.
    """
    if not wanted:
        yield
        return
    name = "CUBLAS_WORKSPACE_CONFIG"
    if device.type == "cuda" and os.environ.get(name) not in _WORKSPACES:
        if torch.cuda.is_initialized():
            found = os.environ.get(name)
            raise ValueError(
                f"deterministic: want {name} set to one of {_WORKSPACES} before CUDA starts, got {found!r}"
            )
        os.environ[name] = _WORKSPACES[0]
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
