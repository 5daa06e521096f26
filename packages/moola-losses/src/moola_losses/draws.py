"""Random numbers that depend on a seed, a step and a name, and on nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


def keys(names: Sequence[str]) -> Tensor:
    """Returns a number for each name, int64, the same in every process."""
    return torch.tensor([crc32(name.encode()) for name in names], dtype=torch.int64)


def normals(seed: Tensor, step: Tensor, key: Tensor) -> Tensor:
    """Draws standard normals: the splitmix64 finaliser as a counter-based generator, then Box and Muller.

    No generator is read or moved, so nothing else is disturbed, a resumed run needs seed and step only, and
    the draw of a name does not depend on which other names there are.

    Args:
        seed: int64, scalar.
        step: int64, scalar: the number of the draw.
        key: int64 (n,), see `keys`.

    Returns:
        float64 (n,).
    """
    stream = _mixed(_mixed(seed + step * _GOLDEN) ^ _mixed(key * _GOLDEN + 1))
    # 52 bits and a half: never 0, whose logarithm is infinite.
    one, two = ((_shifted(_mixed(stream + k), 12).double() + 0.5) / 2.0**52 for k in (1, 2))
    return torch.sqrt(-2 * one.log()) * torch.cos(2 * math.pi * two)


def _shifted(x: Tensor, bits: int) -> Tensor:
    # int64's own shift copies the sign bit.
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)
