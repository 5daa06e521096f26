"""Which device to train on, and how many threads it may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


def choose_device(name: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> torch.device:
    """Returns the device of that name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        ValueError: The device was named but this machine, or this build of torch, has none.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name == "cuda":
        if not torch.cuda.is_available():
            raise ValueError("device: want CUDA on this machine for 'cuda', found none; 'auto' looks")
        return torch.device("cuda", torch.cuda.current_device())
    if name == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device: want MPS on this machine for 'mps', found none; 'auto' looks")
    return torch.device(name)


@contextmanager
def thread_limit(count: int | None) -> Iterator[None]:
    """Lets torch use `count` threads inside the block and restores the process's setting after it."""
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
