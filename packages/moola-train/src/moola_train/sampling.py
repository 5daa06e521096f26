"""Which examples an epoch goes through, and in which order: a pure function of the seed and the epoch."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from moola_train.batch_order import batch_order


class _Sampling(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shuffle(_Sampling):
    """Every example once."""

    kind: Literal["shuffle"] = "shuffle"


class Weighted(_Sampling):
    """As many draws with replacement as there are examples, each in proportion to its ``sampling_weight``.

    The data has to have that attribute, float (n,), 0 or more.
    """

    kind: Literal["weighted"] = "weighted"


class Grouped(_Sampling):
    """A few examples of each group, so that a long block of overlapping windows does not outvote a short one.

    The data has to have the attribute ``group``, int (n,).
    """

    kind: Literal["grouped"] = "grouped"
    per_group: Annotated[int, Field(ge=1)] = 1
    """Examples drawn without replacement from each group; all of a group that has fewer."""


Sampling = Annotated[Shuffle | Weighted | Grouped, Field(discriminator="kind")]


class Sampler:
    """Lists the rows of an epoch; their number is the same in every epoch.

    Args:
        sampling: How.
        data: Asked for ``sampling_weight`` or ``group``, if `sampling` needs one.
        rows: int64 (n,), the rows of the training part, on the CPU.
        seed: Of the run.

    Raises:
        ValueError: The data lacks what is needed, or it has a wrong length or value. Names the row.

    >>> class Data:
    ...     group = torch.tensor([7, 7, 7, 9])
    >>> sampler = Sampler(Grouped(), Data(), torch.arange(4), seed=0)
    >>> len(sampler), bool((sampler.epoch(1) == 3).any())
    (2, True)
    """

    def __init__(self, sampling: Sampling, data: object, rows: Tensor, *, seed: int) -> None:
        self._rows = rows
        self._seed = seed
        self._ends: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None
        self._group: Tensor | None = None
        self._per_group = 0
        self._length = len(rows)
        if isinstance(sampling, Weighted):
            weight = _column(data, "sampling_weight", rows).double()
            bad = (~(weight.isfinite() & (weight >= 0))).nonzero().flatten()
            if len(bad):
                row = int(rows[bad[0]])
                found = float(weight[bad[0]])
                raise ValueError(
                    f"sampling_weight: want a finite value of 0 or more, got {found} in row {row}"
                )
            if not bool(weight.sum() > 0):
                raise ValueError("sampling_weight: want one above 0 in the train part, got none")
            self._ends = np.cumsum(weight.numpy())
        elif isinstance(sampling, Grouped):
            self._group = _column(data, "group", rows).to(torch.int64)
            self._per_group = sampling.per_group
            _, sizes = self._group.unique(return_counts=True)
            self._length = int(sizes.clamp(max=sampling.per_group).sum())

    def __len__(self) -> int:
        return self._length

    def epoch(self, epoch: int) -> Tensor:
        """Returns the rows of an epoch, counted from 1, in order: int64, on the CPU."""
        if self._ends is not None:
            # 53 bits of Philox are a uniform number; the sum's rows are searched, not numpy's sampler asked,
            # whose stream may change with its version.
            words = np.random.Philox(np.random.SeedSequence([self._seed, epoch])).random_raw(len(self._rows))
            places = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 * self._ends[-1]
            # The last place may be rounded up to the very end.
            last = np.searchsorted(self._ends, self._ends[-1], side="left")
            found = np.minimum(np.searchsorted(self._ends, places, side="right"), last)
            return self._rows[torch.from_numpy(found)]
        order = batch_order(self._rows, seed=self._seed, epoch=epoch)
        if self._group is None:
            return order
        place = torch.empty(int(self._rows.max()) + 1, dtype=torch.int64)
        place[self._rows] = torch.arange(len(self._rows))
        group = self._group[place[order]]
        by_group = group.argsort(stable=True)
        sizes = group.unique(return_counts=True)[1]
        starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        chosen = by_group[torch.arange(len(group)) - starts < self._per_group]
        return order[chosen.sort().values]


def _column(data: object, name: str, rows: Tensor) -> Tensor:
    found = getattr(data, name, None)
    if found is None:
        raise ValueError(f"sampling: want data with the attribute {name!r}, got none")
    column = torch.as_tensor(found).cpu()
    if column.ndim != 1 or len(column) <= int(rows.max()):
        raise ValueError(f"{name}: want shape ({int(rows.max()) + 1},) or more, got {tuple(column.shape)}")
    return column[rows]
