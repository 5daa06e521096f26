"""Several processes that train one model, as `torchrun` starts them: each takes its share of every batch.

What is added up over the ranks are sums and weights, never means, so that unequal masks and a short last
batch give the gradient of the whole batch.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from moola_train.heartbeat import Heartbeat

_RUNS = count()
_STORES: list[Store] = []
"""The store of the group that this process opened; empty where the caller did, or where there is none."""


class Ranks:
    """One process by itself: nothing to add up, nobody to ask. `ProcessRanks` is several.

    >>> alone = Ranks()
    >>> alone.any(True), alone.share(torch.arange(3)).tolist()
    (True, [0, 1, 2])
    """

    rank: int = 0
    size: int = 1

    def sum(self, values: Tensor) -> Tensor:
        """Returns the sum over the ranks; `values` itself may hold it afterwards."""
        return values

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set on any rank."""
        return flag

    def sum_gradients(self, parameters: Sequence[nn.Parameter], *, mean: bool = False) -> None:
        """Adds every parameter's gradient up over the ranks, or takes their mean.

        A parameter without a gradient on all ranks has none afterwards; where another rank has one, a missing
        one counts as 0.
        """

    def copy_first(self, modules: Sequence[nn.Module]) -> None:
        """Gives all ranks the parameters and buffers of the first."""

    def gather(self, values: Tensor) -> list[Tensor]:
        """Returns every rank's tensor, by rank; all of one shape and on the CPU."""
        return [values]

    def share(self, rows: Tensor) -> Tensor:
        """Returns this rank's part of a batch's rows; parts differ by one row at most and may be empty."""
        return rows


class ProcessRanks(Ranks):
    """The ranks of torch's default process group.

    Args:
        device: Where this rank's tensors lie.
    """

    def __init__(self, *, device: torch.device) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self._device = device

    def sum(self, values: Tensor) -> Tensor:
        """Returns the sum over the ranks. ConnectionError if a rank is gone."""
        self._together(lambda: dist.all_reduce(values))
        return values

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set on any rank; waits for the device."""
        found = torch.full((), float(flag), device=self._device)
        self._together(lambda: dist.all_reduce(found, dist.ReduceOp.MAX))
        return bool(found)

    def sum_gradients(self, parameters: Sequence[nn.Parameter], *, mean: bool = False) -> None:
        """Adds every parameter's gradient up, in one message for each type of number."""
        trained = [p for p in parameters if p.requires_grad]
        if not trained:
            return
        have = torch.tensor([p.grad is not None for p in trained], dtype=torch.float32, device=self._device)
        self._together(lambda: dist.all_reduce(have, dist.ReduceOp.MAX))
        taking_part = [p for p, known in zip(trained, have.tolist(), strict=True) if known]
        for kind in dict.fromkeys(p.dtype for p in taking_part):
            alike = [p for p in taking_part if p.dtype == kind]
            found = [torch.zeros_like(p) if p.grad is None else p.grad for p in alike]
            flat = self.sum(torch.cat([g.reshape(-1) for g in found]))
            flat = flat / self.size if mean else flat
            for parameter, part in zip(alike, flat.split([p.numel() for p in alike]), strict=True):
                parameter.grad = part.view_as(parameter)

    def copy_first(self, modules: Sequence[nn.Module]) -> None:
        """Gives all ranks the parameters and buffers of the first."""
        for module in modules:
            for tensor in [*module.parameters(), *module.buffers()]:
                content = tensor.detach().contiguous()
                self._together(partial(dist.broadcast, content, 0))
                tensor.detach().copy_(content)

    def gather(self, values: Tensor) -> list[Tensor]:
        """Returns every rank's tensor, by rank."""
        sent = values.to(self._device)
        found = [torch.empty_like(sent) for _ in range(self.size)]
        self._together(lambda: dist.all_gather(found, sent))
        return [each.cpu() for each in found]

    def share(self, rows: Tensor) -> Tensor:
        """Returns this rank's part of a batch's rows."""
        return rows.tensor_split(self.size)[self.rank]

    def _together(self, collective: Callable[[], object]) -> None:
        try:
            collective()
        except RuntimeError as error:  # what torch raises when a peer is gone, whatever the backend
            raise ConnectionError(
                f"rank {self.rank}: want an answer of all {self.size} ranks, got none: another has ended;"
                f" resume from the latest checkpoint ({str(error).splitlines()[0]})"
            ) from error


@contextmanager
def joined_ranks(*, device: torch.device) -> Iterator[Ranks]:
    """Joins the other processes of `torchrun`, if it started this one; else there is one rank.

    A process group that the caller has opened is used as it is. Inside the block every rank watches the
    others: if one dies, the rest end with a message instead of waiting for it.
    """
    if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ:
        _open_group(device)
    if not dist.is_initialized() or dist.get_world_size() == 1:
        yield Ranks()
        return
    ranks = ProcessRanks(device=device)
    run = next(_RUNS)
    if not _STORES:
        yield ranks
        return
    with Heartbeat(_STORES[0].clone(), rank=ranks.rank, size=ranks.size, run=run):
        yield ranks


def _open_group(device: torch.device) -> None:
    store, rank, size = next(iter(rendezvous("env://")))
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=PrefixStore("group", store), rank=rank, world_size=size)
    _STORES.append(store)
    atexit.register(dist.destroy_process_group)
