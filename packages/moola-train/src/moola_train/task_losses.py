"""From a batch to one loss per task: sums and weights, so that parts of a batch can be added up.

k tasks, in the order given to `fit`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from moola_train.batches import Batch
from moola_train.precision import Precision, autocast, is_half
from moola_train.protocols import Data
from moola_train.task import Task


class TaskLosses:
    """Runs the model on a batch and applies each task's loss.

    Args:
        model: Called as ``model(inputs)``, or ``model(inputs, targets=…)`` where its forward takes targets.
            Returns outputs by head name: a mapping, or an object with attributes such as a NamedTuple.
        tasks: One or more, with different names.
        device: Where batches are moved to.
        precision: Of the forward pass; outputs are float32 or wider in any case.
    """

    def __init__(
        self,
        model: nn.Module,
        tasks: Sequence[Task],
        *,
        device: torch.device,
        precision: Precision = "fp32",
    ) -> None:
        names = [task.name for task in tasks]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"tasks: want one or more with different names, got {names}")
        self.model = model
        self.tasks = tuple(tasks)
        self.names = tuple(names)
        self.device = device
        self.precision = precision
        self._half = is_half(precision)
        self._with_targets = "targets" in inspect.signature(model.forward).parameters
        self._encode: Callable[..., Tensor] = getattr(model, "encode", model.forward)
        self._heads: Callable[..., object] = getattr(model, "heads", model.forward)
        named = {"encode", "heads"}
        self.can_be_cut = named == {getattr(f, "__name__", "") for f in (self._encode, self._heads)}
        """Whether the model's ``encode`` and ``heads`` can be called apart."""
        self._heads_with_targets = self.can_be_cut and "targets" in inspect.signature(self._heads).parameters

    def sums(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns the weighted sums and the weights of all tasks, (k,) each. Raises as `pairs`."""
        pairs = self.pairs(batch)
        return torch.stack([s for s, _ in pairs]), torch.stack([w for _, w in pairs])

    def cut_pairs(self, batch: Batch) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Returns the shared representation in the graph, then what `pairs` does. Raises as `pairs`.

        The model is called as ``z = model.encode(inputs)`` and ``model.heads(z)``, with ``targets=…`` where
        its heads take them.
        """
        with self._precise():
            z = self._encode(batch.inputs)
            targets = {"targets": batch.targets} if self._heads_with_targets else {}
            outputs = self._heads(z, **targets)
        return z, [self._pair(task, outputs, batch) for task in self.tasks]

    def pairs(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """Returns (weighted sum, weight) of each task.

        Raises:
            ValueError: The model has no such head, the batch no such target or mask, or a loss returns
                something else than two scalars. Names the task.
        """
        outputs = self._outputs(batch)
        return [self._pair(task, outputs, batch) for task in self.tasks]

    def _outputs(self, batch: Batch) -> object:
        targets = {"targets": batch.targets} if self._with_targets else {}
        if not self._half:
            return self.model(batch.inputs, **targets)
        with self._precise():
            return self.model(batch.inputs, **targets)

    def _precise(self) -> AbstractContextManager[object]:
        return autocast(self.precision, self.device) if self._half else nullcontext()

    def _pair(self, task: Task, outputs: object, batch: Batch) -> tuple[Tensor, Tensor]:
        output = _named(outputs, task)
        if task.target not in batch.targets or task.target not in batch.masks:
            found = sorted(batch.targets.keys() & batch.masks.keys())
            raise ValueError(
                f"task {task.name!r}: want target and mask {task.target!r} in the batch, got {found}"
            )
        total, weight = task.loss(output, batch.targets[task.target], batch.masks[task.target], batch.weight)
        if total.ndim or weight.ndim:
            shapes = tuple(total.shape), tuple(weight.shape)
            raise ValueError(f"task {task.name!r}: want a loss of two scalars, got shapes {shapes}")
        return total, weight.to(total.dtype)

    @torch.no_grad()
    def evaluate(
        self,
        data: Data,
        rows: Tensor,
        *,
        batch_size: int,
        observe: Callable[[object, Batch], None] | None = None,
    ) -> Tensor:
        """Returns the plain loss of each task over `rows`, float (k,); NaN where no target is known.

        The model is put into evaluation mode and left there. `observe` is shown each batch with what the
        model returned for it.
        """
        self.model.eval()
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        total = torch.zeros(2, len(self.tasks), dtype=kind, device=self.device)
        for batch in batches(data, rows, batch_size=batch_size, device=self.device):
            outputs = self._outputs(batch)
            if observe is not None:
                observe(outputs, batch)
            pairs = [self._pair(task, outputs, batch) for task in self.tasks]
            total += torch.stack([s for s, _ in pairs] + [w for _, w in pairs]).view(2, -1)
        sums, weights = total.unbind()
        return torch.where(weights > 0, sums / weights, torch.nan)


def above_zero(weights: Tensor) -> Tensor:
    """Returns the weights, 1e-30 for 0: what to divide by, where nothing by nothing shall be 0."""
    return weights.clamp_min(1e-30)


def batches(data: Data, rows: Tensor, *, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Gathers `rows`, int64 (n,), in their order, `batch_size` at a time, on `device`."""
    rows = rows.to(index_device(data))
    for start in range(0, len(rows), batch_size):
        yield data.batch(rows[start : start + batch_size]).to(device)


def index_device(data: Data) -> torch.device:
    """Returns where the data wants its index: its ``device`` attribute, else the CPU."""
    return torch.device(getattr(data, "device", "cpu"))


def _named(outputs: object, task: Task) -> Tensor:
    by_name = type(outputs) is dict or isinstance(outputs, Mapping)
    output = outputs.get(task.head) if by_name else getattr(outputs, task.head, None)  # type: ignore[attr-defined]
    if not isinstance(output, Tensor):
        names = outputs if by_name else [*getattr(outputs, "_fields", ()), *getattr(outputs, "__dict__", ())]
        raise ValueError(
            f"task {task.name!r}: want a tensor as output {task.head!r} of the model,"
            f" got {type(output).__name__}; there are {sorted(map(str, names))}"  # type: ignore[call-overload]
        )
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
