"""The Gramian of the tasks' gradients: all that the methods on gradients look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Matrix = NDArray[np.float64]
"""Small matrices and vectors, one row a task, in 64 bits on the CPU."""

EXACT = 1 << 16
CHUNK = 1 << 12
TINY = 1e-28


def gramian(stacks: Sequence[Tensor]) -> Tensor:
    """Returns the inner products of the tasks' gradients.

    Products are added in 64 bits. Blocks of more than 65,536 numbers a task are first multiplied in their own
    precision in chunks of 4,096: the relative error stays near that of the numbers themselves, at a fifth of
    the time.

    Args:
        stacks: The gradients in blocks (one a parameter, say), each (m, n) with one row a task.

    Returns:
        (m, m) float64.
    """
    total = stacks[0].new_zeros((len(stacks[0]),) * 2, dtype=torch.float64)
    for stack in stacks:
        if stack.shape[1] <= EXACT:
            wide = stack.double()
            total += wide @ wide.T
            continue
        part = _in_chunks(stack)
        squares = part.diagonal()
        if not bool(((squares > TINY) & squares.isfinite()).all()):
            # Squares of numbers near 1e-20 and 1e18 leave the range of 32 bits.
            wide = stack.double()
            part = wide @ wide.T
        total += part
    return total


def _in_chunks(stack: Tensor) -> Tensor:
    whole = stack.shape[1] // CHUNK * CHUNK
    chunks = stack[:, :whole].unflatten(1, (-1, CHUNK)).transpose(0, 1)
    rest = stack[:, whole:].double()
    products: Tensor = (chunks @ chunks.transpose(1, 2)).double().sum(0) + rest @ rest.T
    return products


def combine(stack: Tensor, weights: Tensor) -> Tensor:
    """Returns the weighted sum of the rows of a block, in the block's precision.

    Args:
        stack: (m, n), one row a task.
        weights: (m,) float64.
    """
    if stack.shape[1] <= EXACT:
        return (weights @ stack.double()).to(stack.dtype)
    return weights.to(stack.dtype) @ stack


def unit_diagonal(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Splits a Gramian into cosines and norms, so that what follows does not feel the tasks' scales.

    Returns:
        The (m, m) cosines, with 1 on the diagonal, and the (m,) norms; a zero row has no direction: cosines 0
        to all others, and 1 in place of its norm.
    """
    norms = np.sqrt(np.diagonal(matrix))
    norms = np.where(norms > 0, norms, 1.0)
    cosines: Matrix = matrix / norms[:, None] / norms
    np.fill_diagonal(cosines, 1.0)
    return cosines, norms
