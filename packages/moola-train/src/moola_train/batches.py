"""A batch, and the two kinds of data that ship: windows over resident bars, and plain tensors.

N bars, n examples, B examples a batch, K bars a window, F features.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from moola_train.schema import Array, TrainSet


class Batch(NamedTuple):
    """Examples gathered for one step."""

    inputs: Tensor
    """(B, ...); windowed bars give float32 (B, K, F)."""
    targets: Mapping[str, Tensor]
    """By target name, (B, ...)."""
    masks: Mapping[str, Tensor]
    """By target name, bool, (B,) or the target's shape: True where the target is known."""
    weight: Tensor
    """float32 (B,)."""

    def to(self, device: torch.device) -> Batch:
        """Returns the batch on `device`; tensors that lie there already stay the same memory."""
        if self.inputs.device == device and self.weight.device == device:
            return self
        return Batch(
            self.inputs.to(device, non_blocking=True),
            {name: t.to(device, non_blocking=True) for name, t in self.targets.items()},
            {name: m.to(device, non_blocking=True) for name, m in self.masks.items()},
            self.weight.to(device, non_blocking=True),
        )

    def split(self, size: int) -> list[Batch]:
        """Returns views of at most `size` examples each, in order."""
        n = len(self.weight)
        return [self] if n <= size else [self._part(slice(i, i + size)) for i in range(0, n, size)]

    def _part(self, rows: slice) -> Batch:
        return Batch(
            self.inputs[rows],
            {name: t[rows] for name, t in self.targets.items()},
            {name: m[rows] for name, m in self.masks.items()},
            self.weight[rows],
        )

    def silent_from(self, count: int) -> Batch:
        """Returns the batch with all examples from number `count` on silenced; see `silent_where`."""
        return self.silent_where(torch.arange(len(self.weight), device=self.weight.device) >= count)

    def silent_where(self, silent: Tensor) -> Batch:
        """Returns the batch with weight 0 and nothing known where `silent`, bool (B,).

        Silenced examples go through the model and count for nothing.
        """
        masks = {name: m & ~silent.reshape((-1,) + (1,) * (m.ndim - 1)) for name, m in self.masks.items()}
        return self._replace(masks=masks, weight=self.weight.masked_fill(silent, 0))

    def pin(self) -> Batch:
        """Returns the batch in page-locked memory, from which a GPU copies by itself."""
        return Batch(
            self.inputs.pin_memory(),
            {name: t.pin_memory() for name, t in self.targets.items()},
            {name: m.pin_memory() for name, m in self.masks.items()},
            self.weight.pin_memory(),
        )


class WindowedBars:
    """Windows over one feature matrix that lies on the device; a batch is one gather, nothing else is copied.

    Args:
        train_set: A `TrainSet`, or any object with its attributes (`moola_data.WindowSet` is one).
        device: Where the bars and targets lie.

    Raises:
        ValueError: A window reaches outside the bars, a feature inside a window is not finite, or a target is
            not finite where its mask says that it is known. Names the row.
    """

    def __init__(self, train_set: object, *, device: torch.device | str = "cpu") -> None:
        source = TrainSet.model_validate(train_set)
        _check_values(source)
        self.device = torch.device(device)
        self.length = source.length
        self.position = source.position
        self.split = torch.from_numpy(source.split.copy())
        self.group = torch.from_numpy(source.group.copy())
        self.fingerprint = _fingerprint(source)
        self._features = _resident(source.features, self.device)
        self._starts = _resident(source.starts, self.device)
        self._weight = _resident(source.weight, self.device)
        self._targets = {name: _resident(t, self.device) for name, t in source.targets.items()}
        self._masks = {name: _resident(m, self.device) for name, m in source.masks.items()}
        self._bars = torch.arange(self.length, device=self.device)
        self._ramp = (self._bars / max(self.length - 1, 1)).to(torch.float32)[:, None]

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        own = [self._features, self._starts, self._weight]
        return sum(t.nbytes for t in [*own, *self._targets.values(), *self._masks.values()])

    def to(self, device: torch.device | str) -> WindowedBars:
        """Returns the same windows on another device."""
        moved = copy.copy(self)
        moved.device = torch.device(device)
        for name in ("_features", "_starts", "_weight", "_bars", "_ramp"):
            setattr(moved, name, getattr(self, name).to(device))
        moved._targets = {name: t.to(device) for name, t in self._targets.items()}
        moved._masks = {name: m.to(device) for name, m in self._masks.items()}
        return moved

    def batch(self, index: Tensor) -> Batch:
        """Returns the windows of `index`, int64 (B,): inputs (B, K, F), or (B, K, F+1) with the position."""
        index = index.to(self.device)
        # index_select is several times as fast as indexing for a few rows.
        rows = self._starts.index_select(0, index)[:, None] + self._bars
        inputs = self._features.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)
        if self.position:
            inputs = torch.cat([inputs, self._ramp.expand(len(index), -1, 1)], dim=-1)
        return Batch(
            inputs,
            {name: t.index_select(0, index) for name, t in self._targets.items()},
            {name: m.index_select(0, index) for name, m in self._masks.items()},
            self._weight.index_select(0, index),
        )


