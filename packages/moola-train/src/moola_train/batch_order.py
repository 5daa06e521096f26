"""Which examples make up which batch: a pure function of the seed and the epoch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def batch_order(rows: Tensor, *, seed: int, epoch: int) -> Tensor:
    """Returns `rows` shuffled for one epoch.

    The order has no state and touches no global generator: a resumed run needs nothing but the two numbers.
    It sorts 64-bit words of Philox, whose stream numpy promises not to change, so that an order also
    outlives a new version of a library.

    Args:
        rows: int64 (n,), row numbers of the training examples.
        seed: Seed of the run, 0 or more.
        epoch: Epoch, counted from 1.

    Returns:
        int64 (n,), on the CPU; batch i is the i-th slice of batch_size rows, the last one may be short.

    >>> batch_order(torch.arange(5), seed=0, epoch=1).sort().values.tolist()
    [0, 1, 2, 3, 4]
    """
    words = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(len(rows))
    return rows[torch.from_numpy(np.argsort(words, kind="stable"))]