class Examples:
    """Plain tensors as data, for models whose inputs are no windows of bars.

    Args:
        inputs: (n, ...).
        targets: By name, (n, ...).
        masks: By target name, bool, (n,) or the target's shape. A target without one is known everywhere.
        weight: float, (n,); 1 for all where omitted.
        split: int8, (n,): 0 train, 1 inner, 2 test; all train where omitted.
        group: int64, (n,), and
        sampling_weight: float, (n,): what `FitConfig.sampling` may go by.

    >>> data = Examples(torch.zeros(4, 2), targets={"y": torch.ones(4)})
    >>> data.batch(torch.tensor([3, 0])).targets["y"].shape
    torch.Size([2])
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        weight: Tensor | None = None,
        split: Tensor | None = None,
        group: Tensor | None = None,
        sampling_weight: Tensor | None = None,
    ) -> None:
        n, device = len(inputs), inputs.device
        given = dict(masks or {})
        unknown = given.keys() - targets.keys()
        if unknown:
            raise ValueError(f"masks: want names of targets {sorted(targets)}, got {sorted(unknown)}")
        everywhere = torch.ones(n, dtype=torch.bool, device=device)
        self.inputs = inputs
        self.targets = dict(targets)
        self.masks = {name: given.get(name, everywhere) for name in targets}
        self.weight = torch.ones(n, device=device) if weight is None else weight
        self.split = torch.zeros(n, dtype=torch.int8) if split is None else split
        self.group = group
        self.sampling_weight = sampling_weight
        self.device = device
        named = {"weight": self.weight, "split": self.split}
        named |= {k: v for k, v in (("group", group), ("sampling_weight", sampling_weight)) if v is not None}
        named |= {f"targets[{name!r}]": t for name, t in self.targets.items()}
        named |= {f"masks[{name!r}]": m for name, m in self.masks.items()}
        for name, values in named.items():
            if len(values) != n:
                raise ValueError(f"{name}: want {n} rows as in inputs, got {len(values)}")

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(t.nbytes for t in [self.inputs, self.weight, *self.targets.values(), *self.masks.values()])

    def to(self, device: torch.device | str) -> Examples:
        """Returns the same examples on another device."""
        moved = copy.copy(self)
        moved.inputs, moved.weight = self.inputs.to(device), self.weight.to(device)
        moved.targets = {name: t.to(device) for name, t in self.targets.items()}
        moved.masks = {name: m.to(device) for name, m in self.masks.items()}
        moved.device = moved.inputs.device
        return moved

    def batch(self, index: Tensor) -> Batch:
        """Returns the examples of `index`, int64 (B,)."""
        return Batch(
            self.inputs.index_select(0, index),
            {name: t.index_select(0, index) for name, t in self.targets.items()},
            {name: m.index_select(0, index) for name, m in self.masks.items()},
            self.weight.index_select(0, index),
        )


def _resident(array: Array, device: torch.device) -> Tensor:
    # as_tensor shares memory with a writable array; a read-only one (a memory map) is copied once.
    return torch.as_tensor(array if array.flags.writeable else array.copy()).to(device)


def _check_values(source: TrainSet) -> None:
    last = len(source.features) - source.length
    outside = np.flatnonzero((source.starts < 0) | (source.starts > last))
    if outside.size:
        raise ValueError(f"starts: want 0..{last}, got {source.starts[outside[0]]} in row {outside[0]}")
    bad_bars = np.isfinite(source.features).min(axis=1) == 0
    if bad_bars.any():
        # Bars before the first window may be undefined (warm-up of a feature); those inside one may not.
        before = np.concatenate([[0], np.cumsum(bad_bars)])
        touched = before[source.starts + source.length] - before[source.starts]
        rows = np.flatnonzero(touched)
        if rows.size:
            bar = source.starts[rows[0]] + int(np.argmax(bad_bars[source.starts[rows[0]] :]))
            raise ValueError(
                f"features: want finite values, got {source.features[bar]} in row {bar}"
                f" (window {rows[0]}; {rows.size} windows are touched)"
            )
    bad_weight = np.flatnonzero(~(np.isfinite(source.weight) & (source.weight >= 0)))
    if bad_weight.size:
        row = bad_weight[0]
        raise ValueError(f"weight: want a finite value of 0 or more, got {source.weight[row]} in row {row}")
    if source.targets.keys() != source.masks.keys():
        raise ValueError(f"masks: want the tasks {sorted(source.targets)}, got {sorted(source.masks)}")
    for name, target in source.targets.items():
        if target.dtype.kind != "f":
            continue
        mask = source.masks[name]
        known = mask.reshape(mask.shape + (1,) * (target.ndim - mask.ndim))
        bad = np.flatnonzero((known & ~np.isfinite(target)).reshape(len(target), -1).any(axis=1))
        if bad.size:
            raise ValueError(
                f"targets[{name!r}]: want finite values where the mask is True, got another in row {bad[0]}"
            )


def _fingerprint(source: TrainSet) -> str:
    digest = hashlib.sha256(repr((source.length, source.position)).encode())
    arrays: dict[str, Array] = {"features": source.features, "starts": source.starts, "weight": source.weight}
    arrays |= {"split": source.split}
    arrays |= {f"target {k}": v for k, v in sorted(source.targets.items())}
    arrays |= {f"mask {k}": v for k, v in sorted(source.masks.items())}
    for name, array in arrays.items():
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
